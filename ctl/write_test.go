package ctl_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"astrid/kernel/op/optest"
)

func TestCommitting(t *testing.T) {
	s := &optest.Sessions{}
	s.Add("x", "a", "b c", "d", "held/e")
	f := mount(t, s)
	const commit = "sessions/x/commit"

	if err := f.echo(commit, "\n  \n"); err != nil {
		t.Errorf("an empty line: %v", err)
	}
	if err := f.echo(commit, "a --dry-run\n"); err != nil || f.value(t, commit, "dry-run") != "true" {
		t.Errorf("a dry run: %v", err)
	}
	if err := f.echo(commit, "a 'b c' --if=d0 -m 'two of them'\n"); err != nil {
		t.Fatal(err)
	}
	if got := f.read(t, commit); got != "commit: 1\ndigest: d1\napplied: A a\napplied: A \"b c\"\n" {
		t.Errorf("read back:\n%s", got)
	}
	if got := f.read(t, "last-error"); got != "" {
		t.Errorf("last-error: %s", got)
	}

	// A moved digest, in a line without its newline: the error comes with the close.
	if err := f.echo(commit, "all --if=d9"); !errors.Is(err, syscall.ESTALE) {
		t.Errorf("a digest that moved: %v", err)
	}
	want := "error: conflict\nreason: the changes have moved from d9 to d0: look again\n"
	if got := f.read(t, commit); got != want {
		t.Errorf("read back:\n%s", got)
	}
	if got := f.read(t, "last-error"); got != "at: 1970-01-01T00:00:00Z\nop: commit x\n"+want {
		t.Errorf("last-error:\n%s", got)
	}

	// All that may be is applied; what is held back is said by EPERM.
	if err := f.echo(commit, "all\n"); !errors.Is(err, syscall.EPERM) {
		t.Errorf("with a path held back: %v", err)
	}
	if got := f.value(t, commit, "error"); got != "held_back" || f.value(t, commit, "applied") != "A d" || f.value(t, commit, "held") != "A held/e # held back" {
		t.Errorf("read back:\n%s", f.read(t, commit))
	}
	if err := f.echo(commit, `{"all":true,"git":"yes"}`+"\n"); err != nil {
		t.Errorf("JSON: %v", err)
	}
	if got := f.read(t, "sessions/x/changes"); got != "" {
		t.Errorf("left: %q", got)
	}
}

func TestABadLineDoesNothingAndSaysWhy(t *testing.T) {
	s := &optest.Sessions{}
	s.Add("x", "a")
	f := mount(t, s)
	for _, name := range []string{"commit", "discard"} {
		for _, line := range []string{"--frob", "all a", "'a", `{"path":["a"]}`, "{}"} {
			file := "sessions/x/" + name
			if err := f.echo(file, line+"\n"); !errors.Is(err, syscall.EINVAL) {
				t.Errorf("%s %q: %v", name, line, err)
			}
			if f.value(t, file, "error") != "usage" || f.value(t, "last-error", "op") != name+" x" {
				t.Errorf("%s %q: %s", name, line, f.read(t, file))
			}
		}
	}
	for _, call := range s.Calls() {
		if strings.HasPrefix(call, "commit") || strings.HasPrefix(call, "discard") {
			t.Errorf("%s was called", call)
		}
	}
	if err := f.echo("sessions/x/commit", strings.Repeat("a", 64<<10)+"\n"); err != nil && !errors.Is(err, syscall.E2BIG) {
		t.Errorf("a line at the limit: %v", err)
	}
	if err := f.echo("sessions/x/commit", strings.Repeat("a", 64<<10+1)+"\n"); !errors.Is(err, syscall.E2BIG) {
		t.Errorf("a line past the limit: %v", err)
	}
}

func TestLinesMayBeSplitAnywhere(t *testing.T) {
	s := &optest.Sessions{}
	s.Add("x", "a", "b")
	f := mount(t, s)
	w, err := os.OpenFile(f.path("sessions/x/discard"), os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []byte("a\nb\n") {
		if _, err := w.Write([]byte{c}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := slices.DeleteFunc(s.Calls(), func(c string) bool { return c != "discard x" }); len(got) != 2 {
		t.Errorf("calls: %v", got)
	}
}
