package overlay

import (
	"errors"
	"maps"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// maxFile is the largest size of a file, in bytes.
const maxFile = 1<<63 - 1

// WriteAt writes p at off, or at the end.
func (f *fileNode) WriteAt(c *tree.Caller, p []byte, off int64, atEnd, killPriv bool) (int, error) {
	if off < 0 || off > maxFile-int64(len(p)) {
		return 0, unix.EFBIG
	}
	if err := f.o.allowTo(f.ino, int64(len(p))); err != nil {
		return 0, err
	}
	by := f.o.by(c)
	f.io.Lock()
	defer f.io.Unlock()
	n, err := f.put(p, off, atEnd, killPriv, false)
	if n > 0 {
		f.signWrite(by)
	}
	return n, err
}

// WritePages writes p at off and leaves the times as they are, unless the content
// was the base's: then they say that it was changed, whoever dies next.
func (f *fileNode) WritePages(c *tree.Caller, p []byte, off int64, killPriv bool) (int, error) {
	if off < 0 || off > maxFile-int64(len(p)) {
		return 0, unix.EFBIG
	}
	if err := f.o.allowTo(f.ino, int64(len(p))); err != nil {
		return 0, err
	}
	by := f.o.by(c)
	f.io.Lock()
	defer f.io.Unlock()
	f.o.mu.RLock()
	_, x := f.o.rec(f.ino)
	keep := x != nil && x.Where != meta.Below
	f.o.mu.RUnlock()
	n, err := f.put(p, off, false, killPriv, keep)
	if n > 0 {
		f.signWrite(by)
	}
	return n, err
}

// put makes the content the view's own and writes into it. Preconditions: f.io is
// held for writing.
func (f *fileNode) put(p []byte, off int64, atEnd, killPriv, keepTimes bool) (int, error) {
	release, err := f.take()
	if err != nil {
		return 0, err
	}
	defer release()
	if killPriv {
		if err := f.killPriv(); err != nil {
			return 0, err
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := f.write(p, off, atEnd, keepTimes); err != nil {
		return 0, err
	}
	return len(p), nil
}

// write writes into content that is the top layer's own. Preconditions: f.io is
// held for writing.
func (f *fileNode) write(p []byte, off int64, atEnd, keepTimes bool) error {
	id, size := f.ownContent()
	if id == 0 {
		if atEnd {
			off = size
		}
		if off+int64(len(p)) <= meta.MaxInline {
			return f.writeInline(p, off, keepTimes)
		}
		var err error
		if id, err = f.spill(size); err != nil {
			return err
		}
	}
	fd, err := f.o.openData(id)
	if err != nil {
		return err
	}
	defer f.o.fds.put(fd)
	var st layer.Stat
	if atEnd || keepTimes {
		if err := layer.Statx(fd.fd, "", &st); err != nil {
			return err
		}
	}
	if atEnd {
		off = st.Size
	}
	err = pwrite(fd.fd, p, off)
	if keepTimes {
		err = errors.Join(err, layer.Utimes(fd.fd, layer.Omit, st.Mtime))
	}
	return err
}

// ownContent returns the data file of f, or 0 and the size of the inline
// content. Preconditions: makeOwn has been called, f.io is held.
func (f *fileNode) ownContent() (data uint64, inline int64) {
	f.o.mu.RLock()
	defer f.o.mu.RUnlock()
	_, x := f.o.rec(f.ino)
	if x == nil {
		return 0, 0
	}
	if x.Where == meta.Data {
		return x.DataID, 0
	}
	return 0, x.Size
}

func (f *fileNode) writeInline(p []byte, off int64, keepTimes bool) error {
	return f.o.change(func() error {
		if !keepTimes {
			f.o.tx.Write(f.ino, off, p, f.o.now())
			return nil
		}
		_, x := f.o.rec(f.ino)
		if x == nil {
			return unix.EIO
		}
		f.o.tx.Write(f.ino, off, p, x.Mtime)
		if x.Ctime != x.Mtime {
			f.o.tx.Attr(x)
		}
		return nil
	}, nil)
}

// spill moves inline content of the given size into a data file. Preconditions:
// f.io is held for writing.
func (f *fileNode) spill(size int64) (uint64, error) {
	o := f.o
	b := make([]byte, size)
	if _, err := f.readAt(b, 0); err != nil {
		return 0, err
	}
	id, fd, err := o.createData()
	if err != nil {
		return 0, err
	}
	e := o.fds.add(fdKey{data: id}, fd)
	defer o.fds.put(e)
	if err := pwrite(fd, b, 0); err != nil {
		o.removeData(id)
		return 0, err
	}
	err = o.change(func() error {
		d, err := o.edit(f.ino, nil, nil)
		if err != nil {
			return err
		}
		d.Where, d.DataID, d.Epoch = meta.Data, id, o.top().Epoch
		d.Bytes, d.Slice, d.Size = nil, meta.Slice{}, 0
		d.fresh = true
		if err := layer.Utimes(fd, d.Atime, d.Mtime); err != nil {
			return err
		}
		o.save(d)
		return nil
	}, nil)
	if err != nil {
		o.removeData(id)
	}
	return id, err
}

// killPriv clears set-uid, set-gid where the group may execute, and file
// capabilities. Preconditions: makeOwn has been called.
func (f *fileNode) killPriv() error {
	o := f.o
	o.mu.RLock()
	_, x := o.rec(f.ino)
	privileged := x != nil && (cleared(x.Mode) != x.Mode || x.Xattrs[xattrCaps] != nil)
	o.mu.RUnlock()
	if !privileged {
		return nil
	}
	return o.change(func() error {
		d, err := o.edit(f.ino, nil, nil)
		if err != nil {
			return err
		}
		d.dropPriv()
		o.save(d)
		return nil
	}, nil)
}

// xattrCaps is the xattr of file capabilities (capabilities(7)).
const xattrCaps = "security.capability"

// dropPriv takes set-id bits and file capabilities away. The draft's own perm
// and xattrs must be in it.
func (d *draft) dropPriv() {
	d.Mode = cleared(d.Mode)
	if d.Rec.Xattrs[xattrCaps] != nil {
		d.Rec.Xattrs = maps.Clone(d.Rec.Xattrs)
		delete(d.Rec.Xattrs, xattrCaps)
		d.xattrs = true
	}
}

// cleared is mode without the privileges that a write takes away.
func cleared(mode uint32) uint32 {
	mode &^= unix.S_ISUID
	if mode&unix.S_IXGRP != 0 {
		mode &^= unix.S_ISGID
	}
	return mode
}

// WriteMayBlock tells whether a write may take long: a copy-up of a large file
// comes first.
func (f *fileNode) WriteMayBlock(_ int64, n int) bool {
	if n > 256<<10 {
		return true
	}
	o := f.o
	o.mu.RLock()
	l, x := o.rec(f.ino)
	owned := f.ownedLocked(l, x)
	o.mu.RUnlock()
	if owned {
		return false
	}
	var a tree.Attr
	return f.Getattr(&a) != nil || a.Size > 1<<20
}

// truncate makes the content size bytes long. Preconditions: f.io is held for
// writing.
func (f *fileNode) truncate(size int64) error {
	if size < 0 {
		return unix.EINVAL
	}
	o := f.o
	for {
		if cut, err := f.makeOwnCut(size); cut || err != nil {
			return err
		}
		o.gate.RLock()
		if f.owned() {
			break
		}
		o.gate.RUnlock()
	}
	defer o.gate.RUnlock()
	id, inline := f.ownContent()
	if id == 0 && size <= meta.MaxInline {
		return o.change(func() error {
			o.tx.Resize(f.ino, size, o.now())
			return nil
		}, nil)
	}
	if id == 0 {
		var err error
		if id, err = f.spill(inline); err != nil {
			return err
		}
	}
	fd, err := o.openData(id)
	if err != nil {
		return err
	}
	defer o.fds.put(fd)
	return ignoringEINTR(func() error { return unix.Ftruncate(fd.fd, size) })
}

func ignoringEINTR(fn func() error) error {
	for {
		if err := fn(); err != unix.EINTR {
			return err
		}
	}
}
