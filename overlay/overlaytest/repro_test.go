package overlaytest

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"astrid/overlay"
	"astrid/overlay/check"
	"astrid/overlay/commit"
)

// story plays operations on a view and prints what is seen.
func story(t *testing.T, prepare func(base string), steps func(p *InProcess, do func(op Op), cfg commit.Config)) {
	t.Helper()
	root := t.TempDir()
	base := filepath.Join(root, "base")
	os.Mkdir(base, 0o755)
	prepare(base)
	p, err := NewInProcess(overlay.Config{Base: base, Dir: filepath.Join(root, "changes")})
	if err != nil {
		t.Fatal(err)
	}
	do := func(op Op) {
		op.At, op.ToAt = NoSlot, NoSlot
		r, err := p.Do(&op)
		t.Logf("%s: %s %v", &op, errnoName(r.Errno), err)
	}
	cfg := commit.Config{Git: "-"}
	for name, dir := range map[string]*string{"journal": &cfg.Journal, "undo": &cfg.Undo} {
		*dir = filepath.Join(root, name)
		os.Mkdir(*dir, 0o700)
	}
	steps(p, do, cfg)
	m, err := p.Image()
	t.Logf("%v %q", err, m.Paths())
	for _, n := range m.Paths() {
		t.Logf("%q %o %d %s ino %d nlink %d", n, m[n].Mode, m[n].Size, ns(m[n].Mtime), m[n].Ino, m[n].Nlink)
	}
	b, _ := NewPosix(base)
	bm, _ := b.Image()
	for _, n := range bm.Paths() {
		t.Logf("base %q %o %d %s ino %d nlink %d", n, bm[n].Mode, bm[n].Size, ns(bm[n].Mtime), bm[n].Ino, bm[n].Nlink)
	}
	p.Close()
	check.Test(t, filepath.Join(root, "changes"))
}

func (p *InProcess) commit(t *testing.T, cfg commit.Config) {
	r, err := commit.Commit(context.Background(), p.Overlay, cfg, commit.Request{})
	t.Logf("commit %d %v", r.Number, err)
	for _, c := range r.Applied {
		t.Logf("applied %v %s", c.Op, c.Path)
	}
	for _, c := range r.Held {
		t.Logf("held %v %s %s", c.Op, c.Path, c.Note)
	}
}

func TestStory(t *testing.T) {
	story(t, func(base string) {
		os.Mkdir(base+"/c", 0o755)
		os.Mkdir(base+"/d", 0o755)
		os.WriteFile(base+"/c/d", []byte("x"), 0o644)
		os.Link(base+"/c/d", base+"/c/a")
	}, func(p *InProcess, do func(op Op), cfg commit.Config) {
		do(Op{Kind: Unlink, Path: "c/a"})
		do(Op{Kind: Rename, Path: "c/d", To: "d/d"})
		p.commit(t, cfg)
		p.commit(t, cfg)
	})
}
