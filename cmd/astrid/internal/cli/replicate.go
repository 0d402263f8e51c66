package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
)

// What is done here to a view goes through an os.Root: a program in it may put links
// where directories were, and nothing outside of it is read or written.

// object is what is at a path of a view; info is nil when there is nothing.
type object struct {
	root *os.Root
	path string
	info os.FileInfo
}

func look(root *os.Root, p string) (object, error) {
	o := object{root: root, path: p}
	info, err := root.Lstat(p)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return o, nil
	}
	o.info = info
	return o, err
}

func (o object) there() bool  { return o.info != nil }
func (o object) isDir() bool  { return o.there() && o.info.IsDir() }
func (o object) isFile() bool { return o.there() && o.info.Mode().IsRegular() }
func (o object) isLink() bool { return o.there() && o.info.Mode()&os.ModeSymlink != 0 }

// isDevice tells whether only root can make its like.
func (o object) isDevice() bool { return o.there() && o.info.Mode()&os.ModeDevice != 0 }

func (o object) stat() *syscall.Stat_t {
	st, _ := o.info.Sys().(*syscall.Stat_t)
	return cmp.Or(st, &syscall.Stat_t{})
}

// open opens a file or directory, and nothing that has come in its place.
func (o object) open() (*os.File, error) {
	f, err := o.root.OpenFile(o.path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && st.Mode().Type() != o.info.Mode().Type() {
		err = fault.New(fault.Conflict, "%s was replaced just now", o.path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// xattrs returns the attributes of a file or directory that we may see.
func (o object) xattrs() (map[string][]byte, error) {
	if !o.isDir() && !o.isFile() {
		return nil, nil
	}
	f, err := o.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names := make([]byte, 64<<10)
	n, err := unix.Flistxattr(int(f.Fd()), names)
	if err != nil {
		return nil, nil // a disk without any
	}
	all, value := map[string][]byte{}, make([]byte, 64<<10)
	for _, name := range bytes.Split(bytes.TrimSuffix(names[:n], []byte{0}), []byte{0}) {
		if n, err := unix.Fgetxattr(int(f.Fd()), string(name), value); err == nil && len(name) > 0 {
			all[string(name)] = bytes.Clone(value[:n])
		}
	}
	return all, nil
}

// sameDress compares mode, owner and attributes.
func sameDress(a, b object) (bool, error) {
	x, y := a.stat(), b.stat()
	if x.Mode != y.Mode || x.Uid != y.Uid || x.Gid != y.Gid {
		return false, nil
	}
	was, err := a.xattrs()
	if err != nil {
		return false, err
	}
	is, err := b.xattrs()
	return maps.EqualFunc(was, is, bytes.Equal), err
}

// alike compares two objects: their kind, what is in them, and their dress; of
// directories not what is in them.
func alike(a, b object) (bool, error) {
	if !a.there() || !b.there() {
		return a.there() == b.there(), nil
	}
	if a.info.Mode().Type() != b.info.Mode().Type() {
		return false, nil
	}
	if same, err := sameDress(a, b); err != nil || !same {
		return false, err
	}
	switch {
	case a.isFile():
		return sameBytes(a, b)
	case a.isLink():
		x, err := a.root.Readlink(a.path)
		if err != nil {
			return false, err
		}
		y, err := b.root.Readlink(b.path)
		return x == y, err
	}
	return a.stat().Rdev == b.stat().Rdev, nil
}

// sameBytes compares two files.
func sameBytes(a, b object) (bool, error) {
	if a.info.Size() != b.info.Size() {
		return false, nil
	}
	f, err := a.open()
	if err != nil {
		return false, err
	}
	defer f.Close()
	g, err := b.open()
	if err != nil {
		return false, err
	}
	defer g.Close()
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, err := io.ReadFull(f, x)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return false, err
		}
		m, err := io.ReadFull(g, y)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return false, err
		}
		if n != m || !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		if n < len(x) {
			return true, nil
		}
	}
}

// replicate makes a path of one view what it is in another: content, mode, owner, times
// and attributes; of a directory not what is in it.
func replicate(src object, to *os.Root) error {
	dst, err := look(to, src.path)
	if err == nil && dst.there() && dst.info.Mode().Type() != src.info.Mode().Type() {
		err = to.Remove(dst.path)
		dst.info = nil
	}
	if err == nil {
		err = bring(src, dst)
	}
	if err == nil {
		err = dress(src, to)
	}
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "bring %s over", src.path)
	}
	return nil
}

// bring makes the object, without its dress.
func bring(src, dst object) error {
	switch to := dst.root; {
	case src.isDir() && dst.there():
		return nil
	case src.isDir():
		return to.Mkdir(dst.path, 0o700)
	case src.isFile():
		return copyBytes(src, to)
	case dst.there():
		if err := to.Remove(dst.path); err != nil {
			return err
		}
	}
	if src.isLink() {
		target, err := src.root.Readlink(src.path)
		if err != nil {
			return err
		}
		return dst.root.Symlink(target, dst.path)
	}
	dir, err := dst.root.Open(path.Dir(dst.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.Mknodat(int(dir.Fd()), path.Base(dst.path), src.stat().Mode, int(src.stat().Rdev))
}

// copyBytes gives a file the bytes of another. It is made anew, so that other names of
// what was there keep it.
func copyBytes(src object, to *os.Root) error {
	in, err := src.open()
	if err != nil {
		return err
	}
	defer in.Close()
	tmp := path.Join(path.Dir(src.path), fmt.Sprintf(".astrid-merge-%d", os.Getpid()))
	out, err := to.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err == nil {
		err = to.Rename(tmp, src.path)
	}
	if err != nil {
		_ = to.Remove(tmp)
	}
	return err
}

// dress gives what is at the path of an object its owner, mode, attributes and times.
func dress(src object, to *os.Root) error {
	st := src.stat()
	if err := to.Lchown(src.path, int(st.Uid), int(st.Gid)); err != nil && os.Geteuid() == 0 {
		return err
	}
	if src.isLink() {
		return nil
	}
	dst, err := look(to, src.path)
	if err != nil || !dst.isDir() && !dst.isFile() {
		return err
	}
	f, err := dst.open()
	if err != nil {
		return err
	}
	defer f.Close()
	want, err := src.xattrs()
	if err != nil {
		return err
	}
	have, err := dst.xattrs()
	if err != nil {
		return err
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			_ = unix.Fremovexattr(int(f.Fd()), name)
		}
	}
	for name, value := range want {
		err := unix.Fsetxattr(int(f.Fd()), name, value, 0)
		if err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
	}
	if err := unix.Fchmod(int(f.Fd()), st.Mode&0o7777); err != nil {
		return err
	}
	times := []unix.Timespec{{Sec: st.Atim.Sec, Nsec: st.Atim.Nsec}, {Sec: st.Mtim.Sec, Nsec: st.Mtim.Nsec}}
	return unix.UtimesNanoAt(int(f.Fd()), "", times, unix.AT_EMPTY_PATH)
}
