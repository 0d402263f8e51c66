package home

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
)

const dirMode = 0o700

// Ensure makes the home and its fixed directories, 0700 each. It refuses a home
// that belongs to somebody else or that others may write to; one that others
// may only read is closed to them.
func (h Home) Ensure() error {
	if err := os.MkdirAll(filepath.Dir(h.root), 0o755); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "make the parent of the home %s", h.root)
	}
	if err := makePrivate(h.root, true); err != nil {
		return err
	}
	for _, dir := range []string{h.Sessions(), h.Keys(), h.Logs(), h.AuditArchives(), h.Capsules(), h.Shared(), h.CompileCache(), h.Tmp()} {
		if err := makePrivate(dir, false); err != nil {
			return err
		}
	}
	return makeMountPoint(h.Ctl())
}

// EnsureSession makes the directories and links of a session whose workspace is
// base, an absolute path. It may be called again, also while the session's
// views are mounted.
func (h Home) EnsureSession(name, base string) error {
	if err := CheckSession(name); err != nil {
		return err
	}
	for _, dir := range []string{h.Session(name), h.TempDir(name), h.Forks(name)} {
		if err := makePrivate(dir, false); err != nil {
			return err
		}
	}
	for _, dir := range []string{h.Workspace(name), h.Checkpoints(name)} {
		if err := makeMountPoint(dir); err != nil {
			return err
		}
	}
	if err := link(base, h.BaseLink(name)); err != nil {
		return err
	}
	return link(filepath.Join("..", "ctl", "sessions", name), h.CtlLink(name))
}

// makePrivate makes dir or checks and closes the one that is there. follow
// allows dir itself to be a symbolic link (a home on another disk).
func makePrivate(dir string, follow bool) error {
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fault.Wrap(fault.KindOf(err), err, "make %s", dir)
	}
	flags := unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	fd, err := unix.Open(dir, flags, 0)
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "open %s", dir)
	}
	defer unix.Close(fd)
	return closeToOthers(fd, dir)
}

func closeToOthers(fd int, dir string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "stat %s", dir)
	}
	switch {
	case int(st.Uid) != os.Geteuid():
		return fault.New(fault.Denied, "%s belongs to user %d, not to you (%d): give Astrid a home of your own with ASTRID_HOME", dir, st.Uid, os.Geteuid())
	case st.Mode&0o022 != 0:
		return fault.New(fault.Denied, "others may write to %s (mode %#o): somebody may have prepared it; look at it, then chmod 700 it", dir, st.Mode&0o7777)
	case st.Mode&0o7777 == dirMode:
		return nil
	}
	if err := unix.Fchmod(fd, dirMode); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "close %s to others", dir)
	}
	return nil
}

// makeMountPoint makes dir and never looks at one that is there: a dead mount
// may lie on it.
func makeMountPoint(dir string) error {
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fault.Wrap(fault.KindOf(err), err, "make %s", dir)
	}
	return nil
}

// link makes the symbolic link name, or replaces one that points elsewhere.
func link(target, name string) error {
	if old, err := os.Readlink(name); err == nil && old == target {
		return nil
	}
	temp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".tmp")
	_ = os.Remove(temp)
	if err := os.Symlink(target, temp); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "link %s", name)
	}
	if err := os.Rename(temp, name); err != nil {
		_ = os.Remove(temp)
		return fault.Wrap(fault.KindOf(err), err, "link %s", name)
	}
	return nil
}
