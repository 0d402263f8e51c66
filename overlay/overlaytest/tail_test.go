package overlaytest

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/overlay"
	"astrid/overlay/check"
	"astrid/overlay/meta"
)

// step is one operation of a history: how long the log was after it, and what
// the view looked like.
type past struct {
	what  string
	size  int64
	image Image
}

// history is a view whose log grows by one operation after the other.
type history struct {
	t         *testing.T
	base, dir string
	p         *InProcess
	steps     []past
}

func newHistory(t *testing.T) *history {
	t.Helper()
	root := t.TempDir()
	h := &history{t: t, base: filepath.Join(root, "base"), dir: filepath.Join(root, "changes")}
	for _, d := range []string{"", "dir/sub", "full"} {
		h.try(os.MkdirAll(filepath.Join(h.base, d), 0o755))
	}
	for _, f := range []string{"file", "dir/f", "dir/sub/g", "full/x", "linked"} {
		h.try(os.WriteFile(filepath.Join(h.base, f), []byte("the content of "+f), 0o644))
	}
	h.try(os.Link(filepath.Join(h.base, "linked"), filepath.Join(h.base, "dir/linked")))
	h.try(os.WriteFile(filepath.Join(h.base, "big"), Bytes(7, 100_000), 0o644))
	h.try(os.Symlink("file", filepath.Join(h.base, "link")))
	p, err := NewInProcess(overlay.Config{Base: h.base, Dir: h.dir})
	h.try(err)
	h.p = p
	h.note("nothing")
	return h
}

func (h *history) try(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// logFile returns the newest log.
func logFile(t *testing.T, dir string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(all) == 0 {
		t.Fatalf("logs: %q, %v", all, err)
	}
	sort.Slice(all, func(i, j int) bool { return len(all[i]) < len(all[j]) || len(all[i]) == len(all[j]) && all[i] < all[j] })
	return all[len(all)-1]
}

func (h *history) note(what string) {
	h.t.Helper()
	st, err := os.Stat(logFile(h.t, h.dir))
	h.try(err)
	image, err := h.p.Image()
	h.try(err)
	h.steps = append(h.steps, past{what, st.Size(), image})
}

func (h *history) do(op Op) {
	h.t.Helper()
	op.At, op.ToAt = NoSlot, NoSlot
	r, err := h.p.Do(&op)
	h.try(err)
	if r.Errno != 0 {
		h.t.Fatalf("%s: %s", &op, errnoName(r.Errno))
	}
	h.note(op.String())
}

// at opens what is left when the log is damaged in some way.
func (h *history) at(damage func(log string)) (Image, error) {
	h.t.Helper()
	dir := h.copied()
	damage(logFile(h.t, dir))
	check.Killed(h.t, dir)
	p, err := NewInProcess(overlay.Config{Base: h.base, Dir: dir})
	if err != nil {
		return nil, err
	}
	image, err := p.Image()
	if err == nil {
		err = p.Close()
	}
	check.Test(h.t, dir)
	return image, err
}

// ends returns where the records of a log end, the header first.
func (h *history) ends() []int64 {
	h.t.Helper()
	b, err := os.ReadFile(logFile(h.t, h.dir))
	h.try(err)
	all := []int64{64}
	for at := int64(64); at+8 <= int64(len(b)); {
		n := binary.LittleEndian.Uint32(b[at:])
		if n == 0 {
			break
		}
		at += 8 + int64(n)
		all = append(all, at)
	}
	return all
}

// replayed returns where a log of the directory ends, as far as it is believed.
func (h *history) replayed(dir string) int64 {
	h.t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	h.try(err)
	defer unix.Close(fd)
	stack, err := meta.LoadStack(fd, true)
	h.try(err)
	defer meta.CloseStack(stack)
	return stack[len(stack)-1].Size()
}

// copied is a copy of the changes to be damaged.
func (h *history) copied() string {
	h.t.Helper()
	dir := h.t.TempDir()
	h.try(os.Chmod(dir, 0o700))
	h.try(CopyTree(h.dir, dir))
	return dir
}

// amid returns the states before and after the operation that the log was at
// when it was so long.
func (h *history) amid(size int64) (before, after past) {
	for i := 1; i < len(h.steps); i++ {
		if size < h.steps[i].size {
			return h.steps[i-1], h.steps[i]
		}
	}
	last := h.steps[len(h.steps)-1]
	return last, last
}

// edge is how many bytes at either end of a record are looked at one by one.
const edge = 300

// TestTornTail cuts the log at every byte: the whole records before it count and
// nothing else, and what the view shows then is what it showed before an
// operation or after it.
func TestTornTail(t *testing.T) {
	h := newHistory(t)
	defer func() { h.p.Close() }()
	h.tell()
	ends := h.ends()
	dir := h.copied()
	log := logFile(t, dir)
	for i := len(ends) - 1; i > 0; i-- {
		for size := ends[i] - 1; size >= ends[i-1]; size-- {
			if size == ends[i]-edge && size > ends[i-1]+edge {
				size = ends[i-1] + edge // the bytes of a large file
			}
			h.try(os.Truncate(log, size))
			if got := h.replayed(dir); got != ends[i-1] {
				t.Fatalf("a log of %d bytes is believed up to %d, its last whole record ends at %d", size, got, ends[i-1])
			}
		}
	}
	for _, size := range ends {
		if size < h.steps[0].size {
			continue
		}
		before, after := h.amid(size)
		image, err := h.at(func(log string) { h.try(os.Truncate(log, min(size+5, ends[len(ends)-1]))) })
		h.either(fmt.Sprintf("log of %d bytes", size), before, after, image, err)
	}
}

// either fails unless the image is one of two.
func (h *history) either(where string, before, after past, image Image, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Errorf("%s, amid %s: %v", where, after.what, err)
		return
	}
	rule := Rule{Exact: true, Times: true, DirTimes: true, DirLinks: true}
	was := rule.Diff(before.image, image)
	if len(was) == 0 {
		return
	}
	if is := rule.Diff(after.image, image); len(is) > 0 {
		h.t.Errorf("%s, %s is half done:\nbefore it: %q\nafter it: %q", where, after.what, was, is)
	}
}

// tell does one of each thing whose facts are all in the log.
func (h *history) tell() {
	for _, op := range []Op{
		{Kind: Create, Path: "new", Mode: 0o644},
		{Kind: Write, Path: "new", Len: 20, Seed: 1},
		{Kind: Append, Path: "new", Len: 5, Seed: 2},
		{Kind: Truncate, Path: "new", Len: 7},
		{Kind: Mkdir, Path: "d", Mode: 0o755},
		{Kind: Symlink, Path: "d/s", Target: "x"},
		{Kind: Mknod, Path: "d/fifo", Mode: unix.S_IFIFO | 0o600},
		{Kind: Link, Path: "new", To: "d/new"},
		{Kind: Chmod, Path: "file", Mode: 0o600},
		{Kind: Utimes, Path: "dir/f", Atime: 5, Mtime: 6},
		{Kind: Setxattr, Path: "dir", Name: "user.a", Value: []byte("v")},
		{Kind: Rmxattr, Path: "dir", Name: "user.a"},
		{Kind: Write, Path: "file", Off: 3, Len: 4, Seed: 3},
		{Kind: Truncate, Path: "dir/f", Len: 3},
		{Kind: Truncate, Path: "big", Len: 10},
		{Kind: Append, Path: "linked", Len: 4, Seed: 4},
		{Kind: Unlink, Path: "dir/linked"},
		{Kind: Fallocate, Path: "linked", Off: 30, Len: 4},
		{Kind: Rename, Path: "dir", To: "d/moved"},
		{Kind: Rename, Path: "d/moved/sub/g", To: "new"},
		{Kind: Rename, Path: "full", To: "d", Flags: unix.RENAME_EXCHANGE},
		{Kind: Unlink, Path: "d/x"},
		{Kind: Rmdir, Path: "d"},
		{Kind: Unlink, Path: "link"},
		{Kind: Mkdir, Path: "d", Mode: 0o700},
	} {
		h.do(op)
	}
}

// TestDamagedTail changes every byte of every record in place: that record is not
// believed, and neither is what comes after it.
func TestDamagedTail(t *testing.T) {
	h := newHistory(t)
	defer func() { h.p.Close() }()
	h.do(Op{Kind: Create, Path: "a", Mode: 0o644})
	h.do(Op{Kind: Write, Path: "a", Len: 30, Seed: 1})
	h.do(Op{Kind: Unlink, Path: "file"})
	ends := h.ends()
	dir := h.copied()
	log := logFile(t, dir)
	for i := 1; i < len(ends); i++ {
		for off := ends[i-1]; off < ends[i]; off++ {
			h.flip(log, off)
			if got := h.replayed(dir); got != ends[i-1] {
				t.Fatalf("with byte %d changed the log is believed up to %d, that record begins at %d", off, got, ends[i-1])
			}
			h.flip(log, off)
		}
		if ends[i-1] < h.steps[0].size {
			continue
		}
		before, after := h.amid(ends[i-1])
		image, err := h.at(func(log string) { h.flip(log, ends[i]-1) })
		h.either(fmt.Sprintf("byte %d changed", ends[i]-1), before, after, image, err)
	}
}

// flip changes one byte.
func (h *history) flip(log string, off int64) {
	h.t.Helper()
	f, err := os.OpenFile(log, os.O_RDWR, 0)
	h.try(err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], off)
	h.try(err)
	b[0] ^= 0x41
	_, err = f.WriteAt(b[:], off)
	h.try(err)
}
