package check

import (
	"context"
)

// TB is what Test needs of a testing.TB.
type TB interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
}

// Test fails a test with everything that is wrong with the directory of a
// session that was closed, leftovers too.
func Test(t TB, dir string) {
	t.Helper()
	for _, s := range Killed(t, dir).Leftovers {
		t.Errorf("%s: left over: %s", dir, s)
	}
}

// Killed is Test for a session that was killed and not opened since: leftovers
// are what its next opening is for.
func Killed(t TB, dir string) Report {
	t.Helper()
	r, err := Run(context.WithoutCancel(t.Context()), dir)
	if err != nil {
		t.Errorf("%v", err)
	}
	for _, s := range r.Findings {
		t.Errorf("%s: %s", dir, s)
	}
	return r
}

// TestJournals fails a test with everything that is wrong with the directory of
// journals, unfinished commits too.
func TestJournals(t TB, dir string) {
	t.Helper()
	r, err := Journals(context.WithoutCancel(t.Context()), dir)
	if err != nil {
		t.Errorf("%v", err)
	}
	for _, s := range append(r.Findings, r.Leftovers...) {
		t.Errorf("%s: %s", dir, s)
	}
}
