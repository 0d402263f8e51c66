package kernel

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A guest can say what it wants, and it stays in its own log.
func TestALineIsOfTheCapsuleThatItSays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	log := slog.New(slog.NewTextHandler(f, nil))
	evil := log.With("capsule", "evil")
	evil.Info("output", "line", "x capsule=good \x1b[2J\u009b\u202e")
	evil.Info("capsule=good \" capsule=good", "line", "\" capsule=good line=\"")
	evil.Info("output\ntime=2026 level=INFO msg=x capsule=good", "line", "=")
	log.With("capsule", "good").Warn("mine", "line", "hello")
	if _, err := f.WriteString("panic: \x1b[31m capsule=go\n\x1b capsule=good\n"); err != nil {
		t.Fatal(err)
	}
	read := func(id string) []string {
		r, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		lines, err := (&capsuleLog{id: id, file: r}).last(10)
		if err != nil {
			t.Fatal(err)
		}
		return lines
	}
	if got := read("good"); len(got) != 1 || !strings.Contains(got[0], "msg=mine") {
		t.Errorf("the log of good is %q", got)
	}
	got := read("evil")
	if len(got) != 3 || slices.ContainsFunc(got, func(s string) bool { return strings.ContainsAny(s, "\x1b\u009b\u202e") }) {
		t.Errorf("the log of evil is %q", got)
	}
}

func TestALogIsFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l := &capsuleLog{id: "a", file: r}
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, text := range []string{"level=INFO msg=one cap", "sule=a\nlevel=INFO msg=two capsule=a\nlevel=INFO msg=three capsule=b\nlevel"} {
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := l.follow(ctx, nil, &out); err != nil {
			t.Fatal(err)
		}
	}
	if got := out.String(); got != "level=INFO msg=one capsule=a\nlevel=INFO msg=two capsule=a\n" {
		t.Errorf("got %q", got)
	}
}
