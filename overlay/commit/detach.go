package commit

import (
	"errors"
	"fmt"
	"maps"

	"golang.org/x/sys/unix"

	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// detachName is where a copy is made, in the staging directory.
const detachName = ".copy"

// walkAbove is from how many bytes of copies on it is worth to look through the
// workspace for those that are not needed: names of one file outside of it, as
// package managers make them, stay what they are.
const walkAbove = 16 << 20

// shared is a pre-image that has names elsewhere.
type shared struct {
	st    layer.Stat
	paths []string // in the staging directory
}

// detacher makes pre-images that share their inode with a name in the workspace
// files of their own: else an edit of that name would change what an undo puts
// back, and its link count would tell of a name that nobody sees.
type detacher struct {
	d     *disk
	stage string
}

// detach does so below stage. note, when not nil, is told before which files
// become copies, and of what.
func (w *workspace) detach(stage string, note func([]copied) error) error {
	x := &detacher{d: w.d, stage: stage}
	if err := x.d.remove(change.Join(stage, detachName)); err != nil {
		return err
	}
	groups := map[layer.Key]*shared{}
	err := x.d.walk(stage, func(p string, st *layer.Stat) (bool, error) {
		if isDir(st) || st.Nlink < 2 {
			return false, nil
		}
		if groups[st.Key] == nil {
			groups[st.Key] = &shared{st: *st}
		}
		groups[st.Key].paths = append(groups[st.Key].paths, p)
		return false, nil
	})
	if err != nil {
		return err
	}
	x.sharing(groups)
	if note != nil && len(groups) > 0 {
		if err := note(copies(stage, groups)); err != nil {
			return err
		}
	}
	for _, g := range groups {
		if err := x.detachGroup(g); err != nil {
			return fmt.Errorf("%s: %w", change.Quote(g.paths[0]), err)
		}
	}
	return nil
}

// copies lists what is about to be copied.
func copies(stage string, groups map[layer.Key]*shared) (l []copied) {
	for key, g := range groups {
		for _, p := range g.paths {
			l = append(l, copied{Slot: Path(p[len(stage)+1:]), Key: key})
		}
	}
	return l
}

// sharing leaves the groups that have a name in the workspace or, where a copy
// costs little or the workspace cannot be read whole, may have one.
func (x *detacher) sharing(groups map[layer.Key]*shared) {
	var bytes int64
	for key, g := range groups {
		if int(g.st.Nlink) == len(g.paths) { // all its names have gone together
			delete(groups, key)
			continue
		}
		bytes += g.st.Blocks * 512
	}
	if bytes < walkAbove {
		return
	}
	found := map[layer.Key]bool{}
	err := x.d.walk(change.Root, func(p string, st *layer.Stat) (bool, error) {
		if groups[st.Key] != nil {
			found[st.Key] = true
		}
		return p == stageRoot, nil
	})
	if err == nil {
		maps.DeleteFunc(groups, func(key layer.Key, _ *shared) bool { return !found[key] })
	}
}

// detachGroup replaces the names of one inode by those of one copy. What we may
// not make, a device or another's file, stays as it is.
func (x *detacher) detachGroup(g *shared) error {
	d, tmp := x.d, change.Join(x.stage, detachName)
	switch err := x.copyObject(g.paths[0], tmp, &g.st); {
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return d.remove(tmp)
	case err != nil:
		return err
	}
	for i, p := range g.paths {
		if i > 0 {
			if err := d.link(g.paths[0], tmp); err != nil {
				return err
			}
		}
		if err := d.replace(tmp, p); err != nil {
			return err
		}
	}
	return nil
}

// copyObject copies what is no directory, with all that belongs to it.
func (x *detacher) copyObject(from, to string, st *layer.Stat) error {
	src, err := x.d.open(from, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(src)
	dst, err := x.copyBody(from, to, st)
	if err != nil {
		return err
	}
	defer unix.Close(dst)
	xattrs, err := layer.Xattrs(src, "")
	if err == nil {
		err = setXattrs(dst, xattrs)
	}
	if err != nil {
		return err
	}
	kind := st.Mode & unix.S_IFMT
	if err := setPerm(dst, kind, attrs{Mode: st.Mode &^ unix.S_IFMT, UID: st.UID, GID: st.GID}); err != nil {
		return err
	}
	if err := layer.Utimes(dst, st.Atime, st.Mtime); err != nil || kind != unix.S_IFREG {
		return err
	}
	return unix.Fsync(dst)
}

// copyBody makes a new object like another one and returns a descriptor of it.
func (x *detacher) copyBody(from, to string, st *layer.Stat) (int, error) {
	d, kind := x.d, st.Mode&unix.S_IFMT
	if kind == unix.S_IFREG {
		return x.copyFile(from, to)
	}
	target := ""
	dir, err := d.at(change.Parent(from))
	if err == nil && kind == unix.S_IFLNK {
		target, err = layer.Readlink(dir, change.Base(from))
	}
	if err == nil {
		dir, err = d.at(change.Parent(to))
	}
	switch {
	case err != nil:
	case kind == unix.S_IFLNK:
		err = unix.Symlinkat(target, dir, change.Base(to))
	default:
		err = unix.Mknodat(dir, change.Base(to), kind|0o600, int(st.Rdev))
	}
	if err != nil {
		return -1, err
	}
	return d.open(to, unix.O_PATH)
}

func (x *detacher) copyFile(from, to string) (int, error) {
	src, err := x.d.open(from, unix.O_RDONLY)
	if err != nil {
		return -1, err
	}
	defer unix.Close(src)
	dst, err := layer.OpenPath(x.d.root, to, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return -1, err
	}
	if err := layer.Copy(dst, src, -1); err != nil {
		unix.Close(dst)
		return -1, err
	}
	return dst, nil
}

// replace moves a name over another. The directory of to keeps its time.
func (d *disk) replace(from, to string) error {
	up, err := d.stat(change.Parent(to))
	if err != nil {
		return err
	}
	if err := d.renameOver(from, to); err != nil || up == nil {
		return err
	}
	(&applier{d: d}).setTime(change.Parent(to), up.Key, up.Mtime)
	return nil
}

func (d *disk) renameOver(from, to string) error {
	x, y, done, err := d.two(change.Parent(from), change.Parent(to))
	if err != nil {
		return err
	}
	defer done()
	return unix.Renameat(x, change.Base(from), y, change.Base(to))
}
