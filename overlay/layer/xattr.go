package layer

import (
	"strings"

	"golang.org/x/sys/unix"
)

// The extended attributes of name in dirfd, or of dirfd itself (of any kind,
// O_PATH too) when name is empty. A symbolic link is not followed. The calls go
// through /proc/self/fd, because the kernel has them by path only.

// Getxattr copies a value into dst and returns its size; with an empty dst only
// the size. ERANGE when it does not fit, ENODATA when there is none.
func Getxattr(dirfd int, name, attr string, dst []byte) (n int, err error) {
	p := procPath(dirfd, name)
	err = ignoringEINTR(func() (err error) {
		if name == "" {
			n, err = unix.Getxattr(p, attr, dst)
		} else {
			n, err = unix.Lgetxattr(p, attr, dst)
		}
		return err
	})
	return n, err
}

// Listxattr is like Getxattr; each name ends with NUL.
func Listxattr(dirfd int, name string, dst []byte) (n int, err error) {
	p := procPath(dirfd, name)
	err = ignoringEINTR(func() (err error) {
		if name == "" {
			n, err = unix.Listxattr(p, dst)
		} else {
			n, err = unix.Llistxattr(p, dst)
		}
		return err
	})
	return n, err
}

// Setxattr sets a value; flags are XATTR_CREATE and XATTR_REPLACE.
func Setxattr(dirfd int, name, attr string, val []byte, flags int) error {
	p := procPath(dirfd, name)
	return ignoringEINTR(func() error {
		if name == "" {
			return unix.Setxattr(p, attr, val, flags)
		}
		return unix.Lsetxattr(p, attr, val, flags)
	})
}

// Removexattr removes an attribute.
func Removexattr(dirfd int, name, attr string) error {
	p := procPath(dirfd, name)
	return ignoringEINTR(func() error {
		if name == "" {
			return unix.Removexattr(p, attr)
		}
		return unix.Lremovexattr(p, attr)
	})
}

// Xattrs returns all attributes that the caller may read: an empty map where
// there are none and where the file system has none. One that vanishes
// meanwhile is left out.
func Xattrs(dirfd int, name string) (map[string][]byte, error) {
	list, err := grow(func(dst []byte) (int, error) { return Listxattr(dirfd, name, dst) })
	if err == unix.EOPNOTSUPP {
		return map[string][]byte{}, nil
	}
	if err != nil {
		return nil, err
	}
	m := make(map[string][]byte)
	for attr := range strings.SplitSeq(string(list), "\x00") {
		if attr == "" {
			continue
		}
		v, err := grow(func(dst []byte) (int, error) { return Getxattr(dirfd, name, attr, dst) })
		if err == unix.ENODATA || err == unix.EOPNOTSUPP {
			continue
		}
		if err != nil {
			return nil, err
		}
		m[attr] = v
	}
	return m, nil
}

// grow calls fn with larger buffers until the answer fits. The kernel's own
// bound (64 KiB) is what ends it.
func grow(fn func(dst []byte) (int, error)) ([]byte, error) {
	for {
		n, err := fn(nil)
		if err != nil || n == 0 {
			return []byte{}, err
		}
		buf := make([]byte, n)
		n, err = fn(buf)
		if err == unix.ERANGE {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buf[:n], nil
	}
}
