package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
)

// object is what is at a path of a mount; info is nil when there is nothing.
type object struct {
	path string
	info os.FileInfo
}

func look(dir, p string) (object, error) {
	o := object{path: filepath.Join(dir, p)}
	info, err := os.Lstat(o.path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return o, nil
	}
	o.info = info
	return o, err
}

func (o object) there() bool  { return o.info != nil }
func (o object) isDir() bool  { return o.there() && o.info.IsDir() }
func (o object) isFile() bool { return o.there() && o.info.Mode().IsRegular() }

// replicate makes a path of one mount what it is in another: content, mode, owner,
// times and attributes; of a directory not what is in it. What is there of another kind
// has been removed.
func replicate(from, to, p string) error {
	src, err := look(from, p)
	if err != nil {
		return err
	}
	dst, err := look(to, p)
	if err != nil {
		return err
	}
	if dst.there() && dst.info.Mode().Type() != src.info.Mode().Type() {
		if err := os.Remove(dst.path); err != nil {
			return err
		}
		dst.info = nil
	}
	switch mode := src.info.Mode(); {
	case mode.IsDir():
		if !dst.there() {
			err = os.Mkdir(dst.path, 0o700)
		}
	case mode.IsRegular():
		err = copyBytes(src, dst)
	case mode&os.ModeSymlink != 0:
		if dst.there() {
			err = os.Remove(dst.path)
		}
		target, rerr := os.Readlink(src.path)
		if err = errors.Join(err, rerr); err == nil {
			err = os.Symlink(target, dst.path)
		}
	case dst.there():
	default:
		st, _ := src.info.Sys().(*syscall.Stat_t)
		err = unix.Mknod(dst.path, st.Mode, int(st.Rdev))
	}
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "bring %s over", p)
	}
	return dressLike(src, dst.path)
}

// copyBytes gives a file the bytes of another, whatever it had. It is made anew, so
// that other names of what was there keep it.
func copyBytes(src, dst object) error {
	in, err := os.Open(src.path)
	if err != nil {
		return err
	}
	defer in.Close()
	tmp := filepath.Join(filepath.Dir(dst.path), ".astrid-merge-"+filepath.Base(dst.path)[:min(len(filepath.Base(dst.path)), 200)])
	out, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Rename(tmp, dst.path)
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}

// dressLike gives what is at a path the attributes of an object.
func dressLike(src object, at string) error {
	st, _ := src.info.Sys().(*syscall.Stat_t)
	if err := os.Lchown(at, int(st.Uid), int(st.Gid)); err != nil && os.Geteuid() == 0 {
		return err
	}
	link := src.info.Mode()&os.ModeSymlink != 0
	if !link {
		if err := unix.Chmod(at, st.Mode&0o7777); err != nil {
			return err
		}
	}
	if err := copyXattrs(src.path, at); err != nil {
		return err
	}
	times := []unix.Timespec{{Sec: st.Atim.Sec, Nsec: st.Atim.Nsec}, {Sec: st.Mtim.Sec, Nsec: st.Mtim.Nsec}}
	return unix.UtimesNanoAt(unix.AT_FDCWD, at, times, unix.AT_SYMLINK_NOFOLLOW)
}

// copyXattrs copies the attributes that we may.
func copyXattrs(from, to string) error {
	names := make([]byte, 64<<10)
	n, err := unix.Llistxattr(from, names)
	if err != nil || n == 0 {
		return nil // there are none that can be seen
	}
	value := make([]byte, 64<<10)
	for _, name := range splitZero(names[:n]) {
		n, err := unix.Lgetxattr(from, name, value)
		if err != nil {
			continue
		}
		if err := unix.Lsetxattr(to, name, value[:n], 0); err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
	}
	return nil
}

func splitZero(b []byte) (l []string) {
	for i, at := 0, 0; i < len(b); i++ {
		if b[i] == 0 {
			l = append(l, string(b[at:i]))
			at = i + 1
		}
	}
	return l
}
