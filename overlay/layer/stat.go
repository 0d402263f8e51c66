package layer

import (
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Key is the identity of an inode of a disk. Numbers are used again after a
// delete, so the birth time and the generation of the file handle belong to it.
type Key struct {
	Dev   uint64
	Ino   uint64
	Btime int64  // nanoseconds since 1970; 0 when the file system does not tell
	Gen   uint32 // of the file handle; 0 when unknown. See Generation.
}

// Same tells whether k and o are one inode, as far as both of them know. The
// device counts: a caller that compares across a boot makes both Devs equal first.
func (k Key) Same(o Key) bool {
	if k.Ino != o.Ino || k.Dev != o.Dev {
		return false
	}
	if k.Btime != 0 && o.Btime != 0 && k.Btime != o.Btime {
		return false
	}
	return k.Gen == 0 || o.Gen == 0 || k.Gen == o.Gen
}

// Fingerprint tells whether a file is still the one that was read. The mode has
// the kind.
type Fingerprint struct {
	Key
	Mode  uint32
	Size  int64
	Mtime int64
	Ctime int64
}

// Stat is what statx(2) says.
type Stat struct {
	Key     // Gen is not filled
	Mode    uint32
	Nlink   uint32
	UID     uint32
	GID     uint32
	Rdev    uint32 // as unix.Mkdev encodes it, low 32 bits
	Size    int64
	Blocks  int64 // of 512 bytes
	Blksize uint32
	Atime   int64
	Mtime   int64
	Ctime   int64
	MountID uint64 // differs from the parent's at a mount point; 0 when the kernel does not tell
}

// Fingerprint returns the part of s that Fingerprint keeps.
func (s *Stat) Fingerprint() Fingerprint {
	return Fingerprint{Key: s.Key, Mode: s.Mode, Size: s.Size, Mtime: s.Mtime, Ctime: s.Ctime}
}

const statxMask = unix.STATX_BASIC_STATS | unix.STATX_BTIME | unix.STATX_MNT_ID

// Statx fills s from name in dirfd, or from dirfd itself when name is empty. A
// symbolic link is not followed and nothing is mounted by it. Names of up to 255
// bytes allocate nothing.
func Statx(dirfd int, name string, s *Stat) error {
	const flags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	var st unix.Statx_t
	if len(name) > unix.NAME_MAX {
		if err := ignoringEINTR(func() error { return unix.Statx(dirfd, name, flags, statxMask, &st) }); err != nil {
			return err
		}
		s.fill(&st)
		return nil
	}
	var buf [unix.NAME_MAX + 1]byte
	for i := 0; i < len(name); i++ {
		if name[i] == 0 {
			return unix.EINVAL
		}
		buf[i] = name[i]
	}
	f := flags
	if name == "" {
		f |= unix.AT_EMPTY_PATH
	}
	for {
		_, _, e := unix.Syscall6(unix.SYS_STATX, uintptr(dirfd), uintptr(unsafe.Pointer(&buf[0])),
			uintptr(f), statxMask, uintptr(unsafe.Pointer(&st)), 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return e
		}
		s.fill(&st)
		return nil
	}
}

func (s *Stat) fill(st *unix.Statx_t) {
	*s = Stat{
		Key:     Key{Dev: unix.Mkdev(st.Dev_major, st.Dev_minor), Ino: st.Ino},
		Mode:    uint32(st.Mode),
		Nlink:   st.Nlink,
		UID:     st.Uid,
		GID:     st.Gid,
		Rdev:    uint32(unix.Mkdev(st.Rdev_major, st.Rdev_minor)),
		Size:    int64(st.Size),
		Blocks:  int64(st.Blocks),
		Blksize: st.Blksize,
		Atime:   nanos(st.Atime),
		Mtime:   nanos(st.Mtime),
		Ctime:   nanos(st.Ctime),
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		s.Btime = nanos(st.Btime)
	}
	if st.Mask&unix.STATX_MNT_ID != 0 {
		s.MountID = st.Mnt_id
	}
}

// nanos clamps: math.MinInt64 itself is kept free, it means «leave it» in Utimes.
func nanos(t unix.StatxTimestamp) int64 {
	const sec = 1_000_000_000
	switch {
	case t.Sec >= math.MaxInt64/sec:
		return math.MaxInt64
	case t.Sec <= math.MinInt64/sec:
		return math.MinInt64 + 1
	}
	return t.Sec*sec + int64(t.Nsec)
}

func ignoringEINTR(fn func() error) error {
	for {
		if err := fn(); err != unix.EINTR {
			return err
		}
	}
}
