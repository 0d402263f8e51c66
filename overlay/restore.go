package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
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

// removeName removes what is at a name, with all in it.
func (r *restoring) removeName(dir tree.Dir, name string) error {
	s, free, err := look(dir, name)
	if err != nil || !s.there() {
		return err
	}
	defer free()
	in, ok := s.Node.(tree.Dir)
	if !ok {
		return dir.Unlink(r.who, name)
	}
	names, err := namesOf(in)
	if err != nil {
		return err
	}
	for name := range names {
		if err := r.removeName(in, name); err != nil {
			return err
		}
	}
	return dir.Rmdir(r.who, name)
}

func namesOf(d tree.Dir) (map[string]bool, error) {
	names := map[string]bool{}
	err := d.ReadDir(0, false, func(e *tree.DirEntry) bool {
		names[e.Name] = true
		return true
	})
	return names, err
}

// object makes what is at a name of a directory of the view, which is at a path, what
// it was.
func (r *restoring) object(src seen, now tree.Dir, at, name string) error {
	if !src.there() {
		return r.removeName(now, name)
	}
	here := path.Join(at, name)
	if err := r.unhide(src, now, name, here); err != nil {
		return err
	}
	dst, free, err := look(now, name)
	if err != nil {
		return err
	}
	defer func() { free() }()
	if dst.there() && !r.fits(src, dst, here) {
		if err := r.removeName(now, name); err != nil {
			return err
		}
		free()
		dst, free = seen{}, func() {}
	}
	if linked, err := r.link(src, dst, now, name, here); linked || err != nil {
		return err
	}
	if !dst.there() {
		if dst, err = r.make(src, now, name); err != nil {
			return err
		}
		n := dst.Node
		free = func() { n.Forget(1) }
	}
	if src.Nlink > 1 && src.Kind() != tree.KindDir {
		r.made[src.Ino] = here
	}
	switch was := src.Node.(type) {
	case tree.Dir:
		return r.dir(was, dst.Node.(tree.Dir), here)
	case tree.File:
		if err := r.content(was, dst.Node.(*fileNode), int64(src.Size)); err != nil {
			return err
		}
	}
	return r.dress(src.Node, dst.Node)
}

// fits tells whether what the view has can become what it was without being replaced.
func (r *restoring) fits(src, dst seen, here string) bool {
	switch {
	case src.Kind() != dst.Kind():
		return false
	case src.Kind() == tree.KindDir:
		return true
	case src.Kind() == tree.KindSymlink:
		was, err := src.Node.(tree.Symlink).Readlink()
		is, err2 := dst.Node.(tree.Symlink).Readlink()
		return err == nil && err2 == nil && bytes.Equal(was, is)
	case src.Kind() != tree.KindRegular && src.Rdev != dst.Rdev:
		return false
	}
	// Other names of it are not meant, unless they are of one file in both.
	return dst.Nlink <= 1 || src.Ino == dst.Ino && src.Nlink == dst.Nlink
}

// link gives a file of the past with several names the name, when another of them is
// in the view by now.
func (r *restoring) link(src, dst seen, now tree.Dir, name, here string) (bool, error) {
	other, ok := r.made[src.Ino]
	if !ok || other == here || src.Kind() == tree.KindDir {
		return false, nil
	}
	n, free, err := r.find(other)
	if err != nil || n == nil {
		return false, err
	}
	defer free()
	if dst.there() {
		if dst.Node == n {
			return true, nil
		}
		if err := now.Unlink(r.who, name); err != nil {
			return false, err
		}
	}
	var e tree.Entry
	l, err := now.Link(r.who, n, name, &e)
	if err != nil {
		return false, err
	}
	l.Forget(1)
	return true, nil
}

// find looks up a path of the view.
func (r *restoring) find(p string) (tree.Node, func(), error) {
	dir, rest := tree.Dir(r.o.root), p
	release := func() {}
	for {
		name, more, deeper := cut(rest)
		s, free, err := look(dir, name)
		release()
		if err != nil || !s.there() {
			return nil, func() {}, err
		}
		next, ok := s.Node.(tree.Dir)
		if !deeper || !ok {
			return s.Node, free, nil
		}
		dir, rest, release = next, more, free
	}
}

func (r *restoring) make(src seen, now tree.Dir, name string) (seen, error) {
	var e tree.Entry
	var n tree.Node
	var err error
	switch was := src.Node.(type) {
	case tree.Dir:
		n, err = now.Mkdir(r.who, name, src.Mode&^unix.S_IFMT, &e)
	case tree.Symlink:
		var target []byte
		if target, err = was.Readlink(); err == nil {
			n, err = now.Symlink(r.who, name, string(target), &e)
		}
	default:
		n, err = now.Mknod(r.who, name, src.Mode, src.Rdev, &e)
	}
	return seen{n, e.Attr}, err
}

// dir makes a directory of the view what one of the past was.
func (r *restoring) dir(was, now tree.Dir, at string) error {
	if r.untouched(was, now) {
		return nil
	}
	then, err := namesOf(was)
	if err != nil {
		return err
	}
	is, err := namesOf(now)
	if err != nil {
		return err
	}
	for name := range is {
		if then[name] {
			continue
		}
		if err := r.removeName(now, name); err != nil {
			return fmt.Errorf("%s: %w", path.Join(at, name), err)
		}
	}
	if err := r.unhideAll(was, now, at, then); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(then)) {
		src, free, err := look(was, name)
		if err == nil {
			err = r.object(src, now, at, name)
			free()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path.Join(at, name), err)
		}
	}
	return r.dress(was, now)
}

// untouched tells whether a directory is the base's in both, with all below it:
// whatever is changed has the directories above it recorded.
func (r *restoring) untouched(was, now tree.Dir) bool {
	a, b := was.(*dirNode), now.(*dirNode)
	return a.ino == b.ino && a.untouched() && b.untouched()
}

func (d *dirNode) untouched() bool {
	d.o.mu.RLock()
	defer d.o.mu.RUnlock()
	_, x := d.o.rec(d.ino)
	return x == nil
}

// unhide takes a whiteout away, with what the view put in its place, where that shows
// again what the past showed.
func (r *restoring) unhide(src seen, now tree.Dir, name, here string) error {
	if !r.hides(src, now.(*dirNode), name) {
		return nil
	}
	return r.show([]string{here})
}

// unhideAll is unhide for the names of a directory, in one step.
func (r *restoring) unhideAll(was, now tree.Dir, at string, names map[string]bool) error {
	var all []string
	for name := range names {
		if _, w := r.entry(now.(*dirNode), name); w != gone {
			continue
		}
		src, free, err := look(was, name)
		if err != nil {
			return err
		}
		if src.there() && r.hides(src, now.(*dirNode), name) {
			all = append(all, path.Join(at, name))
		}
		free()
	}
	if len(all) == 0 {
		return nil
	}
	return r.show(all)
}

// show drops what the view says of paths. A look at the view may have it frozen for a
// moment.
func (r *restoring) show(paths []string) error {
	r.o.still.Lock()
	defer r.o.still.Unlock()
	return r.o.Discard(paths)
}

func (r *restoring) entry(d *dirNode, name string) (meta.Entry, where) {
	r.o.mu.RLock()
	defer r.o.mu.RUnlock()
	return r.o.entry(d.ino, name)
}

// hides tells whether a whiteout hides what the past showed at a name, as the base has
// it, and nothing of it was moved elsewhere.
func (r *restoring) hides(src seen, d *dirNode, name string) bool {
	at := d.loc.Load()
	if at == nil {
		return false
	}
	place := path.Join(at.path(), name)
	if _, itself := slices.BinarySearch(r.moved, place); itself {
		return false
	}
	if i, _ := slices.BinarySearch(r.moved, place+"/"); i < len(r.moved) && strings.HasPrefix(r.moved[i], place+"/") {
		return false
	}
	var st layer.Stat
	if r.o.statPath(place, &st) != nil {
		return false
	}
	r.past.mu.RLock()
	_, x := r.past.rec(src.Ino)
	same := x == nil || x.Base != nil && x.Own&meta.Moved == 0 && x.Base.Path == place
	same = same && r.past.number(st.Key, &st) == src.Ino
	r.past.mu.RUnlock()
	_, w := r.entry(d, name)
	return same && w == gone
}

// content gives a file of the view the bytes that it had. Readers see the one or the
// other, whole.
func (r *restoring) content(was tree.File, now *fileNode, size int64) error {
	same, err := equal(was, now, size)
	if same || err != nil {
		return err
	}
	now.io.Lock()
	defer now.io.Unlock()
	if err := now.truncate(0); err != nil {
		return err
	}
	buf := make([]byte, min(size, copyChunk))
	for off := int64(0); off < size; {
		data, err := was.Lseek(off, tree.SeekData)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		if err != nil {
			return err
		}
		hole, err := was.Lseek(data, tree.SeekHole)
		if err != nil {
			return err
		}
		for off = data; off < hole; {
			n, err := was.ReadAt(buf[:min(hole-off, copyChunk)], off)
			if err != nil {
				return err
			}
			if n == 0 {
				return unix.EIO // it was cut meanwhile
			}
			release, err := now.take()
			if err != nil {
				return err
			}
			err = now.write(buf[:n], off, false, false)
			release()
			if err != nil {
				return err
			}
			off += int64(n)
		}
	}
	return now.truncate(size)
}

// copyChunk is how many bytes are moved at once.
const copyChunk = 1 << 20

// equal compares the bytes of two files.
func equal(a, b tree.File, size int64) (bool, error) {
	var at tree.Attr
	if err := b.Getattr(&at); err != nil || int64(at.Size) != size {
		return false, err
	}
	x, y := make([]byte, min(size, copyChunk)), make([]byte, min(size, copyChunk))
	for off := int64(0); off < size; {
		n, err := a.ReadAt(x, off)
		if err != nil {
			return false, err
		}
		m, err := b.ReadAt(y[:n], off)
		if err != nil || n == 0 || m != n || !bytes.Equal(x[:n], y[:n]) {
			return false, err
		}
		off += int64(n)
	}
	return true, nil
}

// dress gives an object of the view the attributes that it had.
func (r *restoring) dress(was, now tree.Node) error {
	var a, b tree.Attr
	if err := errors.Join(was.Getattr(&a), now.Getattr(&b)); err != nil {
		return err
	}
	if err := r.xattrs(was, now); err != nil {
		return err
	}
	in := tree.SetAttr{Mode: a.Mode &^ unix.S_IFMT, UID: a.UID, GID: a.GID, Atime: a.Atime, Mtime: a.Mtime}
	if a.UID != b.UID || a.GID != b.GID {
		in.Valid |= tree.SetUID | tree.SetGID | tree.SetMode // which takes set-id bits away
	}
	if a.Mode != b.Mode {
		in.Valid |= tree.SetMode
	}
	if a.Kind() == tree.KindSymlink {
		in.Valid &^= tree.SetMode
	}
	if !a.Mtime.Equal(b.Mtime) || in.Valid != 0 {
		in.Valid |= tree.SetAtime | tree.SetMtime
	}
	if in.Valid == 0 {
		return nil
	}
	return now.Setattr(r.who, &in, &b)
}

func (r *restoring) xattrs(was, now tree.Node) error {
	a, err := nodeOf(was).xattrs()
	if err != nil {
		return err
	}
	b, err := nodeOf(now).xattrs()
	if err != nil {
		return err
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			if err := now.Removexattr(r.who, name); err != nil {
				return err
			}
		}
	}
	for name, v := range a {
		if is, ok := b[name]; ok && bytes.Equal(is, v) {
			continue
		}
		if err := now.Setxattr(r.who, name, v, 0); err != nil {
			return err
		}
	}
	return nil
}
