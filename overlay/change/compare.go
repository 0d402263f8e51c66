package change

import (
	"bytes"
	"errors"
	"maps"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay"
)

// against fills in what differs between c.Object and c.Base. Of an object that
// stands for c.Base only that is looked at which the view says of it itself.
func (l *lister) against(c *Change) error {
	if err := l.describe(c); err != nil {
		return err
	}
	content, perm, times, xattrs := c.Object.Changed()
	origin, stands := c.Origin()
	if !stands {
		content, perm, times, xattrs = true, true, false, true
	}
	replaced := c.Base != nil && stands && !sameInode(c.Base.Key, origin.Key)
	if c.Base == nil || replaced && !comparableTo(c, origin) {
		c.Vanished = true
		c.Content, c.Perm, c.Xattrs = content && !c.IsDir(), perm, xattrs
		c.Times = times && !content && !c.IsDir()
		return nil
	}
	if uint32(c.Kind) != c.Base.Mode&unix.S_IFMT {
		c.Vanished = true
		return nil
	}
	var err error
	if content && !c.IsDir() {
		if c.Content, err = l.contentDiffers(c); err != nil {
			return err
		}
	}
	if stands && origin.Copied && c.Attr.Mode == origin.Finger.Mode {
		c.Attr.Mode = c.Base.Mode // the view did not change it
	}
	c.Perm = perm && (c.Attr.Mode != c.Base.Mode || c.Attr.UID != c.Base.UID || c.Attr.GID != c.Base.GID)
	if xattrs {
		if c.Xattrs, err = l.xattrsDiffer(c); err != nil {
			return err
		}
	}
	c.Times = times && !content && !c.IsDir() && c.Attr.Mtime.UnixNano() != c.Base.Mtime
	if replaced {
		// With the size and time that it had the bytes decide, later.
		c.Vanished = (c.Content || c.Perm || c.Xattrs) &&
			(c.Base.Size != origin.Finger.Size || c.Base.Mtime != origin.Finger.Mtime)
	}
	return nil
}

// comparableTo tells whether a file that replaced, in the base, the one that the
// object stands for can be compared with it all the same: the view has bytes of
// its own, in the same place.
func comparableTo(c *Change, o overlay.Origin) bool {
	return c.Op != Renamed && o.Copied && c.Kind == tree.KindRegular && c.Base.Mode&unix.S_IFMT == unix.S_IFREG
}

func (l *lister) contentDiffers(c *Change) (bool, error) {
	switch c.Kind {
	case tree.KindRegular:
		return l.bytesDiffer(c)
	case tree.KindSymlink:
		mine, err := c.Object.Readlink()
		if err != nil {
			return false, err
		}
		theirs, err := l.base.readlink(c.BasePath)
		if missing(err) || errors.Is(err, unix.EINVAL) {
			return true, nil
		}
		return mine != theirs, err
	case tree.KindChar, tree.KindBlock:
		return c.Attr.Rdev != c.Base.Rdev, nil
	}
	return false, nil
}

func (l *lister) bytesDiffer(c *Change) (bool, error) {
	if int64(c.Attr.Size) != c.Base.Size {
		return true, nil
	}
	if c.Base.Size == 0 {
		return false, nil
	}
	theirs, err := l.opts.Cache.hashBase(l.ctx, l.base, c.BasePath, c.Base)
	if missing(err) || errors.Is(err, unix.ESTALE) || errors.Is(err, unix.EACCES) {
		return true, nil // it changed just now, or may not be read: then it is not known to be the same
	}
	if err != nil {
		return false, err
	}
	mine, err := l.opts.Cache.hashView(l.ctx, c.Object)
	return mine != theirs, err
}

func (l *lister) xattrsDiffer(c *Change) (bool, error) {
	mine, err := c.Object.Xattrs()
	if err != nil {
		return false, err
	}
	theirs, err := l.base.xattrs(c.BasePath)
	if missing(err) {
		return true, nil
	}
	return !maps.EqualFunc(mine, theirs, bytes.Equal), err
}
