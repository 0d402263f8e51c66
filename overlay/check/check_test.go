package check_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/overlay/check"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

const (
	root = 2 // a number of the base
	all  = meta.OwnPerm | meta.OwnTimes | meta.OwnXattrs | meta.OwnContent
)

func own(n uint64) uint64 { return n | meta.OwnBit }

// disk is the directory of a session, made by hand.
type disk struct {
	t   *testing.T
	dir string
	fd  int
	top *meta.Layer
	tx  meta.Tx
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	dir := t.TempDir()
	try(t, os.Chmod(dir, 0o700))
	try(t, os.Mkdir(filepath.Join(dir, "data"), 0o700))
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	try(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	d := &disk{t: t, dir: dir, fd: fd}
	d.layer(1)
	return d
}

// layer puts a new layer on top.
func (d *disk) layer(epoch uint64) {
	d.t.Helper()
	l, err := meta.Create(d.fd, epoch, epoch-1)
	try(d.t, err)
	d.t.Cleanup(func() { l.Close() })
	try(d.t, meta.SetHead(d.fd, epoch))
	d.top = l
}

func (d *disk) commit() {
	d.t.Helper()
	try(d.t, d.top.Commit(&d.tx))
	d.tx.Reset()
}

func (d *disk) write(name, text string) {
	d.t.Helper()
	try(d.t, os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600))
}

func (d *disk) run() check.Report {
	d.t.Helper()
	r, err := check.Run(context.Background(), d.dir)
	try(d.t, err)
	return r
}

func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func file(n uint64, nlink int32) *meta.Rec {
	return &meta.Rec{Ino: own(n), Kind: unix.S_IFREG, Own: all, Mode: 0o644, Nlink: nlink, Where: meta.Inline}
}

func dir(n uint64, nlink int32) *meta.Rec {
	return &meta.Rec{Ino: own(n), Kind: unix.S_IFDIR, Own: all, Mode: 0o755, Nlink: nlink}
}

func base(ino uint64, path string) *meta.Rec {
	return &meta.Rec{
		Ino: ino, Kind: unix.S_IFREG, Mode: 0o644, Nlink: 1,
		Base: &meta.Base{Path: path, Key: layer.Key{Ino: ino, Btime: 5}},
	}
}

func (d *disk) enter(in uint64, name string, x *meta.Rec, birth uint64) {
	d.tx.Enter(in, name, meta.Entry{Ino: x.Ino, Kind: x.Kind, Birth: birth})
}

// healthy fills d with some of everything.
func healthy(d *disk) {
	f, sub, deep := file(1, 2), dir(2, 3), dir(3, 2)
	f.Size = 4
	d.tx.Put(f, []byte("text"))
	d.tx.Put(sub, nil)
	d.tx.Put(deep, nil)
	d.enter(root, "a", f, 1)
	d.enter(own(2), "b", f, 2)
	d.enter(root, "sub", sub, 3)
	d.enter(own(2), "deep", deep, 4)
	big := file(4, 1)
	big.Where, big.DataID, big.Epoch = meta.Data, 1, 1
	d.write("data/1", "big")
	d.tx.Put(big, nil)
	d.enter(own(3), "big", big, 5)
	orphan := file(5, 0)
	d.tx.Put(orphan, nil)
	changed := base(77, "x/y")
	changed.Own |= meta.OwnContent | meta.OwnTimes
	changed.Copied, changed.Where, changed.HasHash = true, meta.Inline, true
	d.tx.Put(changed, nil)
	d.tx.Blob([32]byte{}, []byte("original"))
	d.tx.Hide(root, "removed")
	d.tx.Bury(root, "removed too", &meta.Grave{
		Finger: layer.Fingerprint{Key: layer.Key{Ino: 90}, Mode: unix.S_IFDIR | 0o755}, Marks: []meta.Mark{{ID: 1}, {ID: 2}},
	})
	d.tx.Bury(root, "never seen", &meta.Grave{})
	aliased := base(own(6), "z")
	aliased.Base.Key.Ino = 78
	d.tx.Put(aliased, nil)
	d.tx.Alias(aliased.Base.Key, own(6))
	d.tx.Next(7, 2, 6)
	d.commit()
	d.layer(2)
	d.tx.Put(&meta.Rec{Ino: own(5), Kind: unix.S_IFREG, Own: meta.Dead}, nil)
	d.tx.Hide(own(2), "b") // of the layer below
	d.tx.Put(file(1, 1), nil)
	d.tx.Next(7, 2, 6)
	d.commit()
}

func TestHealthy(t *testing.T) {
	d := newDisk(t)
	healthy(d)
	check.Test(t, d.dir)
	r := d.run()
	if r.Layers != 2 || r.Records != 6 || r.Entries != 4 || r.DataFiles != 1 || r.Orphans != 0 {
		t.Errorf("%+v", r)
	}
}

func TestNeverOpened(t *testing.T) {
	dir := t.TempDir()
	try(t, os.Chmod(dir, 0o700))
	check.Test(t, dir)
	if _, err := check.Run(context.Background(), filepath.Join(dir, "nothing")); !os.IsNotExist(err) {
		t.Errorf("a directory that is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d := newDisk(t)
	if _, err := check.Run(ctx, d.dir); err == nil {
		t.Error("a cancelled check says that all is well")
	}
}

// TestFindings breaks one thing at a time.
func TestFindings(t *testing.T) {
	for _, c := range []struct {
		name  string
		brk   func(*disk)
		finds string
	}{
		{"the directory is open to others", func(d *disk) { os.Chmod(d.dir, 0o755) }, "has mode 0755"},
		{"the log is open to others", func(d *disk) { os.Chmod(d.dir+"/1.log", 0o644) }, "log 1.log has mode"},
		{"a log is missing", func(d *disk) { os.Remove(d.dir + "/1.log") }, "chain of layers"},
		{"HEAD is garbage", func(d *disk) { d.write("HEAD", "astrid-head 1\nx\n") }, "chain of layers"},
		{"the header is damaged", func(d *disk) { d.write("2.log", strings.Repeat("x", 64)) }, "chain of layers"},
		{"no data directory", func(d *disk) { os.RemoveAll(d.dir + "/data") }, `no directory "data"`},
		{"a data file is missing", func(d *disk) { os.Remove(d.dir + "/data/1") }, "data file 1 of object"},
		{"a data file is a link", func(d *disk) { os.Remove(d.dir + "/data/1"); os.Symlink("/etc/passwd", d.dir+"/data/1") }, "data file 1 of object"},
		{"a data file has two names", func(d *disk) { os.Link(d.dir+"/data/1", d.dir+"/data/2") }, "has 2 names"},
		{"a data file is of two", func(d *disk) {
			x := file(1, 1)
			x.Where, x.DataID, x.Epoch = meta.Data, 1, 1
			d.tx.Put(x, nil)
		}, "data file 1 belongs to object"},
		{"a data file of the future", func(d *disk) {
			x := file(4, 1)
			x.Where, x.DataID, x.Epoch = meta.Data, 1, 9
			d.tx.Put(x, nil)
		}, "may be written to by layer 9"},
		{"an entry without a record", func(d *disk) { d.enter(root, "n", file(99, 1), 5) }, "of which there is no record"},
		{"an entry of another kind", func(d *disk) { d.enter(root, "n", dir(1, 2), 5); d.tx.Leave(root, "a") }, "is of kind"},
		{"a birth given twice", func(d *disk) { d.enter(root, "n", file(1, 1), 1) }, "same birth 1"},
		{"a name with a slash", func(d *disk) { d.enter(root, "a/b", file(1, 1), 5) }, "is no name"},
		{"a whiteout of dot-dot", func(d *disk) { d.tx.Hide(root, "..") }, "is no name"},
		{"a grave in disorder", func(d *disk) {
			d.tx.Bury(root, "g", &meta.Grave{Finger: layer.Fingerprint{Key: layer.Key{Ino: 90}, Mode: unix.S_IFDIR}, Marks: []meta.Mark{{ID: 2}, {ID: 1}}})
		}, "makes no sense"},
		{"a grave of a file with something in it", func(d *disk) {
			d.tx.Bury(root, "g", &meta.Grave{Finger: layer.Fingerprint{Key: layer.Key{Ino: 90}, Mode: unix.S_IFREG}, Marks: []meta.Mark{{ID: 1}}})
		}, "makes no sense"},
		{"a name too many", func(d *disk) { d.enter(root, "n", file(1, 1), 5) }, "has 2 names and a link count of 1"},
		{"a name too few", func(d *disk) { d.tx.Hide(root, "a") }, "has 0 names and a link count of 1"},
		{"a base file with more names than links", func(d *disk) { d.enter(root, "n", base(77, "x/y"), 5); d.enter(root, "m", base(77, "x/y"), 4) }, "has 2 names in the layers alone"},
		{"a directory without a name", func(d *disk) { d.tx.Hide(own(2), "deep") }, "was made in the view and has no name"},
		{"a directory with two names", func(d *disk) { d.enter(root, "n", dir(3, 2), 5) }, "has 2 names"},
		{"a directory with a wrong count", func(d *disk) { d.tx.Put(dir(2, 5), nil) }, "link count of 5"},
		{"a directory in itself", func(d *disk) { d.tx.Hide(root, "sub"); d.enter(own(3), "up", dir(2, 3), 5) }, "lies in itself"},
		{"entries of a removed directory", func(d *disk) {
			d.tx.Put(&meta.Rec{Ino: own(3), Kind: unix.S_IFDIR, Own: meta.Dead}, nil)
			d.enter(own(3), "n", file(1, 1), 5)
		}, "is gone and has 1 names"},
		{"entries of nothing", func(d *disk) { d.enter(own(55), "n", file(1, 1), 5) }, "is not there and has 1 names"},
		{"entries of a file", func(d *disk) { d.enter(own(1), "n", file(1, 1), 5) }, "is no directory"},
		{"a whiteout over nothing", func(d *disk) { d.tx.Hide(own(3), "n") }, "where there is nothing"},
		{"a number not given out", func(d *disk) { x := base(own(0), "x"); x.Base.Key.Ino = 80; d.tx.Put(x, nil) }, "never given that number"},
		{"a number of another", func(d *disk) { d.tx.Put(base(own(6), "x"), nil) }, "its number was given to"},
		{"a number of a base object, of the view's own", func(d *disk) { d.tx.Put(file(6, 0), nil) }, "also that of the base object"},
		{"two with one number", func(d *disk) { d.tx.Alias(layer.Key{Ino: 1}, own(6)); d.tx.Alias(layer.Key{Ino: 3}, own(6)) }, "both have the number"},
		{"permission bits", func(d *disk) { x := file(1, 1); x.Mode = 0o100644; d.tx.Put(x, nil) }, "permission bits"},
		{"half an own record", func(d *disk) { x := file(1, 1); x.Own = meta.OwnPerm; d.tx.Put(x, nil) }, "owns only"},
		{"an original of the view's own", func(d *disk) { x := file(1, 1); x.Copied = true; d.tx.Put(x, nil) }, "has an original"},
		{"an original that is not kept", func(d *disk) { x := base(80, "x"); x.HasHash, x.Hash[0] = true, 1; d.tx.Put(x, nil) }, "is not kept"},
		{"content without a fingerprint", func(d *disk) { x := base(80, "x"); x.Where = meta.Inline; d.tx.Put(x, nil) }, "its content is at 1"},
		{"a path that climbs", func(d *disk) { d.tx.Put(base(80, "../x"), nil) }, "its base path is"},
		{"a symlink without a target", func(d *disk) { x := file(1, 1); x.Kind, x.Where = unix.S_IFLNK, meta.Below; d.tx.Put(x, nil) }, "a target of 0 bytes"},
		{"an attribute that is too large", func(d *disk) {
			x := file(1, 1)
			x.Xattrs = map[string][]byte{"user.x": make([]byte, 70<<10)}
			d.tx.Put(x, nil)
		}, "attribute"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDisk(t)
			healthy(d)
			c.brk(d)
			if d.tx.Len() > 0 {
				d.commit()
			}
			r := d.run()
			if r.OK() || !slices.ContainsFunc(r.Findings, func(s string) bool { return strings.Contains(s, c.finds) }) {
				t.Errorf("findings: %q", r.Findings)
			}
		})
	}
}

func TestLeftovers(t *testing.T) {
	for name, c := range map[string]struct {
		brk   func(*disk)
		finds string
	}{
		"a torn tail": {func(d *disk) {
			f, err := os.OpenFile(d.dir+"/1.log", os.O_WRONLY|os.O_APPEND, 0)
			try(t, err)
			_, err = f.Write([]byte{0, 0, 0, 0, 0, 0, 7})
			try(t, err)
			f.Close()
		}, "torn"},
		"a log that nothing leads to": {func(d *disk) { d.write("9.log", "") }, `nothing leads to "9.log"`},
		"a temporary file":            {func(d *disk) { d.write("HEAD.tmp", "") }, "temporary file"},
		"an unnamed data file":        {func(d *disk) { d.write("data/9", "") }, `the data file "9"`},
	} {
		d := newDisk(t)
		healthy(d)
		c.brk(d)
		r := d.run()
		if !r.OK() || len(r.Leftovers) != 1 || !strings.Contains(r.Leftovers[0], c.finds) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	d := newDisk(t)
	healthy(d)
	try(t, os.Truncate(d.dir+"/2.log", 1<<20)) // zeros are not torn
	check.Test(t, d.dir)
}

// recorder is a test that fails and lives.
type recorder struct {
	testing.TB
	failed int
}

func (r *recorder) Errorf(string, ...any) { r.failed++ }

func TestTestFails(t *testing.T) {
	d := newDisk(t)
	healthy(d)
	d.write("data/9", "")
	r := &recorder{TB: t}
	check.Killed(r, d.dir)
	if r.failed != 0 {
		t.Errorf("a leftover is a finding")
	}
	check.Test(r, d.dir)
	if r.failed != 1 {
		t.Errorf("%d failures of one leftover", r.failed)
	}
	os.Remove(d.dir + "/data/1")
	check.Killed(r, d.dir)
	if r.failed != 2 {
		t.Errorf("%d failures with one finding more", r.failed)
	}
}
