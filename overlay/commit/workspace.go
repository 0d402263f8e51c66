package commit

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// workspace is the base directory, locked for the time of one operation, and
// the directories beside it.
type workspace struct {
	d       *disk
	lock    int
	journal int
}

// enter opens everything and takes the lock. ErrBusy when another has it.
func enter(o *overlay.Overlay, cfg Config) (*workspace, error) {
	w := &workspace{d: newDisk(o.BaseFd()), lock: -1, journal: -1}
	var err error
	if w.lock, err = layer.Open(o.BaseFd(), ".", unix.O_RDONLY|unix.O_DIRECTORY, 0); err != nil {
		return nil, fmt.Errorf("open the workspace: %w", err)
	}
	if err = layer.TryLock(w.lock); err != nil {
		w.close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrBusy
		}
		return nil, fmt.Errorf("lock the workspace: %w", err)
	}
	if w.journal, err = openDir(cfg.Journal); err != nil {
		w.close()
		return nil, fmt.Errorf("open the directory of journals: %w", err)
	}
	return w, nil
}

func openDir(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func (w *workspace) close() {
	w.d.forget()
	if w.lock >= 0 { // a child between fork and exec may have the descriptor too
		_ = unix.Flock(w.lock, unix.LOCK_UN)
	}
	for _, fd := range []int{w.lock, w.journal} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	w.lock, w.journal = -1, -1
}

// notBegun cleans up after a commit that made nothing visible.
func (w *workspace) notBegun(cfg Config, b *begin) error {
	if err := w.unstage(cfg, b.Stage, b.Of); err != nil {
		return err
	}
	if b.MadeDot {
		unmakeDot(w.d)
		(&applier{d: w.d}).setTime(change.Root, b.Root, b.Time)
	}
	return nil
}

// undone cleans up after a commit that was taken back. When something was left
// the staging directory stays, because it has the other versions.
func (w *workspace) undone(o *overlay.Overlay, cfg Config, j *journal, p *plan, left []string) error {
	if err := errors.Join(o.Touched(p.departed()), o.Spare(p.Number)); err != nil {
		return err
	}
	if len(left) > 0 {
		return j.rename(journalName(leftPrefix, p.Number))
	}
	if err := w.unstage(cfg, p.Stage, p.Of); err != nil {
		return err
	}
	w.tidy(p)
	return j.drop()
}

// unstage ends the staging directory of an operation that did not come to be:
// what a commit prepared goes, what an earlier one replaced goes back to its store.
func (w *workspace) unstage(cfg Config, stage Path, of uint64) error {
	if of == 0 {
		if err := w.d.remove(string(stage)); err != nil {
			return fmt.Errorf("remove %s: %w", stage, err)
		}
		return nil
	}
	err := w.detach(string(stage), nil)
	if err == nil {
		err = w.shelve(cfg, string(stage), of)
	}
	if err != nil {
		return fmt.Errorf("give %s back to the store: %w", stage, err)
	}
	return nil
}

// tidy takes our directory in the workspace away when nothing is in it, and
// sets the time of the root, which our coming and going has moved.
func (w *workspace) tidy(p *plan) {
	unmakeDot(w.d)
	a := &applier{d: w.d, p: p}
	for _, t := range p.Times {
		if t.Path == change.Root && !t.Free {
			st, err := w.d.stat(stageRoot)
			if err == nil && (st == nil || !p.MadeDot) {
				a.setTime(change.Root, t.Key, t.After)
			}
		}
	}
}

// bootID names the boot in which device numbers hold.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
