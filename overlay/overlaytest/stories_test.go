package overlaytest

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/overlay"
	"astrid/overlay/check"
	"astrid/overlay/commit"
)

// Operations that only the process of an overlay can do.
const (
	doReopen Kind = "reopen"
	doFreeze Kind = "freeze"
	doThaw   Kind = "thaw"
	doCommit Kind = "commit"
)

// TestStories replays what the model once found, cut down to what matters. In
// the base there are the files f (mode 4755), g and the directories d and e; d/h
// and e/h are two names of one file; l is a link and e/x a file.
func TestStories(t *testing.T) {
	for name, ops := range map[string][]Op{
		"a whiteout of what the frozen layer has only": {
			{Kind: Create, Path: "d/new", Mode: 0o644}, {Kind: doFreeze}, {Kind: Unlink, Path: "d/new"}, {Kind: doThaw},
			{Kind: Create, Path: "d/new", Mode: 0o600},
		},
		"a whiteout in a directory of the view's own": {
			{Kind: Mkdir, Path: "own", Mode: 0o755}, {Kind: Create, Path: "own/a", Mode: 0o644}, {Kind: doFreeze},
			{Kind: Unlink, Path: "own/a"}, {Kind: doThaw},
		},
		"removed after it was changed and frozen": {
			{Kind: Chmod, Path: "d/h", Mode: 0o600}, {Kind: doFreeze}, {Kind: Unlink, Path: "d/h"}, {Kind: doThaw}, {Kind: doReopen},
		},
		"renamed over what was changed, frozen, removed": {
			{Kind: Chmod, Path: "g", Mode: 0o600}, {Kind: Rename, Path: "e/x", To: "g"}, {Kind: doFreeze},
			{Kind: Unlink, Path: "g"}, {Kind: doThaw}, {Kind: doReopen},
		},
		"a removed directory that is open": {
			{Kind: Mkdir, Path: "own", Mode: 0o2750}, {Kind: Chown, Path: "own", UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())},
			{Kind: Open, Path: "own", Slot: 1}, {Kind: Rmdir, Path: "own"}, {Kind: Stat, At: 1},
			{Kind: Utimes, At: 1, Atime: 5, Mtime: 6}, {Kind: Chmod, At: 1, Mode: 0o700}, {Kind: Stat, At: 1}, {Kind: Create, At: 1, Path: "a"},
		},
		"a name held back of a file of the base": {
			{Kind: Link, Path: "f", To: "d/f"}, {Kind: Create, Path: "d/new", Mode: 0o644}, {Kind: doCommit},
			{Kind: Write, Path: "f", Len: 5, Seed: 1}, {Kind: Chmod, Path: "f", Mode: 0o755}, {Kind: doCommit},
		},
		"the mode of a file of which a name was held back": {
			{Kind: Link, Path: "f", To: "d/f"}, {Kind: Unlink, Path: "g"}, {Kind: doCommit}, {Kind: doReopen},
			{Kind: Create, Path: "d/new", Mode: 0o644}, {Kind: doCommit}, {Kind: Chmod, Path: "f", Mode: 0o755}, {Kind: doCommit},
		},
		"a replacement that is held back": {
			{Kind: Write, Path: "d/h", Off: 1, Len: 1, Seed: 9}, {Kind: Create, Path: "set", Mode: 0o2644}, {Kind: doCommit},
			{Kind: Rename, Path: "set", To: "e/h"}, {Kind: Chmod, Path: "e", Mode: 0o700}, {Kind: doCommit},
		},
		"a swap of a file and a directory that is held back": {
			{Kind: Rename, Path: "e", To: "f", Flags: unix.RENAME_EXCHANGE}, {Kind: Link, Path: "d/h", To: "h"}, {Kind: doCommit},
		},
		"one of two names moved over another file": {
			{Kind: Rename, Path: "d/h", To: "g"}, {Kind: doCommit}, {Kind: Create, Path: "new", Mode: 0o644}, {Kind: doCommit},
		},
		"an open file that a commit takes away": {
			{Kind: Open, Path: "e/x", Slot: 1}, {Kind: Setxattr, At: 1, Name: "user.a", Value: []byte("v")},
			{Kind: Open, Path: "g", Slot: 2}, {Kind: Unlink, Path: "e/x"}, {Kind: Unlink, Path: "g"}, {Kind: doCommit},
			{Kind: Append, At: 1, Len: 3, Seed: 2},
		},
	} {
		t.Run(name, func(t *testing.T) { story(t, ops) })
	}
}

// story plays one, and compares after each step.
func story(t *testing.T, ops []Op) {
	c := NewCaseOver(t, storyBase)
	cfg := commit.Config{Git: "-", Journal: filepath.Join(c.root, "journal"), Undo: filepath.Join(c.root, "undo")}
	c.must(os.Mkdir(cfg.Journal, 0o700))
	c.must(os.Mkdir(cfg.Undo, 0o700))
	p, err := NewInProcess(overlay.Config{Base: c.Base, Dir: c.Dir})
	c.must(err)
	closed := false
	defer func() {
		if !closed {
			p.Close()
		}
	}()
	c.View = p
	c.Begin()
	m := &modelCase{Case: c, p: p}
	for i := range ops {
		switch op := &ops[i]; op.Kind {
		case doReopen:
			m.reopen()
		case doFreeze:
			m.freeze()
		case doThaw:
			m.thaw()
		case doCommit:
			c.Rule.Times = false // see TestCommitted
			m.commit(cfg)
		default:
			if op.At == 0 { // no story uses slot 0
				op.At = NoSlot
			}
			op.ToAt = NoSlot
			c.Step(op)
			m.compare()
		}
	}
	c.CloseSlots()
	closed = true
	c.must(p.Close())
	check.Test(t, c.Dir)
	check.TestJournals(t, cfg.Journal)
}

func storyBase(dir string) error {
	d, err := NewPosix(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for _, op := range []Op{
		{Kind: Mkdir, Path: "d", Mode: 0o755}, {Kind: Mkdir, Path: "e", Mode: 0o755},
		{Kind: Create, Path: "f", Mode: 0o644}, {Kind: Write, Path: "f", Len: 100, Seed: 3}, {Kind: Chmod, Path: "f", Mode: 0o4755},
		{Kind: Create, Path: "g", Mode: 0o644}, {Kind: Create, Path: "d/h", Mode: 0o644}, {Kind: Write, Path: "d/h", Len: 10, Seed: 4},
		{Kind: Link, Path: "d/h", To: "e/h"}, {Kind: Symlink, Path: "l", Target: "f"},
		{Kind: Create, Path: "e/x", Mode: 0o644}, {Kind: Write, Path: "e/x", Len: 70_000, Seed: 5},
	} {
		op.At, op.ToAt = NoSlot, NoSlot
		if _, err := d.Do(&op); err != nil {
			return err
		}
	}
	return d.age("", spot{dir: d.root, keep: true}, 1_600_000_000)
}
