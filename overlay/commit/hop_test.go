package commit_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"astrid/overlay"
	ot "astrid/overlay/overlaytest"
)

// hopAll says that the whole view is rolled back.
const hopAll = "."

// hop rolls back to and fro between the checkpoints of prepare until it is killed.
func hop(o *overlay.Overlay, what string) error {
	for {
		for _, to := range []string{"begin", "end"} {
			var err error
			if what == hopAll {
				_, err = o.Rollback(to, overlay.Checkpoint{Auto: "rollback"})
			} else {
				_, err = o.Restore(to, []string{what}, overlay.Checkpoint{Auto: "restore"})
			}
			if err != nil {
				return err
			}
		}
		if err := o.PruneCheckpoints(0); err != nil {
			return err
		}
	}
}

// TestRollbackKilled kills who goes to and fro between two checkpoints, at any instant:
// the view is as at one of them, and both are whole.
func TestRollbackKilled(t *testing.T) {
	all := kinds()
	for _, c := range []struct{ what, kind string }{
		{hopAll, "rename dir and change"}, {hopAll, "dir to file"}, {hopAll, "linked write"}, {hopAll, "delete tree"},
		{"a", "modify and add"}, {"d", "delete tree"}, {"d", "dir to file"}, {"file", "modify"},
	} {
		t.Run(c.what+" "+c.kind, func(t *testing.T) {
			t.Parallel()
			p, base, view := prepare(t, all[c.kind])
			if c.what != hopAll {
				view = restored(base, view, c.what)
			}
			for i := range 8 {
				hopKilled(t, childJob{place: p, Hop: c.what}, time.Duration(20+i*13)*time.Millisecond)
				s := p.open(t)
				report := s.recover()
				begin, end := undated(base, s.view()), undated(view, s.view())
				if c.what == hopAll && begin != "" && end != "" {
					t.Errorf("the view is neither as at the one:\n%s\nnor as at the other:\n%s\nrecovery: %q", begin, end, report.Actions)
				}
				if d := s.shows("begin", c.what, base); c.what != hopAll && d != "" && s.shows("end", c.what, view) != "" {
					t.Errorf("%s is neither as at the one:\n%s\nnor as at the other:\n%s\nrecovery: %q", c.what, d, s.shows("end", c.what, view), report.Actions)
				}
				s.close()
			}
		})
	}
}

// shows tells what the view has at a path and below that another image has not.
func (s *session) shows(name, path string, want ot.Image) string {
	s.t.Helper()
	if d := undated(restored(s.view(), want, path), s.view()); d != "" {
		return name + ": " + d
	}
	return ""
}

func hopKilled(t *testing.T, job childJob, after time.Duration) {
	t.Helper()
	text, err := json.Marshal(job)
	must(t, err)
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	time.Sleep(after)
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if cmd.ProcessState.Exited() {
		t.Errorf("the child ended by itself: %s", cmd.ProcessState)
	}
}
