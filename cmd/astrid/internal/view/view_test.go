package view

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"astrid/kernel/wire"
)

func TestChanges(t *testing.T) {
	list := []wire.Change{
		{Op: "A", Path: "new"},
		{Op: "R", From: "old", Path: "with space"},
		{Op: "M", PathB64: []byte("raw\xff")},
		{Op: "M", Path: ".git", Note: "3 paths"},
		{Op: "A", Path: "esc\x1b[31m"},
	}
	for name, c := range map[string]struct {
		write func(*bytes.Buffer) error
		want  string
	}{
		"plain": {
			func(b *bytes.Buffer) error { return Changes(b, list, Style{}) },
			"A new\nR old \"with space\"\nM \"raw\\377\"\nM .git # 3 paths\nA \"esc\\033[31m\"\n",
		},
		"raw": {
			func(b *bytes.Buffer) error { return ChangesZ(b, list) },
			"A new\x00R with space\x00old\x00M raw\xff\x00M .git\x00A esc\x1b[31m\x00",
		},
		"painted": {
			func(b *bytes.Buffer) error { return Changes(b, list[:2], Style{Colour: true}) },
			"\x1b[32mA\x1b[0m new\n\x1b[36mR\x1b[0m old -> \"with space\"\n",
		},
		"counted": {
			func(b *bytes.Buffer) error {
				return Stat(b, []wire.Change{{Op: "M", Path: "a", Added: 2, Deleted: 1}, {Op: "A", Path: "pic", Binary: true}}, Style{})
			},
			" a   | 3 ++-\n pic | binary\n 2 paths, 2 lines added, 1 deleted\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := c.write(&b); err != nil || b.String() != c.want {
				t.Errorf("%v\n%q\n%q", err, b.String(), c.want)
			}
		})
	}
}

func TestAListIsShownInPart(t *testing.T) {
	list := make([]wire.Change, some+5)
	for i := range list {
		list[i] = wire.Change{Op: "A", Path: strings.Repeat("x", i+1)}
	}
	var b bytes.Buffer
	if err := Some(&b, list, Style{}); err != nil || !strings.HasSuffix(b.String(), "... and 5 more; astrid changes lists them all\n") {
		t.Errorf("%v, %q", err, &b)
	}
}

func TestCommit(t *testing.T) {
	var b bytes.Buffer
	err := Commit(&b, wire.CommitReply{
		Number:  3,
		Applied: []wire.Change{{Op: "A", Path: "a"}},
		Held:    []wire.Change{{Op: "A", Path: ".env", Note: "a key\nor so"}},
		Skipped: []wire.Change{{Op: "A", Path: "build"}},
		Outside: []string{"also known as /x"},
	}, Style{})
	for _, want := range []string{"commit 3 applied 1 path: 1 added", "held back", ".env  (a key?or so)", "left out: 1 path", "note: also known"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%v, no %q in\n%s", err, want, &b)
		}
	}
}

func TestThePagerPaintsLineByLine(t *testing.T) {
	var b bytes.Buffer
	p := &Pager{style: Style{Colour: true}, out: &b}
	patch := "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n+++ not a header\n kept\n\\ No newline"
	for i := range len(patch) { // pieces end anywhere
		if _, err := p.Write([]byte{patch[i]}); err != nil {
			t.Fatal(err)
		}
	}
	if p.Close() {
		t.Error("nobody left")
	}
	want := "\x1b[1mdiff --git a/x b/x\x1b[0m\n\x1b[1m--- a/x\x1b[0m\n\x1b[1m+++ b/x\x1b[0m\n\x1b[36m@@ -1 +1 @@\x1b[0m\n" +
		"\x1b[31m-old\x1b[0m\n\x1b[32m+new\x1b[0m\n\x1b[32m+++ not a header\x1b[0m\n kept\n\\ No newline"
	if b.String() != want {
		t.Errorf("%q\n%q", b.String(), want)
	}
}

func TestAReaderThatHasSeenEnoughIsNoError(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	p := NewPager(w, os.Stderr, Style{}, nil)
	if _, err := p.Write([]byte("x")); err == nil || !p.Close() {
		t.Errorf("err %v", err)
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 8 << 20: "8.0 MiB", 3 << 50: "3 PiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
