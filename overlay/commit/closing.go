package commit

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"astrid/overlay"
	"astrid/overlay/change"
)

const (
	undoMax      = 10      // commits whose pre-images are kept
	undoMaxBytes = 1 << 30 // of them together; the last commit's are kept in any case
)

// closing ends a commit whose steps are all made.
type closing struct {
	w   *workspace
	o   *overlay.Overlay
	cfg Config
	j   *journal
	p   *plan
}

// fold lets the view know what the base has now.
func (c *closing) fold(s *overlay.Snapshot) error {
	c.cfg.Kill("fold: before")
	if c.o.Folded() < c.p.Number {
		if err := c.o.Fold(c.p.Number, s, overlayDone(c.p.Done)); err != nil {
			return fmt.Errorf("the workspace has the changes, but the view does not know it yet: %w", err)
		}
	}
	c.cfg.Kill("fold: after")
	if err := c.j.record(recFolded, nil); err != nil {
		return err
	}
	c.cfg.Kill("fold: recorded")
	return nil
}

// store moves the pre-images to where an undo finds them, and forgets older ones.
func (c *closing) store() error {
	n := strconv.FormatUint(c.p.Number, 10)
	if err := c.detach(); err != nil {
		return fmt.Errorf("keep the pre-images: %w", err)
	}
	c.cfg.Kill("undo: detached")
	if err := c.moveStage(n); err != nil {
		return fmt.Errorf("keep the pre-images: %w", err)
	}
	c.cfg.Kill("undo: stored")
	c.w.tidy(c.p)
	if err := c.j.rename(journalName(undoPrefix, c.p.Number)); err != nil {
		return err
	}
	c.cfg.Kill("undo: journal closed")
	return c.prune()
}

// moveStage moves the staging directory, in which only pre-images are left, to
// the undo store: outside the workspace if that is on one file system with it.
func (c *closing) moveStage(n string) error {
	st, err := c.w.d.stat(string(c.p.Stage))
	if err != nil || st == nil {
		return err
	}
	dir, err := c.w.d.at(change.Parent(string(c.p.Stage)))
	if err != nil {
		return err
	}
	name := change.Base(string(c.p.Stage))
	if err := unix.Unlinkat(dir, name, unix.AT_REMOVEDIR); err == nil {
		return nil
	}
	if c.cfg.Undo != "" {
		fd, err := openDir(c.cfg.Undo)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		err = unix.Renameat(dir, name, fd, n)
		if !errors.Is(err, unix.EXDEV) {
			return err
		}
	}
	if err := unix.Mkdirat(c.w.d.root, undoRoot, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return c.w.d.rename(string(c.p.Stage), undoRoot+"/"+n)
}

// prune forgets pre-images beyond the bounds.
func (c *closing) prune() error {
	numbers, err := numbered(c.w.journal, undoPrefix)
	if err != nil {
		return err
	}
	stores := []*disk{c.w.d}
	if c.cfg.Undo != "" {
		if fd, err := openDir(c.cfg.Undo); err == nil {
			defer unix.Close(fd)
			stores = append(stores, newDisk(fd))
		}
	}
	var sum int64
	for i := len(numbers) - 1; i >= 0; i-- {
		newest := i == len(numbers)-1
		sum += undoBytes(stores, numbers[i])
		if newest || len(numbers)-i <= undoMax && sum <= undoMaxBytes {
			continue
		}
		if err := forgetUndo(stores, c.w.journal, numbers[i]); err != nil {
			return err
		}
	}
	for _, d := range stores {
		d.forget()
	}
	c.w.tidy(c.p)
	return nil
}

// undoPath is where a store has the pre-images of a commit: the first is the
// workspace.
func undoPath(store int, n uint64) string {
	p := strconv.FormatUint(n, 10)
	if store == 0 {
		return undoRoot + "/" + p
	}
	return p
}

func undoBytes(stores []*disk, n uint64) (sum int64) {
	for i, d := range stores {
		_ = d.walk(undoPath(i, n), statBytes(&sum))
	}
	return sum
}

func forgetUndo(stores []*disk, journal int, n uint64) error {
	for i, d := range stores {
		if err := d.remove(undoPath(i, n)); err != nil {
			return err
		}
	}
	return unix.Unlinkat(journal, journalName(undoPrefix, n), 0)
}
