package view

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
	"astrid/overlay"
)

// brakeFile, in a session's TempDir, holds its limits and what was used of them when
// it was last written: at each change of them, and when the server ends.
const brakeFile = "brake.json"

// setBrake changes the limits of the session. It does not wait for a commit that is
// under way: who raises a limit lets programs go on at once.
func (s *server) setBrake(_ context.Context, in wire.BrakeRequest) (wire.Brake, error) {
	s.braking.Lock()
	defer s.braking.Unlock()
	now := s.engine.Brake()
	limits, ok := in.Apply(now.Limits)
	if !ok {
		return wire.Brake{}, fault.New(fault.Usage, "a limit is a number from 1 on, or 0 for none")
	}
	if in.Reset {
		now.Used = wire.BrakeUsed{}
	}
	next := wire.Brake{Limits: limits, Used: now.Used}
	if err := s.saveBrake(next); err != nil {
		return wire.Brake{}, asFault(err)
	}
	s.engine.SetBrake(next, s.braked)
	s.log.Info("brake", "limits", limits, "reset", in.Reset)
	return s.engine.Brake(), nil
}

// braked hears that a limit was passed.
func (s *server) braked(why string) {
	s.events.put("brake", why)
	s.log.Warn("the view takes no more changes", "why", why)
}

func (s *server) brakePath() string {
	return filepath.Join(s.cfg.Home.TempDir(s.record.Name), brakeFile)
}

// saveBrake replaces the file, which is whole at any time.
func (s *server) saveBrake(b wire.Brake) error {
	b.Why = ""
	if b.Limits == (wire.BrakeLimits{}) {
		if err := os.Remove(s.brakePath()); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	tmp := s.brakePath() + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, s.brakePath())
}

// loadBrake sets the limits that the last server had. A file that cannot be read is
// no reason for a view without limits.
func (s *server) loadBrake(eng engine) error {
	data, err := os.ReadFile(s.brakePath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var b wire.Brake
	if err == nil {
		err = json.Unmarshal(data, &b)
	}
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "read the limits of the session in %s; remove the file to have none", s.brakePath())
	}
	eng.SetBrake(b, s.braked)
	return nil
}

// keepBrake writes down what was used, for the next server.
func (s *server) keepBrake() {
	if b := s.engine.Brake(); b.Limits != (wire.BrakeLimits{}) {
		if err := s.saveBrake(b); err != nil {
			s.log.Warn("what was used of the limits is not kept", "err", err)
		}
	}
}

// Brake implements engine.
func (e *overlaid) Brake() wire.Brake {
	b := e.tree.Brake()
	return wire.Brake{Limits: wire.BrakeLimits(b.Limits), Used: wire.BrakeUsed(b.Used), Why: b.Why}
}

// SetBrake implements engine.
func (e *overlaid) SetBrake(b wire.Brake, tell func(why string)) {
	e.tree.SetBrake(overlay.Limits(b.Limits), overlay.Used(b.Used), tell)
}
