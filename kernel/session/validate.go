package session

import (
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// workspace is a directory that may be worked on.
type workspace struct {
	dir      string // absolute, free of symbolic links
	dev, ino uint64
}

// resolve checks the workspace of an Up.
func (t *Table) resolve(req wire.Up) (workspace, error) {
	if !filepath.IsAbs(req.Dir) {
		return workspace{}, fault.New(fault.Usage, "the workspace %q is not an absolute path", req.Dir)
	}
	dir, err := filepath.EvalSymlinks(req.Dir)
	if err != nil {
		return workspace{}, fault.Wrap(fault.KindOf(err), err, "a session on %s", req.Dir)
	}
	if !utf8.ValidString(dir) {
		return workspace{}, fault.New(fault.Unsupported, "the path %q is not UTF-8, which the records of a session need; rename the directory or reach it by another path", dir)
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return workspace{}, fault.Wrap(fault.KindOf(err), err, "a session on %s", req.Dir)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return workspace{}, fault.New(fault.Usage, "%s is not a directory; a session needs one", req.Dir)
	}
	if err := t.mayLie(dir, req.Confirmed); err != nil {
		return workspace{}, err
	}
	return workspace{dir, uint64(st.Dev), st.Ino}, nil
}

// mayLie refuses the places where a workspace would swallow its own tail, and
// asks for confirmation where it would be more than anybody means.
func (t *Table) mayLie(dir string, confirmed bool) error {
	if within(dir, real(t.cfg.Home.String())) {
		return fault.New(fault.Usage, "%s lies in Astrid's home %s; choose a workspace outside of it", dir, t.cfg.Home)
	}
	if view := viewAround(dir); view != "" {
		return fault.New(fault.Usage, "%s lies in the view %s; name the real workspace instead", dir, view)
	}
	if place := ofTheMachine(dir); place != "" {
		return fault.New(fault.Usage, "%s lies in %s, which holds the machine's own state and no files to work on; choose another directory", dir, place)
	}
	if !confirmed && (dir == "/" || t.cfg.UserHome != "" && dir == real(t.cfg.UserHome)) {
		return fault.New(fault.Denied, "%s is much more than a project; if you mean it, say so with --yes", dir)
	}
	return nil
}

// ofTheMachine returns the directory of the machine's own state that dir lies
// in, or "". The shared memory below /dev is an ordinary file system.
func ofTheMachine(dir string) string {
	for _, place := range []string{"/proc", "/sys", "/dev"} {
		if within(dir, place) && !within(dir, "/dev/shm") {
			return place
		}
	}
	return ""
}

// viewAround returns the mount point of the Astrid mount that dir lies in, or "".
func viewAround(dir string) string {
	mounts, err := mountinfo.GetMounts(mountinfo.ParentsFilter(dir))
	if err != nil {
		return ""
	}
	// The innermost mount is the one that counts, the later of two at one place.
	var inner *mountinfo.Info
	for _, m := range mounts {
		if inner == nil || len(m.Mountpoint) >= len(inner.Mountpoint) {
			inner = m
		}
	}
	if inner != nil && strings.HasPrefix(inner.FSType, "fuse.astrid") {
		return inner.Mountpoint
	}
	return ""
}

// within tells whether path is dir or lies below it.
func within(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// real is path without symbolic links, or path itself when it cannot be resolved.
func real(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	return filepath.Clean(path)
}

// mounted tells whether something is mounted on path; it does not look at it.
func mounted(path string) bool {
	found, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(path))
	return err == nil && len(found) > 0
}

// detach takes a dead mount away from path, lazily: shells may stand in it.
func detach(path string) error {
	for mounted(real(filepath.Dir(path)) + "/" + filepath.Base(path)) {
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err != nil {
			err = runQuietly("fusermount3", "-u", "-z", "--", path)
		}
		if err != nil {
			return fault.Wrap(fault.Busy, err, "detach the dead mount at %s", path)
		}
	}
	return nil
}
