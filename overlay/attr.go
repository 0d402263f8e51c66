package overlay

import (
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// How long the kernel may keep what it was told: as good as for ever where we
// hear of changes, a moment where we do not.
const (
	longTTL  = time.Hour
	shortTTL = time.Second
)

// Getattr says what the view shows of the object.
func (n *node) Getattr(a *tree.Attr) error {
	for {
		gen := n.o.hold.gen.Load()
		n.o.mu.RLock()
		err := n.getattr(a)
		if err == nil || !n.o.hold.again(gen, err) {
			return err
		}
	}
}

// getattr is Getattr with o.mu held for reading, which it releases.
func (n *node) getattr(a *tree.Attr) error {
	l, x := n.o.rec(n.ino)
	key, unlinked := n.key, n.unlinked
	if unlinked && n.last != nil {
		*a = *n.last
		n.o.mu.RUnlock()
		return nil
	}
	if x == nil {
		n.o.mu.RUnlock()
		var st layer.Stat
		if err := n.statBase(key, &st); err != nil {
			return err
		}
		n.o.attrOf(a, n.ino, &st)
		if unlinked {
			a.Nlink = 0
		}
		n.ttl(a, &st)
		return nil
	}
	y := *x // the maps and bytes in it are not looked at
	n.o.mu.RUnlock()
	_ = l
	if err := n.o.attrOfRec(a, &y, n.loc.Load()); err != nil {
		return err
	}
	a.TTL = longTTL
	if asksBase(&y) {
		n.ttl(a, nil)
	}
	return nil
}

// remember keeps what a directory that is about to be removed looks like, for
// those who have it open: nothing else is left of it then. Preconditions: o.mu is
// held for writing.
func (d *dirNode) remember() {
	a := tree.Attr{Ino: d.ino, Mode: unix.S_IFDIR | 0o700, Blksize: 4096}
	var st layer.Stat
	if _, x := d.o.rec(d.ino); x != nil {
		_ = d.o.attrOfRec(&a, x, d.loc.Load())
	} else if d.statBase(d.key, &st) == nil {
		d.o.attrOf(&a, d.ino, &st)
	}
	a.Nlink, a.TTL = 0, longTTL
	d.last = &a
}

// setLast is setMeta for a removed directory. Preconditions: o.mu is held for
// writing.
func (n *node) setLast(in *tree.SetAttr) {
	if n.last == nil {
		return
	}
	a := *n.last
	if in.Valid&tree.SetMode != 0 {
		a.Mode = a.Mode&unix.S_IFMT | in.Mode&^unix.S_IFMT
	}
	if in.Valid&tree.SetUID != 0 {
		a.UID = in.UID
	}
	if in.Valid&tree.SetGID != 0 {
		a.GID = in.GID
	}
	if in.Valid&tree.SetAtime != 0 {
		a.Atime = in.Atime
	}
	if in.Valid&tree.SetMtime != 0 {
		a.Mtime = in.Mtime
	}
	a.Ctime = ns(n.o.now())
	n.last = &a
}

// ttl sets how long a may be kept. st is the base object when a is of it.
func (n *node) ttl(a *tree.Attr, st *layer.Stat) {
	a.TTL = longTTL
	l := n.loc.Load()
	if l == nil {
		return
	}
	hard := st != nil && n.kind != unix.S_IFDIR && st.Nlink > 1
	if hard || !n.o.watch.covers(n, l) {
		a.TTL = shortTTL
	}
}

func ns(t int64) time.Time { return time.Unix(0, t) }

// attrOf fills a from a base object.
func (o *Overlay) attrOf(a *tree.Attr, ino uint64, st *layer.Stat) {
	*a = tree.Attr{
		Ino: ino, Mode: st.Mode, Nlink: st.Nlink, UID: st.UID, GID: st.GID, Rdev: st.Rdev,
		Size: uint64(st.Size), Blocks: uint64(st.Blocks), Blksize: st.Blksize,
		Atime: ns(st.Atime), Mtime: ns(st.Mtime), Ctime: ns(st.Ctime),
	}
	if st.Btime != 0 {
		a.Btime = ns(st.Btime)
	}
}

// asksBase tells whether a record leaves something to the base object to say.
func asksBase(x *meta.Rec) bool {
	const all = meta.OwnPerm | meta.OwnTimes | meta.OwnXattrs | meta.OwnContent
	return x.Base != nil && (x.Kind == unix.S_IFDIR || x.Own&all != all)
}

// attrOfRec fills a from a record; at is the place of its base object. What the
// record does not say itself is asked of the base.
func (o *Overlay) attrOfRec(a *tree.Attr, x *meta.Rec, at *loc) error {
	if asksBase(x) {
		if at == nil {
			at = o.locOfRec(x)
		}
		if err := o.attrBelow(a, x, at); err != nil {
			return err
		}
	} else {
		recAttr(a, x)
	}
	if x.Own&meta.OwnPerm != 0 {
		a.Mode, a.UID, a.GID = a.Mode&unix.S_IFMT|x.Mode, x.UID, x.GID
	}
	if x.Own&meta.OwnTimes != 0 {
		a.Atime, a.Mtime, a.Ctime = ns(x.Atime), ns(x.Mtime), ns(x.Ctime)
	}
	if x.Kind == unix.S_IFDIR {
		o.dirAttr(a, x)
		return nil
	}
	a.Nlink = uint32(max(x.Nlink, 0))
	return o.contentAttr(a, x)
}

// attrBelow fills a from the base object that x stands for. A directory that is
// gone from the base looks as it did when the view first changed it.
func (o *Overlay) attrBelow(a *tree.Attr, x *meta.Rec, at *loc) error {
	var st layer.Stat
	err := stale(o.statAt(at, &st))
	if err == nil && (st.Mode&unix.S_IFMT != x.Kind || x.Own&meta.Moved != 0 && !o.key(st.Key).Same(x.Base.Key)) {
		err = unix.ESTALE
	}
	switch {
	case err == nil:
		o.attrOf(a, x.Ino, &st)
	case x.Kind == unix.S_IFDIR && err == unix.ESTALE:
		recAttr(a, x)
		a.Mode, a.UID, a.GID, a.Nlink, a.Size = x.Kind|x.Mode, x.UID, x.GID, 2, 4096
		a.Atime, a.Mtime, a.Ctime = ns(x.Atime), ns(x.Mtime), ns(x.Ctime)
	default:
		return err
	}
	return nil
}

// recAttr fills a with what a record alone knows.
func recAttr(a *tree.Attr, x *meta.Rec) {
	*a = tree.Attr{Ino: x.Ino, Mode: x.Kind, Blksize: 4096, Rdev: x.Rdev}
	if x.Btime != 0 {
		a.Btime = ns(x.Btime)
	}
}

// dirAttr sets link count and size of a directory.
func (o *Overlay) dirAttr(a *tree.Attr, x *meta.Rec) {
	if x.Base == nil {
		a.Nlink, a.Size, a.Blocks = uint32(max(x.Nlink, 0)), 4096, 8
		return
	}
	a.Nlink = uint32(max(int32(a.Nlink)+x.Nlink, 2))
}

// contentAttr sets size and what goes with it, of what is not a directory.
func (o *Overlay) contentAttr(a *tree.Attr, x *meta.Rec) error {
	if x.Kind == unix.S_IFLNK && x.Own&meta.OwnContent != 0 {
		a.Size, a.Blocks = uint64(len(x.Target)), 0
		return nil
	}
	switch x.Where {
	case meta.Inline:
		a.Size = uint64(x.Size)
		a.Blocks = (a.Size + 4095) / 4096 * 8
		a.Blksize = 4096
	case meta.Data:
		var st layer.Stat
		if err := o.statData(x.DataID, &st); err != nil {
			return err
		}
		a.Size, a.Blocks, a.Blksize = uint64(st.Size), uint64(st.Blocks), st.Blksize
		a.Mtime = ns(st.Mtime)
		if st.Mtime != x.Mtime { // written to since the times were set
			a.Ctime = ns(max(x.Ctime, st.Ctime))
		}
	}
	return nil
}
