package commit

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/layer"
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
		if err := c.tell(s); err != nil {
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

func (c *closing) tell(s *overlay.Snapshot) error {
	if c.p.Op != "" {
		return c.o.Restored(c.p.Number, c.p.restoration())
	}
	return c.o.Fold(c.p.Number, s, overlayDone(c.p.Done))
}

// store moves the pre-images to where an undo finds them, and forgets older ones.
func (c *closing) store() error {
	stage := string(c.p.Stage)
	if err := c.dropLinks(); err != nil {
		return fmt.Errorf("keep the pre-images: %w", err)
	}
	if err := c.w.detach(stage, func(l []copied) error { return c.j.record(recCopies, l) }); err != nil {
		return fmt.Errorf("keep the pre-images: %w", err)
	}
	c.cfg.Kill("undo: detached")
	if err := c.w.shelve(c.cfg, stage, c.p.Number); err != nil {
		return fmt.Errorf("keep the pre-images: %w", err)
	}
	c.cfg.Kill("undo: stored")
	c.w.tidy(c.p)
	if err := remember(c.w.journal, c.p); err != nil {
		return fmt.Errorf("enter it in the history: %w", err)
	}
	c.cfg.Kill("undo: remembered")
	if c.p.Of != 0 { // what it had replaced is this one's now
		if err := unix.Unlinkat(c.w.journal, journalName(undoPrefix, c.p.Of), 0); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
		c.cfg.Kill("undo: journal dropped")
	}
	if err := c.j.rename(journalName(undoPrefix, c.p.Number)); err != nil {
		return err
	}
	c.cfg.Kill("undo: journal closed")
	return c.prune()
}

// dropLinks takes names away that are only additional ones.
func (c *closing) dropLinks() error {
	for _, s := range c.p.Links {
		if err := c.w.d.remove(string(s.To)); err != nil {
			return err
		}
	}
	return nil
}

// shelve moves a staging directory, in which only pre-images are left, to the
// undo store: outside the workspace if that is on one file system with it. An
// empty one goes.
func (w *workspace) shelve(cfg Config, stage string, n uint64) error {
	st, err := w.d.stat(stage)
	if err != nil || st == nil {
		return err
	}
	dir, err := w.d.at(change.Parent(stage))
	if err != nil {
		return err
	}
	name, to := change.Base(stage), strconv.FormatUint(n, 10)
	if err := unix.Unlinkat(dir, name, unix.AT_REMOVEDIR); err == nil {
		return nil
	}
	if cfg.Undo != "" {
		fd, err := openDir(cfg.Undo)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		err = unix.Renameat(dir, name, fd, to)
		if !errors.Is(err, unix.EXDEV) {
			w.d.forget()
			return err
		}
	}
	if err := unix.Mkdirat(w.d.root, undoRoot, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return w.d.rename(stage, undoRoot+"/"+to)
}

// unshelve makes what operation n replaced a staging directory again.
func (w *workspace) unshelve(cfg Config, n uint64, stage string) error {
	from := strconv.FormatUint(n, 10)
	if cfg.Undo != "" {
		fd, err := openDir(cfg.Undo)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		dir, err := w.d.at(change.Parent(stage))
		if err != nil {
			return err
		}
		if err := layer.RenameNoreplace(fd, from, dir, change.Base(stage)); !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	err := w.d.rename(undoRoot+"/"+from, stage)
	if missing(err) { // it replaced nothing
		err = w.d.mkdir(stage, 0o700)
	}
	return err
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

// statBytes adds the space of what a walk meets to sum.
func statBytes(sum *int64) func(string, *layer.Stat) (bool, error) {
	return func(_ string, st *layer.Stat) (bool, error) {
		*sum += st.Blocks * 512
		return false, nil
	}
}
