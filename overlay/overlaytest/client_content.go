package overlaytest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
)

// content does what reads and changes bytes, in pieces as the kernel cuts them.
func (c *Client) content(op *Op, d *dentry) (Result, error) {
	f, ok := d.node.(tree.File)
	if !ok {
		return Result{}, unix.EINVAL
	}
	switch op.Kind {
	case Write, Append:
		return Result{}, c.write(f, op)
	case Truncate:
		if op.Len < 0 {
			return Result{}, unix.EINVAL
		}
		var a tree.Attr
		in := &tree.SetAttr{Valid: tree.SetSize, Size: uint64(op.Len)}
		if c.who.UID != 0 {
			in.Valid |= tree.SetKillPriv
		}
		err := f.Setattr(&c.who, in, &a)
		if err == nil && a.Size != uint64(op.Len) {
			c.broken("truncated to %d, and the size is %d", op.Len, a.Size)
		}
		return Result{}, err
	case Fallocate:
		switch {
		case op.Off < 0 || op.Len <= 0:
			return Result{}, unix.EINVAL
		case op.Flags&unix.FALLOC_FL_PUNCH_HOLE != 0 && op.Flags&unix.FALLOC_FL_KEEP_SIZE == 0:
			return Result{}, unix.EOPNOTSUPP
		}
		return Result{}, f.Fallocate(&c.who, op.Flags, op.Off, op.Len)
	case Copy:
		return c.copy(op, f)
	case Holes:
		b, err := c.holes(f)
		return Result{Data: b}, err
	}
	b := make([]byte, op.Len)
	n, err := f.ReadAt(b, op.Off)
	return Result{Data: b[:max(n, 0)]}, err
}

// piece is the largest write that the kernel hands on in one request.
const piece = 128 << 10

func (c *Client) write(f tree.File, op *Op) error {
	b, off := op.bytes(), op.Off
	for len(b) > 0 {
		n, err := f.WriteAt(&c.who, b[:min(len(b), piece)], off, op.Kind == Append, c.who.UID != 0)
		if err != nil {
			return err
		}
		if n != min(len(b), piece) {
			return fmt.Errorf("%d of %d bytes written without an error", n, len(b))
		}
		b, off = b[n:], off+int64(n)
	}
	return nil
}

func (c *Client) copy(op *Op, f tree.File) (Result, error) {
	to, err := c.find(op.ToAt, op.To)
	if err != nil {
		return Result{}, err
	}
	dst, ok := to.node.(tree.File)
	if !ok {
		return Result{}, unix.EINVAL
	}
	var a tree.Attr
	if err := f.Getattr(&a); err != nil {
		return Result{}, err
	}
	length := max(min(op.Len, int64(a.Size)-op.Off), 0)
	if f == dst && op.Off2 < op.Off+length && op.Off < op.Off2+length {
		return Result{}, unix.EINVAL
	}
	done := int64(0)
	for done < length {
		n, err := f.CopyRange(&c.who, op.Off+done, dst, op.Off2+done, length-done)
		if err != nil {
			return Result{}, err
		}
		if n == 0 {
			break
		}
		done += n
	}
	return Result{Data: Bytes(0, done)}, nil
}

// holes is solidAndHoles for a tree.
func (c *Client) holes(f tree.File) ([]byte, error) {
	var a tree.Attr
	if err := f.Getattr(&a); err != nil {
		return nil, err
	}
	b := make([]byte, a.Size)
	for off := int64(0); off < int64(a.Size); {
		from, err := f.Lseek(off, tree.SeekData)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		if err != nil {
			return nil, err
		}
		to, err := f.Lseek(from, tree.SeekHole)
		if err != nil {
			return nil, err
		}
		if to <= from || from < off {
			return nil, fmt.Errorf("data from %d to %d, asked from %d", from, to, off)
		}
		if _, err := f.ReadAt(b[from:min(to, int64(a.Size))], from); err != nil {
			return nil, err
		}
		off = to
	}
	return b, nil
}

// attributes does what changes an object but not its bytes.
func (c *Client) attributes(op *Op, d *dentry) (Result, error) {
	a, err := c.attr(d)
	if err != nil {
		return Result{}, err
	}
	switch op.Kind {
	case Chmod:
		if a.Kind() == tree.KindSymlink {
			return Result{}, unix.EOPNOTSUPP
		}
		return Result{}, c.setattr(d, &tree.SetAttr{Valid: tree.SetMode, Mode: op.Mode & 0o7777})
	case Chown:
		return Result{}, c.chown(op, d, a.Kind())
	case Utimes:
		in := &tree.SetAttr{}
		if op.Atime != math.MinInt64 {
			in.Valid, in.Atime = in.Valid|tree.SetAtime, time.Unix(0, op.Atime)
		}
		if op.Mtime != math.MinInt64 {
			in.Valid, in.Mtime = in.Valid|tree.SetMtime, time.Unix(0, op.Mtime)
		}
		if in.Valid != 0 {
			err = c.setattr(d, in)
		}
		if err == nil {
			a, err = c.attr(d)
		}
		if err != nil {
			return Result{}, err
		}
		return Result{Entry: fromAttr(a)}, nil
	}
	return c.xattr(op, d, a.Kind() == tree.KindDir || a.Kind() == tree.KindRegular)
}

func (c *Client) setattr(d *dentry, in *tree.SetAttr) error {
	var a tree.Attr
	return d.node.Setattr(&c.who, in, &a)
}

// chown clears set-id bits of what is no directory, as the kernel asks for.
func (c *Client) chown(op *Op, d *dentry, kind tree.Kind) error {
	in := &tree.SetAttr{UID: op.UID, GID: op.GID}
	if op.UID != math.MaxUint32 {
		in.Valid |= tree.SetUID
	}
	if op.GID != math.MaxUint32 {
		in.Valid |= tree.SetGID
	}
	if in.Valid == 0 {
		return nil
	}
	if kind != tree.KindDir {
		in.Valid |= tree.SetKillPriv
	}
	return c.setattr(d, in)
}

// xattr refuses user attributes where the VFS does.
func (c *Client) xattr(op *Op, d *dentry, allowed bool) (Result, error) {
	switch op.Kind {
	case Setxattr, Rmxattr:
		if !allowed {
			return Result{}, unix.EPERM
		}
		if op.Kind == Rmxattr {
			return Result{}, d.node.Removexattr(&c.who, op.Name)
		}
		return Result{}, d.node.Setxattr(&c.who, op.Name, op.Value, int(op.Flags))
	case Getxattr:
		if !allowed {
			return Result{}, unix.ENODATA
		}
		b := make([]byte, 64<<10)
		n, err := d.node.Getxattr(op.Name, b)
		return Result{Data: b[:max(n, 0)]}, err
	}
	m, err := xattrsOf(d.node)
	return Result{Names: sortedNames(m)}, err
}

func xattrsOf(n tree.Node) (map[string][]byte, error) {
	size, err := n.Listxattr(nil)
	if err != nil {
		return nil, err
	}
	list := make([]byte, size)
	if size > 0 {
		if size, err = n.Listxattr(list); err != nil {
			return nil, err
		}
	}
	m := map[string][]byte{}
	for name := range strings.SplitSeq(string(list[:size]), "\x00") {
		if name == "" {
			continue
		}
		b := make([]byte, 64<<10)
		n, err := n.Getxattr(name, b)
		if err != nil {
			return nil, fmt.Errorf("%q is listed: %w", name, err)
		}
		m[name] = b[:n]
	}
	return userXattrs(m), nil
}

func (c *Client) fsync(d *dentry) error {
	switch d.node.(type) {
	case tree.Dir, tree.File:
		return d.node.Fsync(false)
	}
	return unix.EINVAL
}

// Image reads the whole tree, with READDIRPLUS.
func (c *Client) Image() (Image, error) {
	m := Image{}
	a, err := c.attr(c.root)
	if err == nil {
		err = c.image(m, "", c.root.node, a)
	}
	if err == nil {
		err = c.fault
	}
	return m, err
}

func (c *Client) image(m Image, path string, n tree.Node, a *tree.Attr) error {
	e, err := describe(n, a)
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	m[path] = e
	dir, ok := n.(tree.Dir)
	if !ok {
		return nil
	}
	var all []tree.DirEntry
	err = dir.ReadDir(0, true, func(e *tree.DirEntry) bool {
		all = append(all, *e)
		return true
	})
	for i := range all {
		if e := &all[i]; e.Node != nil {
			c.take(e.Node, &e.Entry.Attr)
			defer c.release(e.Node, e.Entry.Ino)
		}
	}
	for i := range all {
		e := &all[i]
		if e.Node == nil {
			return fmt.Errorf("%q of %q is listed and cannot be looked up", e.Name, path)
		}
	}
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	if err := c.fault; err != nil {
		return err
	}
	if err := c.plain(dir, path, all); err != nil {
		return err
	}
	for _, e := range all {
		p := Join(path, e.Name)
		if m[p] != nil {
			return fmt.Errorf("%q is listed twice", p)
		}
		var a tree.Attr
		if err := e.Node.Getattr(&a); err != nil {
			return fmt.Errorf("%q: %w", p, err)
		}
		if a.Ino != e.Entry.Ino || a.Mode != e.Entry.Mode || a.Nlink != e.Entry.Nlink || a.Size != e.Entry.Size || !a.Mtime.Equal(e.Entry.Mtime) {
			return fmt.Errorf("%q: looked up %+v, then %+v", p, e.Entry.Attr, a)
		}
		if err := c.image(m, p, e.Node, &a); err != nil {
			return err
		}
	}
	return nil
}

// plain compares a listing without attributes with one that has them.
func (c *Client) plain(dir tree.Dir, path string, all []tree.DirEntry) error {
	i, odd := 0, ""
	err := dir.ReadDir(0, false, func(e *tree.DirEntry) bool {
		if i >= len(all) || e.Name != all[i].Name || e.Cookie != all[i].Cookie ||
			e.Ino != all[i].Entry.Ino || e.Kind != all[i].Entry.Kind() {
			odd = fmt.Sprintf("%q: entry %d is listed as %q, number %d, kind %o, and looked up otherwise", path, i, e.Name, e.Ino, e.Kind)
			return false
		}
		i++
		return true
	})
	switch {
	case err != nil:
		return fmt.Errorf("%q: %w", path, err)
	case odd != "":
		return errors.New(odd)
	case i != len(all):
		return fmt.Errorf("%q: %d entries, and with attributes %d", path, i, len(all))
	}
	return nil
}

// describe reads all there is to know of one object.
func describe(n tree.Node, a *tree.Attr) (*Entry, error) {
	e := fromAttr(a)
	var err error
	switch n := n.(type) {
	case tree.Symlink:
		var b []byte
		b, err = n.Readlink()
		e.Target = string(b)
		return e, err
	case tree.File:
		b := make([]byte, a.Size+1)
		k, err := n.ReadAt(b, 0)
		if err != nil {
			return nil, err
		}
		e.Data = b[:k]
	case tree.Dir:
	default:
		return e, nil
	}
	e.Xattrs, err = xattrsOf(n)
	return e, err
}
