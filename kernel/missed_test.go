package kernel_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/session"
	"astrid/kernel/wire"
)

// committedAlone has a view commit while no kernel is there.
func committedAlone(t *testing.T, h home.Home, s wire.Session, name string) {
	t.Helper()
	write(t, filepath.Join(s.Workspace, name), "new\n")
	exe, _ := os.Executable()
	table, err := session.New(session.Config{Home: h, Exe: exe, Environ: environ(), Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer table.Leave()
	reply, err := table.Commit(t.Context(), s.Name, wire.CommitRequest{})
	if err != nil || reply.Number == 0 {
		t.Fatalf("%+v, %v", reply, err)
	}
}

func kill9(t *testing.T, h home.Home, pid int) {
	t.Helper()
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	awaitDeath(t, pid)
	lockFree(t, h)
}

// numbers are the commits in the audit log, and those of them that were found.
func numbers(t *testing.T, h home.Home) (all, found []string) {
	t.Helper()
	for _, r := range auditLog(t, dial(t, h)) {
		if r.Action["type"] != "commit" {
			continue
		}
		all = append(all, r.Action["number"])
		if r.Authorization["reason"] == "takeover" {
			found = append(found, r.Action["number"])
		}
	}
	return all, found
}

func TestCommitsThatNobodyRecordedAreFound(t *testing.T) {
	h := scratch(t, "h")
	pid := begin(t, h)
	s := up(t, h, project(t))
	write(t, filepath.Join(s.Workspace, "one"), "1\n")
	must(t, dial(t, h).Call(t.Context(), op.Commit, wire.For[wire.CommitRequest]{Session: s.Name}, nil))
	kill9(t, h, pid)
	committedAlone(t, h, s, "two")
	pid = begin(t, h)
	eventually(t, "the second commit is found", func() bool {
		all, found := numbers(t, h)
		return len(all) == 2 && len(found) == 1 && found[0] == "2"
	})
	kill9(t, h, pid)

	// A commit of the next kernel hides none that it has not found yet.
	committedAlone(t, h, s, "three")
	pid = begin(t, h)
	write(t, filepath.Join(s.Workspace, "four"), "4\n")
	must(t, dial(t, h).Call(t.Context(), op.Commit, wire.For[wire.CommitRequest]{Session: s.Name}, nil))
	all, found := numbers(t, h)
	if len(all) != 4 || all[2] != "3" || all[3] != "4" || len(found) != 2 {
		t.Errorf("%q, of these found %q", all, found)
	}
	kill9(t, h, pid)

	// Nothing is found twice.
	begin(t, h)
	up(t, h, s.Base)
	if again, _ := numbers(t, h); len(again) != 4 {
		t.Errorf("%q", again)
	}
}

// A view that hangs holds up no boot, and is asked until it answers.
func TestAViewThatHangsHidesNoCommit(t *testing.T) {
	h := scratch(t, "h")
	pid := begin(t, h)
	s := up(t, h, project(t))
	kill9(t, h, pid)
	committedAlone(t, h, s, "one")
	must(t, syscall.Kill(s.PID, syscall.SIGSTOP))
	defer func() { _ = syscall.Kill(s.PID, syscall.SIGCONT) }()
	begin(t, h)
	if all, _ := numbers(t, h); len(all) != 0 {
		t.Errorf("from a view that says nothing: %q", all)
	}
	must(t, syscall.Kill(s.PID, syscall.SIGCONT))
	eventually(t, "the commit is found", func() bool { _, found := numbers(t, h); return len(found) == 1 })
}

// The name of a session that is gone counts from the start.
func TestASessionOfTheSameNameCountsAnew(t *testing.T) {
	h := scratch(t, "h")
	begin(t, h)
	c := dial(t, h)
	base := project(t)
	for round := range 3 {
		s := up(t, h, base)
		write(t, filepath.Join(s.Workspace, "f"), strconv.Itoa(round))
		must(t, c.Call(t.Context(), op.Commit, wire.For[wire.CommitRequest]{Session: s.Name}, nil))
		must(t, c.Call(t.Context(), op.Down, wire.DownRequest{Session: s.Name}, nil))
		must(t, c.Call(t.Context(), op.Remove, wire.RemoveRequest{Session: s.Name}, nil))
	}
	if all, found := numbers(t, h); len(all) != 3 || len(found) != 0 {
		t.Errorf("%q, found %q", all, found)
	}
}
