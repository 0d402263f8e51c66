package session

import (
	"context"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/wire"
)

// upTime is how long Up waits for a view: a log to replay and a commit to
// finish may come first.
const upTime = 90 * time.Second

// Up makes or finds the session for a workspace and returns once its view
// answers. Without a name, a session that exists on the workspace is the one.
func (t *Table) Up(ctx context.Context, req wire.Up) (wire.Session, error) {
	if req.Session != "" {
		if err := home.CheckSession(req.Session); err != nil {
			return wire.Session{}, err
		}
	}
	ws, err := t.resolve(req)
	if err != nil {
		return wire.Session{}, err
	}
	e, made, err := t.provide(ws, req)
	if err != nil {
		return wire.Session{}, err
	}
	if err := e.up(ctx, req); err != nil {
		if made && ctx.Err() == nil {
			t.unmake(e)
		}
		return wire.Session{}, err
	}
	return e.describe(), nil
}

// provide finds the session for ws, or makes it.
func (t *Table) provide(ws workspace, req wire.Up) (e *entry, made bool, err error) {
	name := req.Session
	t.making.Lock()
	defer t.making.Unlock()
	if t.isClosed() {
		return nil, false, fault.New(fault.Unavailable, "the kernel is shutting down; run astrid up again")
	}
	if name != "" {
		if e, err := t.find(name); err == nil {
			return e, false, e.mustBeOn(ws)
		}
	} else if e := t.on(ws); e != nil {
		return e, false, nil
	} else {
		name = home.Unique(home.NameFor(ws.dir), t.occupied)
	}
	e, err = t.create(ws, name, wire.Modes{}.Asked(req))
	return e, err == nil, err
}

// occupied also counts what an unreadable record left on the disk.
func (t *Table) occupied(name string) bool {
	return t.taken(name) || exists(t.cfg.Home.TempDir(name)) || exists(t.cfg.Home.Session(name))
}

// on finds the session on ws, not a fork: one that is not stopped before one that is, the
// older before the younger.
func (t *Table) on(ws workspace) *entry {
	var best *entry
	for _, e := range t.all() {
		if e.mustBeOn(ws) == nil && e.describe().Parent == "" && (best == nil || e.before(best)) {
			best = e
		}
	}
	return best
}

func (e *entry) before(other *entry) bool {
	a, b := e.describe(), other.describe()
	if (a.State == stopped) != (b.State == stopped) {
		return b.State == stopped
	}
	return a.Created.Before(b.Created)
}

func (e *entry) mustBeOn(ws workspace) error {
	if dir := e.dir(); dir != ws.dir {
		return fault.New(fault.Exists, "session %s is on %s, not on %s; choose another name, or leave --session away", e.name, dir, ws.dir)
	}
	return nil
}

// create writes a session to the disk and puts it into the table.
func (t *Table) create(ws workspace, name string, modes wire.Modes) (*entry, error) {
	h := t.cfg.Home
	if exists(h.TempDir(name)) {
		return nil, fault.New(fault.Exists, "%s is left from a session whose record cannot be read; look at it, move it away, and try again", h.TempDir(name))
	}
	if err := h.EnsureSession(name, ws.dir); err != nil {
		return nil, err
	}
	record := wire.SessionRecord{
		Name: name, Dir: ws.dir, Dev: ws.dev, Ino: ws.ino, Boot: bootID(),
		Created: time.Now().UTC(), Want: wire.WantUp, Modes: modes,
	}
	err := makeNonce(h, name)
	if err == nil {
		err = saveRecord(h, record)
	}
	if err != nil {
		_ = removeSession(h, name)
		return nil, err
	}
	e := newEntry(t, record)
	t.mu.Lock()
	t.sessions[name] = e
	t.mu.Unlock()
	return e, nil
}

// unmake takes back a session that never came up: it holds nothing.
func (t *Table) unmake(e *entry) {
	t.making.Lock()
	defer t.making.Unlock()
	unlock, err := e.lock(t.ctx)
	if err != nil {
		return
	}
	defer unlock()
	if state, _, _ := e.look(); state != failed {
		return // somebody else brought it up since
	}
	e.stopSupervisor()
	if err := removeSession(t.cfg.Home, e.name); err != nil {
		t.cfg.Log.Warn("a session that never came up was not removed", "session", e.name, "err", err)
		return
	}
	t.forget(e)
}

// up makes the session run and waits for its view. Somebody asked for it, so
// crashes before that do not count; a view that was failing when they asked is
// tried once more.
func (e *entry) up(ctx context.Context, req wire.Up) error {
	unlock, err := e.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := e.choose(req); err != nil {
		return err
	}
	e.pardon()
	raised, err := e.tryUp(ctx)
	if err == nil || raised || ctx.Err() != nil {
		return err
	}
	if state, _, _ := e.look(); state == stopped || state == failed {
		_, err = e.tryUp(ctx)
	}
	return err
}

// pardon lets the supervisor forget the crashes that it has counted.
func (e *entry) pardon() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pardoned = true
}

// tryUp waits for a view that answers, after it has started one where there is
// none (raised).
func (e *entry) tryUp(ctx context.Context) (raised bool, err error) {
	state, _, _ := e.look()
	if state == stopped || state == failed {
		if err := e.raise(); err != nil {
			return true, err
		}
		raised = true
	}
	state, note, err := e.await(ctx, upTime, func(s string) bool { return s == running || s == failed || s == stopped })
	if err != nil {
		return raised, err
	}
	if state != running {
		return raised, e.failure(note)
	}
	if note != "" { // a server of another version: nobody here can ask it
		return raised, nil
	}
	// A server that died a moment ago counts as running until that is noticed.
	return raised, e.call(ctx, wire.ViewReady, nil, nil)
}

// raise starts a session that is down. The caller holds life.
func (e *entry) raise() error {
	if e.t.isClosed() {
		return fault.New(fault.Unavailable, "the kernel is shutting down; run astrid up again")
	}
	e.stopSupervisor()
	if err := e.want(wire.WantUp); err != nil {
		return err
	}
	e.start()
	return nil
}

// failure is why the session did not come up, with the Kind that the view
// server gave it.
func (e *entry) failure(note string) error {
	if exit := readExit(e.t.cfg.Home, e.name); exit != nil && exit.Error != nil {
		return exit.Error.Err()
	}
	if note == "" {
		note = "it ended at once"
	}
	return fault.New(fault.Internal, "the view of session %s did not come up: %s", e.name, note)
}

func (t *Table) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}
