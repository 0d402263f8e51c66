package meta

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
)

func openDir(t testing.TB) int {
	t.Helper()
	fd, err := unix.Open(t.TempDir(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// sample are transactions that use every fact.
func sample() []*Tx {
	file := &Rec{
		Ino: OwnBit | 7, Kind: unix.S_IFREG, Own: OwnPerm | OwnTimes | OwnXattrs | OwnContent, Mode: 0o644,
		UID: 1, GID: 2, Atime: 3, Mtime: -4, Ctime: 5, Btime: 6, Nlink: 1, Where: Inline, Size: 5,
		Xattrs: map[string][]byte{"user.a": []byte("x"), "user.b": {}},
	}
	dir := &Rec{Ino: 12, Kind: unix.S_IFDIR, Nlink: -1, Base: &Base{Path: "a\nb/c", Key: layer.Key{Ino: 12, Btime: 99}}}
	data := &Rec{
		Ino: 13, Kind: unix.S_IFREG, Own: OwnContent, Where: Data, DataID: 3, Epoch: 1, Nlink: 2,
		Base: &Base{Path: "f", Key: layer.Key{Ino: 13}}, Copied: true, HasHash: true, Hash: [32]byte{1, 2, 3},
		Finger: layer.Fingerprint{Key: layer.Key{Ino: 13, Gen: 4}, Mode: 0o100600, Size: 1 << 40, Mtime: 1, Ctime: 2},
	}
	link := &Rec{Ino: OwnBit | 8, Kind: unix.S_IFLNK, Own: OwnContent, Target: "to", Nlink: 1}
	txs := []*Tx{{}, {}, {}, {}}
	txs[0].Put(file, []byte("hello"))
	txs[0].Put(dir, nil)
	txs[0].Put(data, nil)
	txs[0].Put(link, nil)
	txs[0].Enter(12, "\xff\n name", Entry{Ino: file.Ino, Kind: unix.S_IFREG, Birth: 4})
	txs[0].Enter(12, "second", Entry{Ino: link.Ino, Kind: unix.S_IFLNK, Birth: 5})
	txs[1].Hide(12, "gone")
	txs[1].Hide(12, "back")
	txs[1].Touch(12, 77, 1)
	txs[1].Write(file.Ino, 3, []byte("LO, world"), 88)
	txs[1].Blob(data.Hash, []byte("original"))
	txs[2].Show(12, "back")
	txs[2].Leave(12, "second")
	txs[2].Drop(link.Ino)
	txs[2].Resize(file.Ino, 4, 89)
	txs[2].Resize(file.Ino, 6, 90)
	file.Mode = 0o600
	txs[2].Attr(file)
	txs[2].Xattrs(file.Ino, map[string][]byte{"user.c": []byte("y")})
	txs[3].Alias(layer.Key{Ino: 55, Btime: 1}, OwnBit|9)
	txs[3].Folded(3)
	txs[3].Next(20, 21, 22)
	txs[3].Enter(99, "x", Entry{Ino: file.Ino})
	txs[3].Clear(99)
	txs[3].Bury(12, "grave", &Grave{Finger: data.Finger, Marks: []Mark{{ID: 1, State: 7, Ctime: 5}, {ID: 9, Ctime: -1}}})
	txs[3].Bury(12, "unseen", &Grave{Partly: true})
	return txs
}

// state is what a layer says, with content read.
type state struct {
	Recs    map[uint64]Rec
	Content map[uint64]string
	Dirs    map[uint64]*Delta
	Aliases map[layer.Key]uint64
	Next    [4]uint64
}

func stateOf(t testing.TB, l *Layer) state {
	t.Helper()
	s := state{Recs: map[uint64]Rec{}, Content: map[uint64]string{}, Dirs: l.Dirs, Aliases: l.Aliases,
		Next: [4]uint64{l.NextIno, l.NextData, l.Birth, l.LastFold}}
	for ino, x := range l.Recs {
		b := make([]byte, x.Size)
		if n, err := l.ReadInline(x, b, 0); err != nil || n != len(b) {
			t.Fatalf("content of %d: %d, %v", ino, n, err)
		}
		c := *x
		c.Slice, c.Bytes = Slice{}, nil
		s.Recs[ino], s.Content[ino] = c, string(b)
	}
	return s
}

func commit(t testing.TB, l *Layer, txs []*Tx) {
	t.Helper()
	for _, tx := range txs {
		if err := l.Commit(tx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReplaySaysWhatMemorySaid(t *testing.T) {
	fd := openDir(t)
	l, err := Create(fd, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, l, sample())
	want := stateOf(t, l)
	if got := want.Content[OwnBit|7]; got != "helL\x00\x00" {
		t.Fatalf("content %q", got)
	}
	l.Close()
	l, err = Load(fd, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if d := cmp.Diff(want, stateOf(t, l), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("replay differs:\n%s", d)
	}
	n, err := Sum(l).Write(fd, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if d := cmp.Diff(want, stateOf(t, n), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("rewritten log differs:\n%s", d)
	}
	if b, ok, err := n.Blob([32]byte{1, 2, 3}); err != nil || !ok || string(b) != "original" {
		t.Errorf("original after rewriting: %q %v %v", b, ok, err)
	}
}

// one puts each transaction into a list of its own.
func one(txs []*Tx) (lists [][]*Tx) {
	for _, tx := range txs {
		lists = append(lists, []*Tx{tx})
	}
	return lists
}

func TestTornTailIsCut(t *testing.T) {
	fd := openDir(t)
	l, err := Create(fd, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	var states []state
	var ends []int64
	for _, txs := range append([][]*Tx{nil}, one(sample())...) {
		commit(t, l, txs)
		c, err := Load(fd, 1, true)
		if err != nil {
			t.Fatal(err)
		}
		states, ends = append(states, stateOf(t, c)), append(ends, l.Size())
		c.Close()
	}
	whole := make([]byte, l.Size())
	if _, err := l.log.f.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	l.Close()
	for cut := ends[0]; cut <= int64(len(whole)); cut++ {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "1.log"), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		dfd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Load(dfd, 1, false)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		i := 0
		for i+1 < len(ends) && ends[i+1] <= cut {
			i++
		}
		if c.Size() != ends[i] {
			t.Errorf("cut at %d: log ends at %d, want %d", cut, c.Size(), ends[i])
		}
		if d := cmp.Diff(states[i], stateOf(t, c), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("cut at %d:\n%s", cut, d)
		}
		c.Close()
		unix.Close(dfd)
	}
}

// golden are the headers of all versions of the format. A change that breaks it
// needs a new one.
var golden = map[int]string{
	1: "415354524944" + "4c31" + "01000000" + "00000000" + "0100000000000000" + "0000000000000000" + "c2cabe87",
	2: "415354524944" + "4c31" + "02000000" + "00000000" + "0100000000000000" + "0000000000000000" + "a1fb824c",
	3: "415354524944" + "4c31" + "03000000" + "00000000" + "0100000000000000" + "0000000000000000" + "2f39cdf6",
}

func TestGoldenHeader(t *testing.T) {
	fd := openDir(t)
	l, err := Create(fd, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := make([]byte, headerSize)
	if _, err := l.log.f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(b[:36]); got != golden[version] {
		t.Errorf("header %s, want %s", got, golden[version])
	}
	if !bytes.Equal(b[36:], make([]byte, headerSize-36)) {
		t.Error("header is not padded with zeros")
	}
}

func TestGoldenRecord(t *testing.T) {
	var tx Tx
	tx.Hide(2, "gone")
	tx.Touch(2, -1, 1)
	if got, want := hex.EncodeToString(tx.buf), "050204676f6e6507020102"; got != want {
		t.Errorf("payload %s, want %s", got, want)
	}
}

func TestGoldenGrave(t *testing.T) {
	var tx Tx
	tx.Bury(2, "f", &Grave{
		Finger: layer.Fingerprint{Key: layer.Key{Ino: 3, Btime: 1}, Mode: 0o100644, Size: 5, Mtime: -1, Ctime: 2},
		Marks:  []Mark{{ID: 1, Ctime: -1}, {ID: 2, State: 3, Ctime: 1}},
	})
	want := "11020166" + "00030200" + "a483020a0104" + "00" + "02" + "0100000000000000" + "0000000000000000" + "01" +
		"0200000000000000" + "0300000000000000" + "02"
	if got := hex.EncodeToString(tx.buf); got != want {
		t.Errorf("payload %s, want %s", got, want)
	}
}

// TestOldLogIsRead reads a log of version 1, whose whiteouts say nothing of what
// they hide, and adds to it.
func TestOldLogIsRead(t *testing.T) {
	fd := openDir(t)
	l, err := Create(fd, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	var old, add Tx
	old.Hide(2, "gone")
	commit(t, l, []*Tx{&old})
	h, err := hex.DecodeString(golden[1])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.log.f.WriteAt(h, 0); err != nil {
		t.Fatal(err)
	}
	l.Close()
	add.Bury(2, "more", &Grave{})
	for _, want := range []map[string]*Grave{{"gone": nil}, {"gone": nil, "more": {}}} {
		if l, err = Load(fd, 1, false); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, l.Dirs[2].Gone); d != "" {
			t.Error(d)
		}
		commit(t, l, []*Tx{&add})
		l.Close()
	}
}

func TestGraveKnowsWhatWasBelow(t *testing.T) {
	finger := func(ino uint64, mtime int64) layer.Fingerprint {
		return layer.Fingerprint{Key: layer.Key{Dev: 7, Ino: ino}, Mode: unix.S_IFREG, Mtime: mtime, Ctime: int64(ino)}
	}
	var g Grave
	for ino := uint64(1); ino <= MaxMarks-2; ino++ {
		g.Add(&Grave{Finger: finger(ino, 1)})
	}
	g.Add(&Grave{Finger: finger(9, 5)})
	g.Add(&Grave{Finger: finger(9, 1)})
	g.Order()
	renewed := g.Renew(func(id uint64) (layer.Fingerprint, bool) {
		return finger(9, 3), id == MarkOf(finger(9, 3)).ID
	})
	var tx Tx
	tx.Bury(1, "d", &g)
	tx.Reset()
	tx.Bury(1, "d", renewed)
	if _, same := renewed.Knew(finger(9, 3)); !same {
		t.Error("an object is not as it was said to be now")
	}
	if tx.Len() > MaxRecord {
		t.Errorf("a grave of %d bytes", tx.Len())
	}
	if known, same := g.Knew(finger(9, 1)); !known || !same {
		t.Error("an object as it was is not known")
	}
	if known, same := g.Knew(finger(9, 2)); !known || same {
		t.Error("a changed object is not noticed")
	}
	for ino := uint64(MaxMarks); len(g.Marks) > 0; ino++ {
		g.Add(&Grave{Finger: finger(ino, 1)})
	}
	if known, _ := g.Knew(finger(9, 2)); known || !g.Partly {
		t.Error("a grave says more than it can")
	}
}

// FuzzApply feeds payloads that no process of ours wrote: they are refused, or
// make sense, and never panic.
func FuzzApply(f *testing.F) {
	for _, tx := range sample() {
		f.Add(tx.buf)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		fd, err := unix.MemfdCreate("log", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		l := newLayer(1, 0)
		if l.log, err = createLog(os.NewFile(uintptr(fd), "log"), 1, 0); err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		l.log.reserved = 1 << 30
		commit(t, l, sample())
		_ = l.apply(p, headerSize)
	})
}

func TestHeadRefusesNonsense(t *testing.T) {
	for _, text := range []string{"", "astrid-head 2\n1\n", "astrid-head 1\n0\n", "astrid-head 1\nx\n", "astrid-head 1\n-1\n"} {
		fd := openDir(t)
		if err := layer.WriteFile(fd, headName, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Head(fd); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
