package overlaytest

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/overlay"
	"astrid/overlay/check"
)

// story plays operations on a view and prints what is seen.
func story(t *testing.T, prepare func(base string), steps func(p *InProcess, do func(op Op))) {
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
	steps(p, do)
	m, err := p.Image()
	t.Logf("%v %q", err, m.Paths())
	for _, n := range m.Paths() {
		t.Logf("%q %+v", n, m[n])
	}
	p.Close()
	check.Test(t, filepath.Join(root, "changes"))
}

func TestStory(t *testing.T) {
	story(t, func(base string) {
		os.Mkdir(base+"/d", 0o755)
		os.WriteFile(base+"/d/x", nil, 0o644)
	}, func(p *InProcess, do func(op Op)) {
		do(Op{Kind: Chown, Path: "d/x", UID: 1, GID: 2})
		p.Overlay.Freeze()
		do(Op{Kind: Unlink, Path: "d/x"})
		do(Op{Kind: Readdir, Path: "d"})
		p.Overlay.Thaw(nil)
	})
	_ = unix.S_IFDIR
}
