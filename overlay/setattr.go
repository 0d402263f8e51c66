package overlay

import (
	"maps"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

const (
	permBits = tree.SetMode | tree.SetUID | tree.SetGID | tree.SetKillPriv
	timeBits = tree.SetAtime | tree.SetMtime | tree.SetCtime
)

// Setattr changes attributes of what is no regular file.
func (n *node) Setattr(c *tree.Caller, in *tree.SetAttr, out *tree.Attr) error {
	if in.Valid&tree.SetSize != 0 {
		if n.kind == unix.S_IFDIR {
			return unix.EISDIR
		}
		return unix.EINVAL
	}
	if err := n.o.allowTo(n.ino, 0); err != nil {
		return err
	}
	by := n.o.by(c)
	if err := n.o.pin(n); err != nil {
		return err
	}
	if err := n.setMeta(in); err != nil {
		return err
	}
	n.o.sign(by, n.ino)
	return n.Getattr(out)
}

// Setattr changes attributes, and the size first.
func (f *fileNode) Setattr(c *tree.Caller, in *tree.SetAttr, out *tree.Attr) error {
	if err := f.o.allowTo(f.ino, 0); err != nil {
		return err
	}
	by := f.o.by(c)
	f.io.Lock()
	defer f.io.Unlock()
	if in.Valid&tree.SetSize != 0 {
		if in.Size > maxFile {
			return unix.EFBIG
		}
		if err := f.truncate(int64(in.Size)); err != nil {
			return err
		}
	}
	if in.Valid&(permBits|timeBits) != 0 {
		if f.o.cfg.Pin {
			if err := f.makeOwn(); err != nil {
				return err
			}
		}
		if err := f.setMeta(in); err != nil {
			return err
		}
		if err := f.setDataTimes(in); err != nil {
			return err
		}
	}
	f.signWrite(by)
	return f.Getattr(out)
}

// setMeta records mode, owner and times; no content is copied for it.
func (n *node) setMeta(in *tree.SetAttr) error {
	if in.Valid&(permBits|timeBits) == 0 {
		return nil
	}
	o := n.o
	xattrs, err := n.xattrsAtRisk(in)
	if err != nil {
		return err
	}
	return o.change(func() error {
		if n.unlinked && n.kind == unix.S_IFDIR {
			n.setLast(in)
			return nil
		}
		if err := n.o.bind(n); err != nil {
			return err
		}
		d, err := n.editSelf()
		if err != nil {
			return err
		}
		if xattrs != nil {
			d.Rec.Xattrs, d.xattrs = xattrs, true
			d.Own |= meta.OwnXattrs
		}
		d.setPerm(in)
		d.setTimes(in, o.now())
		o.save(d)
		return nil
	}, nil)
}

// xattrsAtRisk returns the xattrs as a change of mode or owner leaves them, nil
// when it leaves them alone: a change of owner takes capabilities away, a change
// of mode shows in an access list.
func (n *node) xattrsAtRisk(in *tree.SetAttr) (map[string][]byte, error) {
	caps := n.kind == unix.S_IFREG && in.Valid&(tree.SetUID|tree.SetGID|tree.SetKillPriv) != 0 && n.hasXattr(xattrCaps)
	list := n.kind != unix.S_IFLNK && in.Valid&tree.SetMode != 0 && n.hasXattr(aclAccess)
	if !caps && !list {
		return nil, nil
	}
	m, err := retry(n.o, n.xattrs)
	if err != nil {
		return nil, err
	}
	m = maps.Clone(m)
	if caps {
		delete(m, xattrCaps)
	}
	if a, err := parseACL(m[aclAccess]); list && err == nil {
		a.chmod(in.Mode)
		m[aclAccess] = a
	}
	return m, nil
}

func (n *node) hasXattr(name string) bool {
	size, err := n.Getxattr(name, nil)
	return err == nil && size > 0
}

func (d *draft) setPerm(in *tree.SetAttr) {
	if in.Valid&permBits == 0 {
		return
	}
	d.Own |= meta.OwnPerm
	if in.Valid&tree.SetKillPriv != 0 {
		d.dropPriv()
	}
	if in.Valid&tree.SetMode != 0 {
		d.Mode = in.Mode &^ unix.S_IFMT
	}
	if in.Valid&tree.SetUID != 0 {
		d.UID = in.UID
	}
	if in.Valid&tree.SetGID != 0 {
		d.GID = in.GID
	}
}

func (d *draft) setTimes(in *tree.SetAttr, now int64) {
	d.Own |= meta.OwnTimes
	d.Ctime = now
	if in.Valid&tree.SetAtime != 0 {
		d.Atime = nanos(in.Atime)
	}
	if in.Valid&tree.SetMtime != 0 {
		d.Mtime = nanos(in.Mtime)
	}
	if in.Valid&tree.SetCtime != 0 {
		d.Ctime = nanos(in.Ctime)
	}
}

// nanos is t in ns since 1970, at the limits of that when it is beyond them.
func nanos(t time.Time) int64 {
	switch s := t.Unix(); {
	case s > math.MaxInt64/1_000_000_000-1:
		return math.MaxInt64
	case s < math.MinInt64/1_000_000_000+1:
		return math.MinInt64 + 1
	}
	return t.UnixNano()
}

// setDataTimes gives a data file the times that were asked for: its mtime is the
// file's.
func (f *fileNode) setDataTimes(in *tree.SetAttr) error {
	if in.Valid&(tree.SetAtime|tree.SetMtime) == 0 {
		return nil
	}
	o := f.o
	o.mu.RLock()
	_, x := o.rec(f.ino)
	inData := x != nil && x.Where == meta.Data
	o.mu.RUnlock()
	if !inData {
		return nil
	}
	release, err := f.take()
	if err != nil {
		return err
	}
	defer release()
	id, _ := f.ownContent()
	if id == 0 {
		return nil
	}
	fd, err := o.openData(id)
	if err != nil {
		return err
	}
	defer o.fds.put(fd)
	atime, mtime := int64(math.MinInt64), int64(math.MinInt64)
	if in.Valid&tree.SetAtime != 0 {
		atime = nanos(in.Atime)
	}
	if in.Valid&tree.SetMtime != 0 {
		mtime = nanos(in.Mtime)
	}
	return layer.Utimes(fd.fd, atime, mtime)
}
