package layer

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Offsets in struct linux_dirent64.
const (
	direntReclen = 16
	direntType   = 18
	direntName   = 19
)

// Names calls fn for each entry of a readable directory, from its start, in the
// order of the disk and without "." and "..", until fn returns false. kind is in
// the bits of S_IFMT, 0 when the file system does not tell. It moves the offset
// of fd: two readers need two descriptors.
func Names(fd int, fn func(name string, ino uint64, kind uint32) bool) error {
	if _, err := unix.Seek(fd, 0, 0); err != nil {
		return err
	}
	var buf [16 << 10]byte
	for {
		n, err := unix.Getdents(fd, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n <= 0 {
			return nil
		}
		if !eachDirent(buf[:n], fn) {
			return nil
		}
	}
}

func eachDirent(b []byte, fn func(name string, ino uint64, kind uint32) bool) bool {
	for len(b) > direntName {
		size := int(binary.NativeEndian.Uint16(b[direntReclen:]))
		if size <= direntName || size > len(b) {
			return true
		}
		ino, kind, name := binary.NativeEndian.Uint64(b), uint32(b[direntType])<<12, b[direntName:size]
		b = b[size:]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		if ino == 0 || string(name) == "." || string(name) == ".." {
			continue
		}
		if !fn(string(name), ino, kind) {
			return false
		}
	}
	return true
}

// Readlink returns the target of a symbolic link: name in dirfd, or dirfd itself
// (opened with O_PATH) when name is empty.
func Readlink(dirfd int, name string) (string, error) {
	var buf [unix.PathMax]byte
	for {
		n, err := unix.Readlinkat(dirfd, name, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return "", err
		}
		return string(buf[:n]), nil
	}
}
