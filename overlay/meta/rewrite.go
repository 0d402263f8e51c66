package meta

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
)

// batch is the size at which a Draft ends a record, in bytes.
const batch = 256 << 10

// Draft is a set of changes on its way to becoming one new layer: the sum of
// some layers, possibly edited.
type Draft struct {
	Recs    map[uint64]Source
	Dirs    map[uint64]*Delta
	Aliases map[layer.Key]uint64

	LastFold, NextIno, NextData, Birth, Sealed uint64

	from []*Layer
}

// Source is a record and the layer that has its inline bytes.
type Source struct {
	*Rec
	In *Layer
}

// Sum adds layers, deepest first, into a Draft. Deltas and records may then be
// edited: they are copies.
func Sum(layers ...*Layer) *Draft {
	d := &Draft{
		Recs: map[uint64]Source{}, Dirs: map[uint64]*Delta{},
		Aliases: map[layer.Key]uint64{}, NextIno: 1, NextData: 1, Birth: 1, from: layers,
	}
	for _, l := range layers {
		d.add(l)
	}
	return d
}

func (d *Draft) add(l *Layer) {
	for ino, x := range l.Recs {
		d.Recs[ino] = Source{Rec: x.Clone(), In: l}
	}
	for ino, x := range l.Recs {
		if x.Own&Dead != 0 {
			delete(d.Dirs, ino)
		}
	}
	for dir, delta := range l.Dirs {
		d.Delta(dir).Add(delta)
	}
	for k, ino := range l.Aliases {
		d.Aliases[k] = ino
	}
	d.LastFold, d.NextIno = max(d.LastFold, l.LastFold), max(d.NextIno, l.NextIno)
	d.NextData, d.Birth = max(d.NextData, l.NextData), max(d.Birth, l.Birth)
	d.Sealed = max(d.Sealed, l.Sealed)
}

// Delta returns the delta of dir, made when there is none.
func (d *Draft) Delta(dir uint64) *Delta {
	delta := d.Dirs[dir]
	if delta == nil {
		delta = &Delta{Own: map[string]Entry{}, Gone: map[string]*Grave{}}
		d.Dirs[dir] = delta
	}
	return delta
}

// Keep says which layers have the originals that records of the draft name.
func (d *Draft) Keep(from ...*Layer) { d.from = from }

// Add puts what a layer further up says of the names on top.
func (d *Delta) Add(over *Delta) {
	for name, g := range over.Gone {
		delete(d.Own, name)
		if g != nil || d.Gone[name] == nil {
			d.Gone[name] = g
		}
	}
	for name, e := range over.Own {
		d.Own[name] = e
	}
}

// Content returns the inline bytes of x.
func (x Source) Content() ([]byte, error) {
	if x.Where != Inline {
		return nil, nil
	}
	b := make([]byte, x.Size)
	_, err := x.In.ReadInline(x.Rec, b, 0)
	return b, err
}

// Write makes the draft a layer of the given epoch on top of below and syncs
// it. The caller then makes it part of the stack by SetHead.
func (d *Draft) Write(dirfd int, epoch, below uint64) (*Layer, error) {
	n, err := Create(dirfd, epoch, below)
	if err != nil {
		return nil, err
	}
	if err := d.copyTo(n); err != nil {
		n.Close()
		return nil, fmt.Errorf("write layer %d: %w", epoch, err)
	}
	return n, nil
}

// WriteAside is Write for a layer that lives as long as this process has it: its
// log has no name.
func (d *Draft) WriteAside(dirfd int, epoch uint64) (*Layer, error) {
	f, err := nameless(dirfd)
	if err != nil {
		return nil, fmt.Errorf("write layer %d aside: %w", epoch, err)
	}
	n := newLayer(epoch, 0)
	if n.log, err = createLog(f, epoch, 0); err != nil {
		f.Close()
		return nil, err
	}
	err = d.fill(n)
	if err != nil {
		n.Close()
		return nil, fmt.Errorf("write layer %d aside: %w", epoch, err)
	}
	return n, nil
}

// nameless makes a file without a name.
func nameless(dirfd int) (*os.File, error) {
	fd, err := layer.Open(dirfd, ".", unix.O_RDWR|unix.O_TMPFILE, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), "aside"), nil
	}
	if err != unix.EOPNOTSUPP && err != unix.EISDIR && err != unix.EINVAL {
		return nil, err
	}
	name := fmt.Sprintf("aside-%d%s", time.Now().UnixNano(), layer.TempSuffix)
	f, err := openFile(dirfd, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
	if err == nil {
		err = unix.Unlinkat(dirfd, name, 0)
	}
	return f, err
}

func (d *Draft) copyTo(n *Layer) error {
	if err := d.fill(n); err != nil {
		return err
	}
	return n.Sync()
}

func (d *Draft) fill(n *Layer) error {
	w := &rewriter{to: n}
	w.tx.Next(d.NextIno, d.NextData, d.Birth)
	w.tx.Folded(d.LastFold)
	w.tx.Seal(d.Sealed)
	for k, ino := range d.Aliases {
		w.tx.Alias(k, ino)
		w.flush(batch)
	}
	if err := d.copyRecs(w); err != nil {
		return err
	}
	for dir, delta := range d.Dirs {
		for name, e := range delta.Own {
			w.tx.Enter(dir, name, e)
			w.flush(batch)
		}
		for name, g := range delta.Gone {
			if g != nil {
				w.tx.Bury(dir, name, g)
			} else {
				w.tx.Hide(dir, name)
			}
			w.flush(batch)
		}
	}
	w.flush(1)
	return w.err
}

func (d *Draft) copyRecs(w *rewriter) error {
	blobs := map[[32]byte]bool{}
	for _, x := range d.Recs {
		content, err := x.Content()
		if err != nil {
			return err
		}
		w.tx.Put(x.Rec, content)
		w.flush(batch)
		if !x.HasHash || blobs[x.Hash] {
			continue
		}
		blobs[x.Hash] = true
		if err := d.copyBlob(w, x.Hash); err != nil {
			return err
		}
	}
	return w.err
}

func (d *Draft) copyBlob(w *rewriter, hash [32]byte) error {
	for _, l := range d.from {
		b, ok, err := l.Blob(hash)
		if err != nil {
			return err
		}
		if ok {
			w.flush(1)
			w.tx.Blob(hash, b)
			return nil
		}
	}
	return nil // kept by a layer further below
}

// rewriter writes facts in records of bounded size.
type rewriter struct {
	to  *Layer
	tx  Tx
	err error
}

// flush ends the record when it has reached size.
func (w *rewriter) flush(size int) {
	if w.err != nil || w.tx.Len() < size {
		return
	}
	w.err = w.to.Commit(&w.tx)
	w.tx.Reset()
}
