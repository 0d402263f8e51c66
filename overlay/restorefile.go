package overlay

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
)

// content gives a file of the view the bytes that it had. Readers see the one or the
// other, whole.
func (r *restoring) content(was tree.File, now *fileNode, size int64) error {
	same, err := equal(was, now, size)
	if same || err != nil {
		return err
	}
	now.io.Lock()
	defer now.io.Unlock()
	if err := now.truncate(0); err != nil {
		return err
	}
	buf := make([]byte, min(size, copyChunk))
	for off := int64(0); off < size; {
		data, err := was.Lseek(off, tree.SeekData)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		if err != nil {
			return err
		}
		hole, err := was.Lseek(data, tree.SeekHole)
		if err != nil {
			return err
		}
		for off = data; off < hole; {
			n, err := was.ReadAt(buf[:min(hole-off, copyChunk)], off)
			if err != nil {
				return err
			}
			if n == 0 {
				return unix.EIO // it was cut meanwhile
			}
			release, err := now.take()
			if err != nil {
				return err
			}
			err = now.write(buf[:n], off, false, false)
			release()
			if err != nil {
				return err
			}
			off += int64(n)
		}
	}
	return now.truncate(size)
}

// copyChunk is how many bytes are moved at once.
const copyChunk = 1 << 20

// equal compares the bytes of two files.
func equal(a, b tree.File, size int64) (bool, error) {
	var at tree.Attr
	if err := b.Getattr(&at); err != nil || int64(at.Size) != size {
		return false, err
	}
	x, y := make([]byte, min(size, copyChunk)), make([]byte, min(size, copyChunk))
	for off := int64(0); off < size; {
		n, err := a.ReadAt(x, off)
		if err != nil {
			return false, err
		}
		m, err := b.ReadAt(y[:n], off)
		if err != nil || n == 0 || m != n || !bytes.Equal(x[:n], y[:n]) {
			return false, err
		}
		off += int64(n)
	}
	return true, nil
}

// dress gives an object of the view the attributes that it had.
func (r *restoring) dress(was, now tree.Node) error {
	var a, b tree.Attr
	if err := errors.Join(was.Getattr(&a), now.Getattr(&b)); err != nil {
		return err
	}
	if err := r.xattrs(was, now); err != nil {
		return err
	}
	in := tree.SetAttr{Mode: a.Mode &^ unix.S_IFMT, UID: a.UID, GID: a.GID, Atime: a.Atime, Mtime: a.Mtime}
	if a.UID != b.UID || a.GID != b.GID {
		in.Valid |= tree.SetUID | tree.SetGID | tree.SetMode // which takes set-id bits away
	}
	if a.Mode != b.Mode {
		in.Valid |= tree.SetMode
	}
	if a.Kind() == tree.KindSymlink {
		in.Valid &^= tree.SetMode
	}
	if !a.Mtime.Equal(b.Mtime) || in.Valid != 0 {
		in.Valid |= tree.SetAtime | tree.SetMtime
	}
	if in.Valid == 0 {
		return nil
	}
	return now.Setattr(r.who, &in, &b)
}

func (r *restoring) xattrs(was, now tree.Node) error {
	a, err := nodeOf(was).xattrs()
	if err != nil {
		return err
	}
	b, err := nodeOf(now).xattrs()
	if err != nil {
		return err
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			if err := now.Removexattr(r.who, name); err != nil {
				return err
			}
		}
	}
	for name, v := range a {
		if is, ok := b[name]; ok && bytes.Equal(is, v) {
			continue
		}
		if err := now.Setxattr(r.who, name, v, 0); err != nil {
			return err
		}
	}
	return nil
}
