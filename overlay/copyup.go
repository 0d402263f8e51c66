package overlay

import (
	"crypto/sha256"
	"errors"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

const (
	// keepOriginal is the largest base file whose original is kept when the view
	// changes it, in bytes: the ancestor of a merge.
	keepOriginal = 1 << 20
	// copyTries bounds how often a copy of a file that is being written to is begun again.
	copyTries = 5
)

// makeOwn gives f content of its own in the top layer, all that it had. After it
// the record in force is the top layer's, and inline or in a data file that may
// be written to.
// Preconditions: f.io is held for writing, o.mu is not held.
func (f *fileNode) makeOwn() error {
	_, err := f.makeOwnCut(-1)
	return err
}

// take is makeOwn, and keeps it so until release is called: what makes others share the
// content, or puts other records in the place of those there are, waits for that.
// Preconditions: as for makeOwn; o.gate is not held.
func (f *fileNode) take() (release func(), err error) {
	for {
		if err := f.makeOwn(); err != nil {
			return nil, err
		}
		f.o.gate.RLock()
		if f.owned() {
			return f.o.gate.RUnlock, nil
		}
		f.o.gate.RUnlock()
	}
}

func (f *fileNode) owned() bool {
	f.o.mu.RLock()
	defer f.o.mu.RUnlock()
	return f.ownedLocked(f.o.rec(f.ino))
}

// makeOwnCut is makeOwn for the first keep bytes (keep < 0: all). When cut is
// true that made the file shorter, and its times say so: both are one step.
func (f *fileNode) makeOwnCut(keep int64) (cut bool, err error) {
	return retry(f.o, func() (bool, error) { return f.takeContent(keep) })
}

func (f *fileNode) takeContent(keep int64) (cut bool, err error) {
	o := f.o
	o.mu.RLock()
	l, x := o.rec(f.ino)
	if f.ownedLocked(l, x) {
		o.mu.RUnlock()
		return false, nil
	}
	where := meta.Below
	if x != nil {
		where = x.Where
	}
	src := f.sourceLocked(x)
	o.mu.RUnlock()
	switch where {
	case meta.Inline: // in a frozen layer
		return false, o.change(func() error {
			d, err := o.edit(f.ino, nil, nil)
			if err == nil {
				o.save(d)
			}
			return err
		}, nil)
	case meta.Data:
		return f.copyFrozen(src, keep)
	}
	for range copyTries {
		cut, err := f.copyBase(src, keep)
		if !errors.Is(err, errMoved) {
			return cut, err
		}
	}
	o.cfg.Log.Warn("base file changes faster than it can be copied", "path", f.loc.Load().path())
	return false, unix.EAGAIN
}

// ownedLocked tells whether x, found in l, is content that may be written to.
func (f *fileNode) ownedLocked(l *meta.Layer, x *meta.Rec) bool {
	if x == nil || l != f.o.top() {
		return false
	}
	return x.Where == meta.Inline || x.Where == meta.Data && f.o.mine(x)
}

// copyFrozen copies a data file of a frozen layer.
func (f *fileNode) copyFrozen(src source, keep int64) (cut bool, err error) {
	o := f.o
	fd, err := src.open()
	if err != nil {
		return false, err
	}
	defer o.fds.put(fd)
	var st layer.Stat
	if err := layer.Statx(fd.fd, "", &st); err != nil {
		return false, err
	}
	keep = limit(st.Size, keep)
	if cut = keep < st.Size; cut {
		st.Mtime = o.now()
	}
	id, err := o.copyData(fd.fd, keep, st.Atime, st.Mtime)
	if err != nil {
		return false, err
	}
	err = o.change(func() error {
		d, err := o.edit(f.ino, nil, nil)
		if err != nil {
			return err
		}
		d.Where, d.DataID, d.Epoch = meta.Data, id, o.top().Epoch
		d.fresh = true
		o.save(d)
		return nil
	}, nil)
	if err != nil {
		o.removeData(id)
	}
	return cut, err
}

func limit(size, keep int64) int64 {
	if keep < 0 || keep > size {
		return size
	}
	return keep
}

// copyData copies the first n bytes of src into a new data file.
func (o *Overlay) copyData(src int, n, atime, mtime int64) (id uint64, err error) {
	id, fd, err := o.createData()
	if err != nil {
		return 0, err
	}
	err = layer.Copy(fd, src, n)
	if err == nil {
		err = layer.Utimes(fd, atime, mtime)
	}
	if err != nil {
		unix.Close(fd)
		o.removeData(id)
		return 0, err
	}
	o.fds.put(o.fds.add(fdKey{data: id}, fd))
	return id, nil
}

// errMoved says that the base file was written to while it was copied.
var errMoved = errors.New("base file changed during copy-up")

// copyBase takes content from the base: into the log when it is small, into a
// data file otherwise. What the base file looked like is recorded, and its bytes
// as a whole when they are few.
func (f *fileNode) copyBase(src source, keep int64) (cut bool, err error) {
	o := f.o
	fd, err := src.open()
	if err != nil {
		return false, err
	}
	defer o.fds.put(fd)
	u := &copyUp{f: f, fd: fd.fd, before: fdStat(fd.fd)}
	if u.before == nil {
		return false, unix.EIO
	}
	u.keep = limit(u.before.Size, keep)
	u.cut = u.keep < u.before.Size
	if err := u.read(); err != nil {
		return false, err
	}
	if after := fdStat(fd.fd); after == nil || after.Fingerprint() != u.before.Fingerprint() {
		u.abandon()
		return false, errMoved
	}
	if err := o.change(u.plan, nil); err != nil {
		u.abandon()
		return false, err
	}
	return u.cut, nil
}

func fdStat(fd int) *layer.Stat {
	st := new(layer.Stat)
	if layer.Statx(fd, "", st) != nil {
		return nil
	}
	return st
}

// copyUp is one copy-up under way.
type copyUp struct {
	f      *fileNode
	fd     int
	before *layer.Stat
	keep   int64
	cut    bool   // keep is less than all
	all    []byte // the whole original, when it is to be kept
	data   uint64 // the data file, 0: inline
	xattrs map[string][]byte
}

// read takes over bytes and xattrs; nothing is visible yet.
func (u *copyUp) read() (err error) {
	if u.before.Size <= keepOriginal {
		u.all = make([]byte, u.before.Size)
		n, err := pread(u.fd, u.all, 0)
		if err != nil {
			return err
		}
		if int64(n) != u.before.Size {
			return errMoved
		}
	}
	if u.xattrs, err = layer.Xattrs(u.fd, ""); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	if u.keep <= meta.MaxInline {
		return u.readInline()
	}
	u.data, err = u.f.o.copyData(u.fd, u.keep, u.before.Atime, u.before.Mtime)
	return err
}

// readInline makes sure that the bytes to keep are in u.all.
func (u *copyUp) readInline() error {
	if u.all != nil || u.keep == 0 {
		return nil
	}
	u.all = make([]byte, u.keep)
	n, err := pread(u.fd, u.all, 0)
	if err == nil && int64(n) != u.keep {
		err = errMoved
	}
	return err
}

// dataTimes gives a data file the times of its object.
func (o *Overlay) dataTimes(id uint64, atime, mtime int64) error {
	fd, err := o.openData(id)
	if err != nil {
		return err
	}
	defer o.fds.put(fd)
	return layer.Utimes(fd.fd, atime, mtime)
}

func (u *copyUp) abandon() {
	if u.data != 0 {
		u.f.o.removeData(u.data)
	}
}

// plan collects the facts.
func (u *copyUp) plan() error {
	o, f := u.f.o, u.f
	if err := o.bind(&f.node); err != nil {
		return err
	}
	st := *u.before
	d, err := o.edit(f.ino, &st, f.loc.Load())
	if err != nil {
		return err
	}
	if f.unlinked {
		d.Nlink = 0
	}
	d.fresh = true
	if d.Own&meta.OwnXattrs == 0 {
		d.Rec.Xattrs = u.xattrs
	}
	if d.Own&meta.OwnPerm == 0 {
		d.Mode, d.UID, d.GID = st.Mode&^unix.S_IFMT, st.UID, st.GID
	}
	if d.Own&meta.OwnTimes == 0 {
		d.Atime, d.Mtime, d.Ctime = st.Atime, st.Mtime, st.Ctime
	}
	if u.cut {
		now := o.now()
		d.Mtime, d.Ctime = now, now
	}
	d.Own |= meta.OwnPerm | meta.OwnTimes | meta.OwnXattrs | meta.OwnContent
	d.Copied, d.Finger = true, st.Fingerprint()
	d.Finger.Key = o.key(d.Finger.Key)
	if st.Size <= keepOriginal {
		d.HasHash, d.Hash = true, sha256.Sum256(u.all)
		if !o.hasBlob(d.Hash) {
			o.tx.Blob(d.Hash, u.all)
		}
	}
	if u.data != 0 {
		if err := o.dataTimes(u.data, d.Atime, d.Mtime); err != nil {
			return err
		}
		d.Where, d.DataID, d.Epoch = meta.Data, u.data, o.top().Epoch
	} else {
		d.Where, d.Size, d.content = meta.Inline, u.keep, u.all[:u.keep]
	}
	o.save(d)
	return nil
}

func (o *Overlay) hasBlob(hash [32]byte) bool {
	for _, l := range o.stack {
		if _, ok := l.Blobs[hash]; ok {
			return true
		}
	}
	return false
}
