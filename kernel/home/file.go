package home

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
)

const fileMode = 0o600

// WriteFileAtomic replaces path by data, 0600. After a crash or power cut at
// any moment path holds the old content or the new; after a nil return, the new.
func WriteFileAtomic(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "write %s", path)
	}
	return replace(f, path, data)
}

// WriteFileVia is WriteFileAtomic by way of a temporary file of a given name in
// the same directory; one left by a crash is removed first.
func WriteFileVia(temp, path string, data []byte) error {
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(fault.KindOf(err), err, "write %s", path)
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, fileMode)
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "write %s", path)
	}
	return replace(f, path, data)
}

// replace fills the temporary file f, closes it and renames it to path. On
// failure nothing of f remains.
func replace(f *os.File, path string, data []byte) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fault.Wrap(fault.KindOf(err), err, "write %s", path)
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in dir survive a power cut.
func SyncDir(dir string) error {
	d, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "sync %s", dir)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "sync %s", dir)
	}
	return nil
}

// ReadPrivate reads a small file that only its owner may touch. It refuses
// symbolic links, what is no regular file, what others may read or write, what
// belongs to somebody else, and more than limit bytes.
func ReadPrivate(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "read %s", path)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "read %s", path)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, fault.New(fault.Denied, "%s is not a regular file", path)
	case int(st.Uid) != os.Geteuid():
		return nil, fault.New(fault.Denied, "%s belongs to user %d, not to you", path, st.Uid)
	case st.Mode&0o077 != 0:
		return nil, fault.New(fault.Denied, "others may use %s (mode %#o): it is no secret any more; run astrid down and up", path, st.Mode&0o7777)
	}
	return readBounded(f, path, limit)
}

func readBounded(r io.Reader, path string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, fault.Wrap(fault.KindOf(err), err, "read %s", path)
	case int64(len(data)) > limit:
		return nil, fault.New(fault.Limit, "%s is larger than %d bytes", path, limit)
	}
	return data, nil
}
