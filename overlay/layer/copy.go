package layer

import (
	"golang.org/x/sys/unix"
)

const (
	seekData = 3
	seekHole = 4

	// A step of a copy: large enough to be cheap, small enough for copies that
	// are no clones to let go of the file's lock between two of them.
	step    = 16 << 20
	bufSize = 128 << 10
)

// Copy fills the empty file dst with the first n bytes of src, or with all of
// them when n is negative or larger than the file. The whole file is cloned where
// the disk can do that; otherwise data goes segment by segment, so that holes
// stay holes, in the kernel where it can and through a small buffer where not.
// dst has its right size at the end. It moves the offset of src. A file that
// shrinks meanwhile gives what there was to read; who needs to know compares
// fingerprints before and after.
func Copy(dst, src int, n int64) error {
	var s Stat
	if err := Statx(src, "", &s); err != nil {
		return err
	}
	end := s.Size
	whole := n < 0 || n >= end
	if !whole {
		end = n
	}
	if whole && end > 0 && ignoringEINTR(func() error { return unix.IoctlFileClone(dst, src) }) == nil {
		return nil
	}
	for off := int64(0); off < end; {
		from, to, err := segment(src, off, end)
		if err != nil {
			return err
		}
		if from >= end {
			break
		}
		got, err := CopyRange(dst, from, src, from, to-from)
		if err != nil {
			return err
		}
		if got < to-from { // it was cut short under us
			end = from + got
			break
		}
		off = to
	}
	return ignoringEINTR(func() error { return unix.Ftruncate(dst, end) })
}

// segment returns the first run of data at or behind off, cut at end; from is
// end when there is none.
func segment(fd int, off, end int64) (from, to int64, err error) {
	from, err = unix.Seek(fd, off, seekData)
	switch {
	case err == unix.ENXIO:
		return end, end, nil
	case err == unix.EINVAL, err == unix.EOPNOTSUPP: // a file system without holes
		return off, end, nil
	case err != nil:
		return 0, 0, err
	}
	to, err = unix.Seek(fd, from, seekHole)
	if err == unix.ENXIO { // it was cut short between the two calls
		return end, end, nil
	}
	if err != nil {
		return 0, 0, err
	}
	return min(from, end), min(to, end), nil
}

// CopyRange copies n bytes between two places of two files, or of one where the
// ranges do not overlap (EINVAL), and returns how many: less at the end of src
// and with an error. A hole in the range may become zeros.
func CopyRange(dst int, dstOff int64, src int, srcOff, n int64) (int64, error) {
	var done int64
	for done < n {
		so, do := srcOff+done, dstOff+done
		k, err := unix.CopyFileRange(src, &so, dst, &do, int(min(n-done, step)), 0)
		if err == unix.EINTR {
			continue
		}
		if err == nil && k > 0 {
			done += int64(k)
			continue
		}
		if err == unix.EINVAL && overlap(dst, dstOff+done, src, srcOff+done, n-done) {
			return done, err
		}
		if err != nil && !mayCopyByHand(err) {
			return done, err
		}
		// The end of the file, a pair of file systems that cannot do it, or one
		// that says 0 of everything: reading tells which.
		more, err := copyByHand(dst, dstOff+done, src, srcOff+done, n-done)
		return done + more, err
	}
	return done, nil
}

func mayCopyByHand(err error) bool {
	switch err {
	case unix.EXDEV, unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP, unix.EPERM, unix.EIO:
		return true
	}
	return false
}

func overlap(dst int, dstOff int64, src int, srcOff, n int64) bool {
	var a, b Stat
	if Statx(dst, "", &a) != nil || Statx(src, "", &b) != nil || a.Dev != b.Dev || a.Ino != b.Ino {
		return false
	}
	return dstOff < srcOff+n && srcOff < dstOff+n
}

func copyByHand(dst int, dstOff int64, src int, srcOff, n int64) (int64, error) {
	buf := make([]byte, min(n, bufSize))
	var done int64
	for done < n {
		k, err := unix.Pread(src, buf[:min(n-done, int64(len(buf)))], srcOff+done)
		if err == unix.EINTR {
			continue
		}
		if err != nil || k == 0 {
			return done, err
		}
		for p := buf[:k]; len(p) > 0; {
			w, err := unix.Pwrite(dst, p, dstOff+done)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return done, err
			}
			p, done = p[w:], done+int64(w)
		}
	}
	return done, nil
}
