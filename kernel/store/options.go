package store

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// profile is Badger for a kernel, not for a server. Values above threshold
// live in the value log, whose files must hold the longest. Commits are not
// synced by Badger: flusher does that, per space and with errors that count.
func profile(dir string, log *slog.Logger) badger.Options {
	const threshold = 4 << 10
	return badger.DefaultOptions(dir).
		WithMemTableSize(8 << 20).
		WithNumMemtables(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(4).
		WithNumCompactors(2).
		WithBlockCacheSize(4 << 20).
		WithIndexCacheSize(2 << 20).
		WithValueLogFileSize(16 << 20).
		WithValueThreshold(threshold).
		WithVerifyValueChecksum(true).
		WithMetricsEnabled(false).
		WithDetectConflicts(false).
		WithSyncWrites(false).
		WithBypassLockGuard(true). // Store.lock is ours, whose errors have a Kind
		WithLogger(bridge{log})
}

// bridge takes Badger's log lines: its Info is our Debug.
type bridge struct{ log *slog.Logger }

var _ badger.Logger = bridge{}

func (b bridge) Errorf(format string, args ...any)   { b.line(slog.LevelError, format, args) }
func (b bridge) Warningf(format string, args ...any) { b.line(slog.LevelWarn, format, args) }
func (b bridge) Infof(format string, args ...any)    { b.line(slog.LevelDebug, format, args) }
func (b bridge) Debugf(string, ...any)               {}

func (b bridge) line(level slog.Level, format string, args []any) {
	if b.log.Enabled(context.Background(), level) {
		b.log.Log(context.Background(), level, "badger", "text", strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}
