package commit

import (
	"fmt"

	"golang.org/x/sys/unix"

	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// detachName is where a copy is made, in the staging directory.
const detachName = ".copy"

// detach makes pre-images that share their inode with a name in the workspace
// files of their own: else an edit of that name would change what an undo puts
// back, and its link count would tell of a name that nobody sees.
func (c *closing) detach() error {
	stage := string(c.p.Stage)
	if err := c.w.d.remove(change.Join(stage, detachName)); err != nil {
		return err
	}
	groups := map[layer.Key][]string{}
	stats := map[layer.Key]layer.Stat{}
	err := c.w.d.walk(stage, func(p string, st *layer.Stat) (bool, error) {
		if st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink > 1 {
			groups[st.Key] = append(groups[st.Key], p)
			stats[st.Key] = *st
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	for key, paths := range groups {
		st := stats[key]
		if int(st.Nlink) == len(paths) {
			continue // all its names have gone together
		}
		if err := c.detachGroup(paths, &st); err != nil {
			return fmt.Errorf("%s: %w", change.Quote(paths[0]), err)
		}
	}
	return nil
}

// detachGroup replaces the names of one inode by those of one copy.
func (c *closing) detachGroup(paths []string, st *layer.Stat) error {
	d, tmp := c.w.d, change.Join(string(c.p.Stage), detachName)
	if err := c.copyFile(paths[0], tmp, st); err != nil {
		return err
	}
	for i, p := range paths {
		if i > 0 {
			if err := d.link(paths[0], tmp); err != nil {
				return err
			}
		}
		if err := d.replace(tmp, p); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a file with all that belongs to it.
func (c *closing) copyFile(from, to string, st *layer.Stat) error {
	src, err := c.w.d.open(from, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(src)
	dst, err := layer.OpenPath(c.w.d.root, to, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(dst)
	if err := layer.Copy(dst, src, -1); err != nil {
		return err
	}
	xattrs, err := layer.Xattrs(src, "")
	if err == nil {
		err = setXattrs(dst, xattrs)
	}
	if err != nil {
		return err
	}
	if err := setPerm(dst, unix.S_IFREG, attrs{Mode: st.Mode &^ unix.S_IFMT, UID: st.UID, GID: st.GID}); err != nil {
		return err
	}
	if err := layer.Utimes(dst, st.Atime, st.Mtime); err != nil {
		return err
	}
	return unix.Fsync(dst)
}

// replace moves a name over another.
func (d *disk) replace(from, to string) error {
	x, y, done, err := d.two(change.Parent(from), change.Parent(to))
	if err != nil {
		return err
	}
	defer done()
	return unix.Renameat(x, change.Base(from), y, change.Base(to))
}
