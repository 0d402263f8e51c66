package overlay

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// intent is what Restore is about to do. It is written down first, and done again
// after a crash: to do it twice is to do it once.
type intent struct {
	Name  string
	Paths [][]byte
}

const (
	intentFile = "restoring"
	maxIntent  = 16 << 20
)

// Restore makes slash paths of the view, and what is below them, what they were at a
// checkpoint: what was not there goes, what is not there any more comes back, by the
// number that it had if the base has it still. Others may work elsewhere in the view meanwhile. What the
// view shows now is kept as a checkpoint, which is returned. When the process ends
// half way, Resume does the rest. ErrNoCheckpoint; EBUSY during a freeze.
func (o *Overlay) Restore(name string, paths []string, keep Checkpoint) (kept Checkpoint, err error) {
	past, release, err := o.Past(name)
	if err != nil {
		return kept, err
	}
	defer release()
	if kept, err = o.Checkpoint(keep); err != nil {
		return kept, err
	}
	in := intent{Name: name}
	for _, p := range paths {
		in.Paths = append(in.Paths, []byte(p))
	}
	b, err := json.Marshal(in)
	if err == nil && len(b) > maxIntent {
		err = unix.E2BIG
	}
	if err == nil {
		err = layer.PlaceFile(o.dir, intentFile, b, 0o600)
	}
	if err != nil {
		return kept, fmt.Errorf("restore from %s: %w", name, err)
	}
	if err := errors.Join(kept.Sync(o.dir), layer.SyncDir(o.dir)); err != nil {
		return kept, fmt.Errorf("restore from %s: %w", name, err)
	}
	return kept, o.restore(past, in)
}

// Resume does the rest of a Restore that was killed; it tells whether there was one.
func (o *Overlay) Resume() (bool, error) {
	b, err := meta.ReadBeside(o.dir, intentFile, maxIntent)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var in intent
	if err := json.Unmarshal(b, &in); err != nil { // torn by a power cut before anything was done
		return false, unix.Unlinkat(o.dir, intentFile, 0)
	}
	past, release, err := o.Past(in.Name)
	if errors.Is(err, ErrNoCheckpoint) {
		o.cfg.Log.Warn("a restore that was interrupted stays so: its checkpoint is no more", "name", in.Name)
		return false, unix.Unlinkat(o.dir, intentFile, 0)
	}
	if err != nil {
		return false, fmt.Errorf("go on restoring from %s: %w", in.Name, err)
	}
	defer release()
	return true, o.restore(past, in)
}

// restore does what was intended. When it fails, that ends the intent, too: whoever
// asked has heard of it.
func (o *Overlay) restore(past *Overlay, in intent) (err error) {
	o.restoring.Add(1) // it goes through the tree, and no brake is to stop it
	defer func() {
		o.restoring.Add(-1)
		o.publish(tree.Change{Kind: tree.EverythingChanged})
		err = errors.Join(err, unix.Unlinkat(o.dir, intentFile, 0))
	}()
	r := &restoring{o: o, past: past, made: map[uint64]string{}, who: &tree.Caller{}}
	r.findMoved()
	for _, p := range in.Paths {
		if err := r.path(string(p)); err != nil {
			return fmt.Errorf("restore %s from %s: %w", p, in.Name, err)
		}
	}
	return nil
}

// restoring is one Restore under way. Directories of the past and of the view go
// side by side.
type restoring struct {
	o, past *Overlay
	made    map[uint64]string // files of the past with several names: where one is in the view
	moved   []string          // base paths of what the view has moved away
	who     *tree.Caller
}

func (r *restoring) findMoved() {
	r.o.mu.RLock()
	defer r.o.mu.RUnlock()
	for _, l := range r.o.stack {
		for _, x := range l.Recs {
			if x.Base != nil && x.Own&meta.Moved != 0 {
				r.moved = append(r.moved, x.Base.Path)
			}
		}
	}
	slices.Sort(r.moved)
}

// seen is an object that was looked up, in the past or in the view.
type seen struct {
	tree.Node
	tree.Attr
}

// look finds a name; a zero seen when there is none. free gives the reference back.
func look(dir tree.Dir, name string) (s seen, free func(), err error) {
	var e tree.Entry
	n, err := dir.Lookup(name, &e)
	if errors.Is(err, unix.ENOENT) {
		return seen{}, func() {}, nil
	}
	if err != nil {
		return seen{}, nil, err
	}
	return seen{n, e.Attr}, func() { n.Forget(1) }, nil
}

func (s seen) there() bool { return s.Node != nil }

// path restores one path.
func (r *restoring) path(p string) error {
	p = strings.Trim(path.Clean("/"+p), "/")
	if p == "" {
		return r.dir(r.past.root, r.o.root, "")
	}
	return r.walk(r.past.root, r.o.root, "", p)
}

// walk goes down to what is named by rest in directories that are at the path at.
func (r *restoring) walk(was, now tree.Dir, at, rest string) error {
	name, more, deeper := cut(rest)
	if !deeper {
		src, free, err := look(was, name)
		if err != nil {
			return err
		}
		defer free()
		return r.object(src, now, at, name)
	}
	src, freeSrc, err := look(was, name)
	if err != nil {
		return err
	}
	defer freeSrc()
	dst, freeDst, err := look(now, name)
	if err != nil {
		return err
	}
	defer freeDst()
	srcDir, isDir := src.Node.(tree.Dir)
	dstDir, nowDir := dst.Node.(tree.Dir)
	switch {
	case isDir && nowDir:
		return r.walk(srcDir, dstDir, path.Join(at, name), more)
	case !isDir && !nowDir:
		return nil // neither had it nor has it
	case isDir:
		if there, err := has(srcDir, more); err != nil || !there {
			return err // neither had it
		}
		return r.walkInto(srcDir, src.Attr, now, at, name, more)
	}
	return r.remove(now, dst, name, more)
}

// has tells whether there is something at a path below a directory.
func has(dir tree.Dir, rest string) (bool, error) {
	name, more, deeper := cut(rest)
	s, free, err := look(dir, name)
	if err != nil {
		return false, err
	}
	defer free()
	in, ok := s.Node.(tree.Dir)
	if !deeper || !ok {
		return s.there() && !deeper, nil
	}
	return has(in, more)
}

// walkInto makes a directory on the way that the view does not have.
func (r *restoring) walkInto(was tree.Dir, a tree.Attr, now tree.Dir, at, name, more string) error {
	if err := r.removeName(now, name); err != nil {
		return err
	}
	var e tree.Entry
	n, err := now.Mkdir(r.who, name, a.Mode, &e)
	if err != nil {
		return err
	}
	defer n.Forget(1)
	if err := r.walk(was, n.(tree.Dir), path.Join(at, name), more); err != nil {
		return err
	}
	return r.dress(was, n)
}

// remove takes away what is named by rest in a directory that the past did not have.
func (r *restoring) remove(now tree.Dir, dst seen, name, rest string) error {
	dir := dst.Node.(tree.Dir)
	next, more, deeper := cut(rest)
	if !deeper {
		return r.removeName(dir, next)
	}
	in, free, err := look(dir, next)
	if err != nil {
		return err
	}
	defer free()
	if _, ok := in.Node.(tree.Dir); !ok {
		return nil
	}
	return r.remove(dir, in, next, more)
}
