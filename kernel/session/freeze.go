package session

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
)

// How long the dirty pages of a view may take to reach its server: before a
// commit, and before an end that may take the view from under its writers.
const (
	settleTime = 2 * time.Minute
	partTime   = 10 * time.Second
)

// barriers is how often the view is asked for its statfs. The machine hands over at
// most so many pages at a time (an ordinary user's view: max_user_bgreq of the fuse
// module, thousands) and the next ones after those; each answer is one such turn.
const barriers = 64

// settlePages brings what programs wrote through shared mappings into the view
// server: syncfs makes the machine queue the writes, and statfs is answered
// only after every request that was queued before it. It runs aside, because a
// view whose server hangs would hang whoever touches it.
func (e *entry) settlePages(ctx context.Context, patience time.Duration) error {
	done := make(chan error, 1)
	go func() { done <- syncView(e.t.cfg.Home.Workspace(e.name)) }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-done:
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "the view of session %s could not be frozen; try again", e.name)
		}
		return nil
	case <-timer.C:
		return fault.New(fault.Unavailable, "the view of session %s did not come to rest within %s; try again when its writers have finished", e.name, patience)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fresh brings what programs have written to the view server before it is asked
// about that: in a writeback session the machine may still have it.
func (e *entry) fresh(ctx context.Context) error {
	e.mu.Lock()
	collects := e.record.Writeback && e.state == running && e.foreign == ""
	e.mu.Unlock()
	if !collects {
		return nil
	}
	err := e.settlePages(ctx, settleTime)
	if errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNABORTED) || errors.Is(err, errNotMounted) {
		return nil // its server has died, and the next one has all there is
	}
	return err
}

// errNotMounted says that there is no view at its place.
var errNotMounted = errors.New("the view is not mounted")

func syncView(workspace string) error {
	dir, err := unix.Open(filepath.Dir(workspace), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the session: %w", err)
	}
	defer unix.Close(dir)
	root, err := unix.Openat2(dir, filepath.Base(workspace), &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH,
	})
	if err != nil {
		return fmt.Errorf("open the view: %w", err)
	}
	defer unix.Close(root)
	if err := unix.Syncfs(root); err != nil {
		return fmt.Errorf("syncfs: %w", err)
	}
	var st unix.Statfs_t
	for range barriers {
		if err := unix.Fstatfs(root, &st); err != nil {
			return fmt.Errorf("statfs: %w", err)
		}
	}
	if st.Type != unix.FUSE_SUPER_MAGIC {
		return errNotMounted
	}
	return nil
}
