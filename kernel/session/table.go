package session

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// Config is what a Table works with.
type Config struct {
	Home     home.Home
	Exe      string // the astrid binary that serves views; empty: /proc/self/exe
	UserHome string // a workspace that needs confirmation, as "/" does; may be empty
	Build    string // build id, told to view servers
	Environ  []string
	Log      *slog.Logger
	// Event hears what happens in views, in order per session; it must not
	// block. May be nil.
	Event func(session string, event wire.ViewEvent)
}

// Table holds every session of a home. Make one with New; Close ends it.
type Table struct {
	cfg     Config
	ctx     context.Context // of everything that runs in the background
	cancel  context.CancelFunc
	running sync.WaitGroup

	patience time.Duration // how long operations wait for a restart

	making sync.Mutex

	mu       sync.Mutex
	closed   bool
	sessions map[string]*entry
}

var _ op.Sessions = (*Table)(nil)

// New reads the sessions of the home, takes over the view servers that are
// running, and starts again those that were up and have died. It returns before
// the latter answer.
func New(cfg Config) (*Table, error) {
	if cfg.Exe == "" {
		cfg.Exe = "/proc/self/exe"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &Table{cfg: cfg, ctx: ctx, cancel: cancel, patience: patience, sessions: map[string]*entry{}}
	names, err := os.ReadDir(cfg.Home.Tmp())
	if err != nil {
		cancel()
		return nil, fault.Wrap(fault.KindOf(err), err, "read the sessions")
	}
	for _, name := range names {
		if name.IsDir() && home.CheckSession(name.Name()) == nil {
			t.restore(name.Name())
		}
	}
	return t, nil
}

// restore puts one session of the disk into the table. A directory without a
// readable record is left alone and named in the log: it may hold work.
func (t *Table) restore(name string) {
	record, err := loadRecord(t.cfg.Home, name)
	if err != nil {
		t.cfg.Log.Warn("a session without a readable record was left alone", "session", name, "err", err)
		return
	}
	e := newEntry(t, record)
	t.sessions[name] = e
	_, held := lockHolder(t.cfg.Home.ViewLock(name))
	exit := readExit(t.cfg.Home, name)
	if held || record.Want == wire.WantUp && (exit == nil || exit.Error != nil) {
		e.start()
		return
	}
	e.settle()
}

// Close stops every view, keeping uncommitted work, and releases what the
// table holds. Views that programs work in stay up and are named by the error,
// of Kind Busy. When ctx ends, what has not stopped by then stays up.
func (t *Table) Close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	var wg sync.WaitGroup
	entries := t.all()
	failed := make([]error, len(entries))
	for i, e := range entries {
		wg.Go(func() { failed[i] = e.down(ctx, wire.DownRequest{Session: e.name}, "the kernel ended") })
	}
	wg.Wait()
	t.Leave()
	return errors.Join(failed...)
}

// Leave releases what the table holds and leaves every view as it is.
func (t *Table) Leave() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.cancel()
	t.running.Wait()
}

// Up, Down and the operations of one session are in files of their names.

// List returns every session, ordered by name.
func (t *Table) List(context.Context) ([]wire.Session, error) {
	list := []wire.Session{}
	for _, e := range t.all() {
		list = append(list, e.describe())
	}
	return list, nil
}

func (t *Table) all() []*entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*entry, 0, len(t.sessions))
	for _, e := range t.sessions {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	return list
}

func (t *Table) find(name string) (*entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.sessions[name]; e != nil {
		return e, nil
	}
	return nil, fault.New(fault.NotFound, "there is no session %s; astrid sessions lists those there are", name)
}

func (t *Table) taken(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sessions[name] != nil
}

func (t *Table) forget(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sessions[e.name] == e {
		delete(t.sessions, e.name)
	}
}
