package session

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

func wantKind(t *testing.T, err error, k fault.Kind, text string) {
	t.Helper()
	if !fault.Is(err, k) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %s about %q", err, k.Code(), text)
	}
}

func TestUpIsIdempotentAndDownKeepsTheSession(t *testing.T) {
	b := newBench(t)
	table, dir := b.table(), b.dir("Proj", "")
	first := b.up(table, dir)
	if first.Name != "proj" || first.State != running || first.PID == 0 || first.Base != dir {
		t.Fatalf("%+v", first)
	}
	if again := b.up(table, dir); again.PID != first.PID {
		t.Errorf("a second view server: %+v", again)
	}
	if base, err := os.Readlink(b.home.BaseLink("proj")); err != nil || base != dir {
		t.Errorf("base points to %q, %v", base, err)
	}
	if got := <-b.events; got != "proj up" {
		t.Errorf("event %q", got)
	}
	st, err := table.Status(t.Context(), "proj")
	if err != nil || st.Commits != 7 || st.Name != "proj" || st.State != running {
		t.Errorf("%+v, %v", st, err)
	}
	if err := table.Down(t.Context(), wire.DownRequest{Session: "proj"}); err != nil {
		t.Fatal(err)
	}
	_, err = table.Changes(t.Context(), "proj", wire.ChangesRequest{})
	wantKind(t, err, fault.NotRunning, "run astrid up "+dir)
	if st, err := table.Status(t.Context(), "proj"); err != nil || st.State != stopped {
		t.Errorf("%+v, %v", st, err)
	}
	if record, err := loadRecord(b.home, "proj"); err != nil || record.Want != wire.WantDown {
		t.Errorf("%+v, %v", record, err)
	}
	if back := b.up(table, dir); back.Name != "proj" || back.PID == first.PID {
		t.Errorf("%+v", back)
	}
}

func TestNamesAndPlaces(t *testing.T) {
	b := newBench(t)
	table, dir := b.table(), b.dir("proj", "")
	b.up(table, dir)
	if other := b.up(table, b.dir("proj", "")); other.Name != "proj-2" {
		t.Errorf("named %s", other.Name)
	}
	draft, err := table.Up(t.Context(), wire.Up{Dir: dir, Session: "draft"})
	if err != nil || draft.Name != "draft" || draft.Base != dir {
		t.Errorf("%+v, %v", draft, err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if s := b.up(table, link); s.Name != "proj" {
		t.Errorf("through a link it is %s", s.Name)
	}
	for name, c := range map[string]struct {
		req  wire.Up
		kind fault.Kind
		text string
	}{
		"a name that is taken":   {wire.Up{Dir: b.user, Session: "draft", Confirmed: true}, fault.Exists, "session draft is on"},
		"no such directory":      {wire.Up{Dir: dir + "/none"}, fault.NotFound, "none"},
		"a file":                 {wire.Up{Dir: dir + "/behave"}, fault.Usage, "not a directory"},
		"a relative path":        {wire.Up{Dir: "proj"}, fault.Usage, "not an absolute path"},
		"Astrid's home":          {wire.Up{Dir: b.home.String()}, fault.Usage, "in Astrid's home"},
		"inside Astrid's home":   {wire.Up{Dir: b.home.Logs()}, fault.Usage, "in Astrid's home"},
		"the root":               {wire.Up{Dir: "/"}, fault.Denied, "--yes"},
		"the user's home":        {wire.Up{Dir: b.user}, fault.Denied, "--yes"},
		"a name that is no name": {wire.Up{Dir: dir, Session: "../x"}, fault.Usage, "no session name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := table.Up(t.Context(), c.req)
			wantKind(t, err, c.kind, c.text)
		})
	}
	list, err := table.List(t.Context())
	if err != nil || len(list) != 3 || list[0].Name != "draft" || list[2].Name != "proj-2" {
		t.Errorf("%+v, %v", list, err)
	}
	if s, err := table.Up(t.Context(), wire.Up{Dir: b.user, Confirmed: true}); err != nil || s.Name != "user" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAViewThatCannotComeUpLeavesNothing(t *testing.T) {
	b := newBench(t)
	table := b.table()
	_, err := table.Up(t.Context(), wire.Up{Dir: b.dir("proj", "refuse")})
	wantKind(t, err, fault.Unsupported, "no views today")
	if exists(b.home.TempDir("proj")) || exists(b.home.Session("proj")) || table.taken("proj") {
		t.Error("something is left")
	}
}

func TestACrashIsFollowedByARestart(t *testing.T) {
	b := newBench(t)
	table, dir := b.table(), b.dir("proj", "")
	before := b.up(table, dir)
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// An operation that meets the restart waits for it.
	reply, err := table.Changes(t.Context(), "proj", wire.ChangesRequest{})
	if err != nil || !strings.HasPrefix(reply.Digest, "pid ") {
		t.Fatalf("%+v, %v", reply, err)
	}
	after := b.reaches(table, "proj", running)
	if after.PID == before.PID || after.Restarts != 1 {
		t.Errorf("%+v", after)
	}
}

func TestAnOperationThatTheServerDiesUnderIsAskedAgainOrNot(t *testing.T) {
	b := newBench(t)
	table, dir := b.table(), b.dir("proj", "dies once")
	b.up(table, dir)
	if _, err := table.Changes(t.Context(), "proj", wire.ChangesRequest{}); err != nil {
		t.Errorf("a question: %v", err)
	}
	_, err := table.Discard(t.Context(), "proj", wire.DiscardRequest{})
	wantKind(t, err, fault.Unavailable, "look at astrid status")
	var patch bytes.Buffer
	if err := table.Patch(t.Context(), "proj", wire.PatchRequest{}, &patch); err != nil || patch.String() != "one two" {
		t.Errorf("%q, %v", &patch, err)
	}
	b.behave(dir, "cut")
	err = table.Patch(t.Context(), "proj", wire.PatchRequest{}, &patch)
	wantKind(t, err, fault.Unavailable, "ask again")
}

// A caller that leaves does not make undone what is done: what came of it is known.
func TestWhatIsPastGivingUpIsTold(t *testing.T) {
	b := newBench(t)
	table, dir := b.table(), b.dir("proj", "too late")
	b.up(table, dir)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		defer leave()
		for t.Context().Err() == nil {
			if _, err := os.Stat(filepath.Join(dir, "applying")); err == nil {
				return
			}
		}
	}()
	if reply, err := table.Discard(ctx, "proj", wire.DiscardRequest{}); err != nil || reply.Kept != "there" {
		t.Errorf("%+v, %v", reply, err)
	}
}

func TestTooManyCrashesFailTheSessionUntilTheNextUp(t *testing.T) {
	b := newBench(t)
	table, dir := b.table(), b.dir("proj", "")
	s := b.up(table, dir)
	b.behave(dir, "crash")
	if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if s := b.reaches(table, "proj", failed); !strings.Contains(s.Note, "again and again") || s.Restarts != maxCrashes+1 {
		t.Errorf("%+v", s)
	}
	_, err := table.Changes(t.Context(), "proj", wire.ChangesRequest{})
	wantKind(t, err, fault.NotRunning, "run astrid up")
	if !exists(b.home.TempDir("proj")) {
		t.Error("the work of a failed session is gone")
	}
	b.behave(dir, "")
	if s := b.up(table, dir); s.State != running || s.Restarts != 0 {
		t.Errorf("%+v", s)
	}
}

func TestTheNextKernelTakesOver(t *testing.T) {
	b := newBench(t)
	dir, down, dead := b.dir("proj", ""), b.dir("down", ""), b.dir("dead", "")
	first := b.table()
	before := b.up(first, dir)
	b.up(first, down)
	if err := first.Down(t.Context(), wire.DownRequest{Session: "down"}); err != nil {
		t.Fatal(err)
	}
	pid := b.up(first, dead).PID
	first.Leave()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := b.table()
	if s := b.reaches(second, "proj", running); s.PID != before.PID || s.Created != before.Created {
		t.Errorf("not taken over: %+v, was %+v", s, before)
	}
	if s := b.reaches(second, "dead", running); s.PID == pid {
		t.Errorf("%+v", s)
	}
	if s := b.reaches(second, "down", stopped); s.PID != 0 {
		t.Errorf("%+v", s)
	}
	if err := second.Down(t.Context(), wire.DownRequest{Session: "proj"}); err != nil {
		t.Error(err)
	}
}

func TestAServerOfAnotherProtocolIsLeftRunning(t *testing.T) {
	b := newBench(t)
	table, dir := b.table(), b.dir("proj", "foreign")
	s := b.up(table, dir)
	if s.State != running || !strings.Contains(s.Note, "protocol 99") {
		t.Errorf("%+v", s)
	}
	_, err := table.Changes(t.Context(), "proj", wire.ChangesRequest{})
	wantKind(t, err, fault.Unsupported, "left running")
	if st, err := table.Status(t.Context(), "proj"); err != nil || !strings.Contains(st.Note, "protocol 99") {
		t.Errorf("%+v, %v", st, err)
	}
	if err := table.Down(t.Context(), wire.DownRequest{Session: "proj"}); err != nil {
		t.Errorf("down: %v", err)
	}
	b.reaches(table, "proj", stopped)
}

func TestABusyViewStaysUpAndIsNamed(t *testing.T) {
	b := newBench(t)
	table, dir := b.table(), b.dir("proj", "busy")
	before := b.up(table, dir)
	idle := b.up(table, b.dir("idle", ""))
	err := table.Down(t.Context(), wire.DownRequest{Session: "proj"})
	wantKind(t, err, fault.Busy, "held by somebody")
	if s := b.reaches(table, "proj", running); s.PID != before.PID {
		t.Errorf("%+v", s)
	}
	if record, _ := loadRecord(b.home, "proj"); record.Want != wire.WantUp {
		t.Errorf("%+v", record)
	}
	wantKind(t, table.Close(t.Context()), fault.Busy, "held by somebody")
	if _, held := lockHolder(b.home.ViewLock("idle")); held {
		t.Errorf("the idle one (%d) runs", idle.PID)
	}
	if pid, held := lockHolder(b.home.ViewLock("proj")); !held || pid != before.PID {
		t.Errorf("the busy one: %d, %v", pid, held)
	}
	next := b.table()
	b.reaches(next, "proj", running)
	if err := next.Down(t.Context(), wire.DownRequest{Session: "proj", Force: true}); err != nil {
		t.Errorf("by force: %v", err)
	}
}

func TestWhatIsRemovedAndWhatIsNot(t *testing.T) {
	b := newBench(t)
	table, dir := b.table(), b.dir("proj", "dirty")
	b.up(table, dir)
	wantKind(t, table.Remove(t.Context(), wire.RemoveRequest{Session: "proj"}), fault.Busy, "run astrid down")
	if err := table.Down(t.Context(), wire.DownRequest{Session: "proj"}); err != nil {
		t.Fatal(err)
	}
	if s := b.reaches(table, "proj", stopped); s.Note != "3 changes kept, not committed" {
		t.Errorf("note %q", s.Note)
	}
	wantKind(t, table.Remove(t.Context(), wire.RemoveRequest{Session: "proj"}), fault.Denied, "holds 3 changes")
	cache := filepath.Join(b.home.Cache("proj"), "mod")
	if err := errors.Join(os.MkdirAll(cache, 0o700), os.WriteFile(cache+"/f", nil, 0o400), os.Chmod(cache, 0o500)); err != nil {
		t.Fatal(err)
	}
	if err := table.Remove(t.Context(), wire.RemoveRequest{Session: "proj", Force: true}); err != nil {
		t.Fatal(err)
	}
	if exists(b.home.TempDir("proj")) || exists(b.home.Session("proj")) {
		t.Error("something is left")
	}
	b.up(table, dir)
	if err := table.Down(t.Context(), wire.DownRequest{Session: "proj", Discard: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := table.find("proj"); err == nil || exists(b.home.TempDir("proj")) {
		t.Error("discard left something")
	}
	if !exists(filepath.Join(dir, "behave")) {
		t.Error("the workspace was touched")
	}
}

func TestOperationsGiveUpWithTheirCaller(t *testing.T) {
	b := newBench(t)
	table, dir := b.table(), b.dir("proj", "hang")
	b.up(table, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := table.Changes(ctx, "proj", wire.ChangesRequest{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestAnUpForgivesTheCrashesBeforeIt(t *testing.T) {
	b := newBench(t)
	table, dir := b.table(), b.dir("proj", "")
	for range maxCrashes + 2 {
		s := b.up(table, dir)
		if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		b.reaches(table, "proj", restarting)
	}
	if s := b.up(table, dir); s.State != running {
		t.Errorf("%+v", s)
	}
}

func TestOperationsDoNotWaitForeverForARestart(t *testing.T) {
	b := newBench(t)
	table, dir := b.table(), b.dir("proj", "")
	table.patience = 50 * time.Millisecond
	s := b.up(table, dir)
	b.behave(dir, "crash")
	if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	e, _ := table.find("proj")
	if _, _, err := e.await(t.Context(), 10*time.Second, func(s string) bool { return s != running }); err != nil {
		t.Fatal(err)
	}
	_, err := table.Changes(t.Context(), "proj", wire.ChangesRequest{})
	if !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.NotRunning) {
		t.Errorf("got %v", err)
	}
}

func TestARecordThatCannotBeReadIsLeftAlone(t *testing.T) {
	b := newBench(t)
	dir := b.home.TempDir("proj")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "session.json"), []byte("{"), 0o600)); err != nil {
		t.Fatal(err)
	}
	table := b.table()
	if list, _ := table.List(t.Context()); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	if s := b.up(table, b.dir("proj", "")); s.Name != "proj-2" {
		t.Errorf("took its name: %+v", s)
	}
	_, err := table.Up(t.Context(), wire.Up{Dir: b.dir("x", ""), Session: "proj"})
	wantKind(t, err, fault.Exists, "cannot be read")
}

func TestBackoff(t *testing.T) {
	var b backoff
	now := time.Unix(1000, 0)
	var delays []time.Duration
	for range maxCrashes {
		d, again := b.next(now)
		if !again {
			t.Fatal("gave up early")
		}
		delays = append(delays, d)
		now = now.Add(time.Second)
	}
	if delays[0] != firstDelay || delays[1] != 2*firstDelay || delays[4] != 16*firstDelay {
		t.Errorf("%v", delays)
	}
	if _, again := b.next(now); again {
		t.Error("a sixth within a minute")
	}
	now = now.Add(2 * crashWindow)
	if d, again := b.next(now); !again || d != firstDelay {
		t.Errorf("after a quiet time: %v, %v", d, again)
	}
}

func TestWhoIsWorkedInKeepsAllViewsUp(t *testing.T) {
	b := newBench(t)
	table := b.table()
	free, busy := b.up(table, b.dir("a", "")), b.up(table, b.dir("b", "busy"))
	wantKind(t, table.Retire(t.Context()), fault.Busy, "held by somebody")
	list, err := table.List(t.Context())
	if err != nil || len(list) != 2 || list[0].State != running || list[1].State != running {
		t.Errorf("%+v, %v", list, err)
	}
	if list[0].PID == free.PID || list[1].PID != busy.PID {
		t.Errorf("the free one was not asked to end, or the busy one did: %+v", list)
	}
	if err := os.WriteFile(filepath.Join(busy.Base, "behave"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := table.Retire(t.Context()); err != nil {
		t.Errorf("nobody works in them: %v", err)
	}
}
