package session

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// endTime is how long a view server may take to end after its view is
// unmounted; nothing can be lost by killing it then.
const endTime = 15 * time.Second

// Down ends the view server of a session. Uncommitted work is kept unless
// req.Discard, which forgets the session with all it holds.
func (t *Table) Down(ctx context.Context, req wire.DownRequest) error {
	e, err := t.find(req.Session)
	if err != nil {
		return err
	}
	return e.down(ctx, req, askedFor)
}

func (e *entry) down(ctx context.Context, req wire.DownRequest, why string) error {
	unlock, err := e.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := e.lower(ctx, req, why); err != nil {
		return err
	}
	if !req.Discard {
		return nil
	}
	return e.erase()
}

// lower ends the view server if there is one. The caller holds life.
func (e *entry) lower(ctx context.Context, req wire.DownRequest, why string) error {
	before, note, _ := e.look()
	if before == stopped {
		return nil
	}
	if err := e.want(wire.WantDown); err != nil {
		return err
	}
	if before == running {
		if err := e.stopView(ctx, req, why); err != nil {
			e.stay(before, note)
			return err
		}
	} else if err := e.abandon(); err != nil {
		e.stay(before, note)
		return err
	}
	e.stopSupervisor()
	e.settleDown()
	return nil
}

// stay takes back the intent to end.
func (e *entry) stay(state, note string) {
	if err := e.want(wire.WantUp); err != nil {
		e.t.cfg.Log.Error("a session stays up, and the disk says otherwise", "session", e.name, "err", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ending = false
	if e.state == stopping {
		e.setLocked(state, note)
	}
}

// stopView asks a running view server to end and waits until it has.
func (e *entry) stopView(ctx context.Context, req wire.DownRequest, why string) error {
	e.mu.Lock()
	e.ending = true
	proc, foreign := e.proc, e.foreign
	e.setLocked(stopping, "")
	e.mu.Unlock()
	if proc == nil {
		return nil // it died this moment, and is not started again
	}
	if foreign != "" {
		proc.signal(syscall.SIGTERM)
	} else if err := e.askStop(ctx, req, why); err != nil {
		return err
	}
	return e.awaitDeath(ctx, proc, foreign)
}

func (e *entry) askStop(ctx context.Context, req wire.DownRequest, why string) error {
	if req.Force { // a view that is taken from its writers is not written back by the machine
		if err := e.settlePages(ctx, partTime); err != nil {
			e.t.cfg.Log.Warn("what programs wrote through mappings may be lost", "session", e.name, "err", err)
		}
	}
	l, err := e.dial(ctx)
	if err == nil {
		defer l.close()
		_, err = l.ask(wire.ViewStop, wire.StopRequest{Force: req.Force, Why: why}, nil)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil, errors.Is(err, errLost), errors.Is(err, syscall.ECONNREFUSED):
		return nil
	}
	return err
}

// awaitDeath waits for the process; one that has unmounted its view and still
// does not end is killed.
func (e *entry) awaitDeath(ctx context.Context, proc *process, foreign string) error {
	timer := time.NewTimer(endTime)
	defer timer.Stop()
	select {
	case <-proc.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	if foreign != "" {
		return fault.New(fault.Busy, "the view server of session %s (process %d) does not end; programs may work in the view", e.name, proc.pid)
	}
	e.t.cfg.Log.Warn("a view server did not end after its unmount and is killed", "session", e.name, "pid", proc.pid)
	proc.signal(syscall.SIGKILL)
	<-proc.gone
	return nil
}

// abandon ends the attempts to start a view that does not come up. Its server,
// if there is one, has nothing mounted that answers, so no work is in flight.
func (e *entry) abandon() error {
	e.mu.Lock()
	e.ending = true
	proc := e.proc
	e.setLocked(stopping, "")
	e.mu.Unlock()
	if proc != nil {
		proc.signal(syscall.SIGKILL)
		<-proc.gone
	}
	e.stopSupervisor()
	return e.detach()
}

// detach takes away what a view server that is no more left mounted.
func (e *entry) detach() error {
	return errors.Join(detach(e.t.cfg.Home.Workspace(e.name)), detach(e.t.cfg.Home.Checkpoints(e.name)))
}

// stopSupervisor ends the supervisor of a session and waits for it.
func (e *entry) stopSupervisor() {
	e.mu.Lock()
	halt, halted := e.halt, e.halted
	e.mu.Unlock()
	if halted != nil {
		halt()
		<-halted
	}
}

// settleDown sets the final state of a session that was ended.
func (e *entry) settleDown() {
	exit := readExit(e.t.cfg.Home, e.name)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.proc, e.foreign = nil, ""
	e.setLocked(stopped, keptBy(exit))
}

// Remove forgets a session that is down.
func (t *Table) Remove(ctx context.Context, req wire.RemoveRequest) error {
	e, err := t.find(req.Session)
	if err != nil {
		return err
	}
	unlock, err := e.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	state, _, _ := e.look()
	if state != stopped && state != failed {
		return fault.New(fault.Busy, "session %s is %s; run astrid down --session %s first", e.name, state, e.name)
	}
	if !req.Force {
		if err := e.mustBeEmpty(); err != nil {
			return err
		}
	}
	return e.erase()
}

// mustBeEmpty refuses a session that holds, or may hold, uncommitted work.
func (e *entry) mustBeEmpty() error {
	exit := readExit(e.t.cfg.Home, e.name)
	switch {
	case exit == nil || exit.Error != nil:
		return fault.New(fault.Denied, "session %s may hold uncommitted changes (its view server did not end cleanly); astrid up shows them, --yes drops them", e.name)
	case exit.Changes > 0:
		return fault.New(fault.Denied, "session %s holds %s that were not committed; astrid up brings them back, --yes drops them", e.name, counted(exit.Changes))
	}
	return nil
}

// erase removes a session that is down from disk and table. The caller holds life.
func (e *entry) erase() error {
	if err := e.want(wire.WantDown); err != nil {
		return err
	}
	e.stopSupervisor()
	if err := e.detach(); err != nil {
		return err
	}
	e.mu.Lock()
	record := e.record
	e.mu.Unlock()
	unlink(e.t.cfg.Home, record)
	if err := removeSession(e.t.cfg.Home, e.name); err != nil {
		return err
	}
	e.t.forget(e)
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
