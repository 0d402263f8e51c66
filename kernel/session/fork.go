package session

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/wire"
)

// A fork is a session on the same workspace that begins with what another one shows:
// it has a view server of its own, and everything that can be done with a session can
// be done with it. Its name is that of the other, a dot, and its own.

// Fork makes one and returns once its view answers.
func (t *Table) Fork(ctx context.Context, session string, req wire.ForkRequest) (wire.Session, error) {
	parent, err := t.settled(ctx, session)
	if err != nil {
		return wire.Session{}, err
	}
	name := parent.name + "." + req.Name
	if err := home.CheckSession(req.Name); err != nil {
		return wire.Session{}, err
	}
	if len(name) > home.MaxName {
		return wire.Session{}, fault.New(fault.Usage, "the fork would be session %s, whose name has more than %d characters; choose a shorter one", name, home.MaxName)
	}
	e, err := t.branch(ctx, parent, name, req)
	if err != nil {
		return wire.Session{}, err
	}
	if err := e.up(ctx, wire.Up{}); err != nil {
		if ctx.Err() == nil {
			t.unmake(e)
		}
		return wire.Session{}, err
	}
	return e.describe(), nil
}

// branch writes a fork to the disk and puts it into the table.
func (t *Table) branch(ctx context.Context, parent *entry, name string, req wire.ForkRequest) (*entry, error) {
	t.making.Lock()
	defer t.making.Unlock()
	h := t.cfg.Home
	switch {
	case t.isClosed():
		return nil, fault.New(fault.Unavailable, "the kernel is shutting down; try again")
	case t.occupied(name):
		return nil, fault.New(fault.Exists, "there is a session %s already; choose another name, or remove it with astrid sessions rm %s", name, name)
	}
	seed := filepath.Join(h.TempDir(parent.name), wire.ForkDir+req.Name)
	defer removeTree(seed)
	if _, err := change[wire.None](ctx, parent, wire.ViewFork, req); err != nil {
		return nil, err
	}
	e, err := t.plant(parent, name, seed)
	if err != nil {
		_ = removeSession(h, name)
		return nil, err
	}
	link := filepath.Join(h.Forks(parent.name), req.Name)
	if err := os.Symlink(filepath.Join("..", "..", name, "workspace"), link); err != nil {
		t.cfg.Log.Warn("a fork has no link beside its origin", "fork", name, "err", err)
	}
	return e, nil
}

// plant makes the session of what the view server of its origin has prepared.
func (t *Table) plant(parent *entry, name, seed string) (*entry, error) {
	h := t.cfg.Home
	parent.mu.Lock()
	record := parent.record
	parent.mu.Unlock()
	record.Name, record.Parent = name, parent.name
	record.Created, record.Want = time.Now().UTC(), wire.WantUp
	if err := h.EnsureSession(name, record.Dir); err != nil {
		return nil, err
	}
	if err := os.Rename(seed, h.Layers(name)); err != nil {
		return nil, err
	}
	if err := makeNonce(h, name); err != nil {
		return nil, err
	}
	if err := saveRecord(h, record); err != nil {
		return nil, err
	}
	e := newEntry(t, record)
	t.mu.Lock()
	t.sessions[name] = e
	t.mu.Unlock()
	return e, nil
}

// unlink takes the link of a fork away, and those of the forks of a session.
func unlink(h home.Home, record wire.SessionRecord) {
	if own, ok := strings.CutPrefix(record.Name, record.Parent+"."); ok && record.Parent != "" {
		_ = os.Remove(filepath.Join(h.Forks(record.Parent), own))
	}
	links, err := os.ReadDir(h.Forks(record.Name))
	if err != nil {
		return
	}
	for _, l := range links {
		if l.Type()&os.ModeSymlink != 0 {
			_ = os.Remove(filepath.Join(h.Forks(record.Name), l.Name()))
		}
	}
}
