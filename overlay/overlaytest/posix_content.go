package overlaytest

import (
	"golang.org/x/sys/unix"
)

// openFile opens a regular file; anything else is EINVAL.
func openFile(s spot, flags int) (int, error) {
	kind, err := kindAt(s)
	if err != nil {
		return -1, err
	}
	if kind != unix.S_IFREG {
		return -1, unix.EINVAL
	}
	if s.name == "" {
		return unix.Open(procFd(s.dir), flags|unix.O_CLOEXEC, 0)
	}
	return unix.Openat(s.dir, s.name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
}

// file is the descriptor for an operation on content: the held one itself where
// there is one, so that an unlinked file is reached as its holder would.
func file(s spot, flags int) (fd int, done func(), err error) {
	if s.name == "" && flags&unix.O_APPEND == 0 {
		kind, err := kindAt(s)
		if err != nil {
			return -1, nil, err
		}
		if kind != unix.S_IFREG {
			return -1, nil, unix.EINVAL
		}
		return s.dir, func() {}, nil
	}
	fd, err = openFile(s, flags)
	return fd, func() { unix.Close(fd) }, err
}

// content does what reads and changes bytes.
func (d *Posix) content(op *Op, s spot) (Result, error) {
	flags := unix.O_RDWR
	switch op.Kind {
	case Append:
		flags = unix.O_WRONLY | unix.O_APPEND
	case Read, Holes:
		flags = unix.O_RDONLY
	}
	fd, done, err := file(s, flags)
	if err != nil {
		return Result{}, err
	}
	defer done()
	switch op.Kind {
	case Write:
		return Result{}, pwriteAll(fd, op.bytes(), op.Off)
	case Append:
		return Result{}, writeAll(fd, op.bytes())
	case Truncate:
		return Result{}, unix.Ftruncate(fd, op.Len)
	case Fallocate:
		return Result{}, unix.Fallocate(fd, op.Flags, op.Off, op.Len)
	case Copy:
		return d.copy(op, fd)
	case Holes:
		b, err := solidAndHoles(fd)
		return Result{Data: b}, err
	}
	b := make([]byte, op.Len)
	n, err := preadAll(fd, b, op.Off)
	return Result{Data: b[:n]}, err
}

func (d *Posix) copy(op *Op, from int) (Result, error) {
	to, err := d.find(op.ToAt, op.To)
	if err != nil {
		return Result{}, err
	}
	defer to.close()
	into, done, err := file(to, unix.O_RDWR)
	if err != nil {
		return Result{}, err
	}
	defer done()
	e, err := statAt(spot{dir: from})
	if err != nil {
		return Result{}, err
	}
	src, dst := op.Off, op.Off2
	for left := min(op.Len, e.Size-src); left > 0; { // what was there when it began
		n, err := unix.CopyFileRange(from, &src, into, &dst, int(left), 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return Result{}, err
		}
		if n == 0 {
			break
		}
		left -= int64(n)
	}
	return Result{Data: Bytes(0, src-op.Off)}, nil
}

// solidAndHoles reads what lseek(2) says is data and takes the rest for zeros.
func solidAndHoles(fd int) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	b := make([]byte, st.Size)
	for off := int64(0); off < st.Size; {
		from, err := unix.Seek(fd, off, unix.SEEK_DATA)
		if err == unix.ENXIO {
			break
		}
		if err != nil {
			return nil, err
		}
		to, err := unix.Seek(fd, from, unix.SEEK_HOLE)
		if err != nil {
			return nil, err
		}
		if _, err := preadAll(fd, b[from:min(to, st.Size)], from); err != nil {
			return nil, err
		}
		off = to
	}
	return b, nil
}

func preadAll(fd int, b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) {
		m, err := unix.Pread(fd, b[n:], off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil || m == 0 {
			return n, err
		}
		n += m
	}
	return n, nil
}

func pwriteAll(fd int, b []byte, off int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b, off = b[n:], off+int64(n)
	}
	return nil
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// open holds an object in a slot. Links and special files are not held: opening
// them means something else.
func (d *Posix) open(op *Op, s spot) error {
	if op.Kind == Tmpfile {
		return d.tmpfile(op, s)
	}
	kind, err := kindAt(s)
	if err != nil {
		return err
	}
	flags := unix.O_RDWR
	switch kind {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		flags = unix.O_RDONLY | unix.O_DIRECTORY
	default:
		return unix.EINVAL
	}
	fd := -1
	if s.name == "" {
		fd, err = unix.Open(procFd(s.dir), flags|unix.O_CLOEXEC, 0)
	} else {
		fd, err = unix.Openat(s.dir, s.name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	if err == nil {
		d.slots[op.Slot] = &held{fd: fd, kind: kind}
	}
	return err
}

func (d *Posix) tmpfile(op *Op, s spot) error {
	fd, err := unix.Openat(s.dir, s.orDot(), unix.O_RDWR|unix.O_TMPFILE|unix.O_NOFOLLOW|unix.O_CLOEXEC, op.Mode)
	if err == nil {
		d.slots[op.Slot] = &held{fd: fd, kind: unix.S_IFREG, tmp: true}
	}
	return err
}
