package commit

import (
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// job is one object to be prepared in the staging directory.
type job struct {
	slot string // path relative to the workspace
	c    *change.Change
	part *change.Pick // what is taken of it, when it is not all
	link string       // the slot of an object of which this is one more name; "": a new object
	st   layer.Stat
}

// group is an object of the base that is not a directory, with the names by
// which the changes know it.
type group struct {
	// replaced says that the base gets a new inode for it: its content changed,
	// or names that the changes do not know would change with it.
	replaced bool
	known    int
	nlink    uint32
	path     string
}

// layout says where in the staging directory everything has its place.
type layout struct {
	stage  string
	next   int
	taken  []*item // without those that are the same, in the order of paths
	jobs   []*job
	byPath map[string]*job                 // what is staged for a path of the view
	first  map[uint64]*job                 // the first staged name of an object
	links  map[string]string               // path of the view → slot of one more name of a base object
	moves  map[string]string               // base path of what is moved → its slot on the way
	outs   map[string]string               // base path of what is removed → its slot
	groups map[uint64]*group               // by number in the view
	whole  map[string]bool                 // base directories that go away with all in them
	leaves map[string]bool                 // base paths of what is moved, out of such ones too
	parts  map[*change.Change]*change.Pick // files of which not all is taken
	notes  []string
}

func newLayout(stage string, s *selection) *layout {
	l := &layout{
		stage: stage, byPath: map[string]*job{}, first: map[uint64]*job{}, links: map[string]string{},
		moves: map[string]string{}, outs: map[string]string{}, groups: map[uint64]*group{}, whole: map[string]bool{}, leaves: map[string]bool{},
		parts: map[*change.Change]*change.Pick{},
	}
	for _, it := range s.items {
		if it.v == taken && it.c.Op != change.Same {
			l.taken = append(l.taken, it)
			if it.part != nil {
				l.parts[it.c] = it.part
			}
		}
	}
	l.findGroups(s)
	l.findWhole()
	for _, it := range l.taken {
		l.place(it.c)
	}
	return l
}

// slot returns a new place in the staging directory.
func (l *layout) slot() string {
	l.next++
	return l.stage + "/" + strconv.Itoa(l.next)
}

// standsFor tells whether the change is of the very base object at its BasePath.
func standsFor(c *change.Change) (overlay.Origin, bool) {
	if c.Op == change.Deleted {
		return overlay.Origin{}, false
	}
	o, ok := c.Origin()
	return o, ok && c.Base != nil && sameInode(c.Base.Key, o.Key)
}

// baseNames counts the names of base inodes that the changes know.
func (s *selection) baseNames() map[uint64]int {
	names := map[uint64]int{}
	count := func(l ...*layer.Stat) {
		for _, st := range l {
			if st != nil && !isDir(st) {
				names[st.Ino]++
			}
		}
	}
	for _, it := range s.items {
		count(it.c.Base, it.c.Over)
	}
	for _, c := range s.same {
		count(c.Base)
	}
	return names
}

// findGroups decides which base files are replaced rather than changed in place.
func (l *layout) findGroups(s *selection) {
	names := s.baseNames()
	for _, it := range l.taken {
		c := it.c
		if _, stands := standsFor(c); !stands || c.IsDir() {
			continue
		}
		g := l.groups[c.Object.Ino]
		if g == nil {
			g = &group{known: names[c.Base.Ino], nlink: c.Base.Nlink, path: c.Path}
			l.groups[c.Object.Ino] = g
		}
		meta := c.Perm || c.Times || c.Xattrs
		if c.Content || meta && int(g.nlink) > g.known {
			g.replaced = true
		}
	}
	for _, g := range l.groups {
		if n := int(g.nlink) - g.known; g.replaced && n > 0 {
			l.notes = append(l.notes, fmt.Sprintf("%s has %d more names that the commit does not reach; they keep what they were",
				change.Quote(g.path), n))
		}
	}
	slices.Sort(l.notes)
}

// findWhole finds the base directories that go away as one, and what is moved.
func (l *layout) findWhole() {
	for _, it := range l.taken {
		c := it.c
		if c.Op == change.Renamed {
			l.leaves[c.BasePath] = true
		}
		switch {
		case c.Op == change.Deleted && c.IsDir():
			l.whole[c.BasePath] = true
		case c.Op == change.Typed && c.Base != nil && isDir(c.Base), c.Op == change.Renamed && c.Over != nil && isDir(c.Over):
			l.whole[c.Place] = true
		}
	}
}

// within tells whether a base path lies in a directory that goes away as one,
// and in none that is moved out of it.
func (l *layout) within(p string) bool {
	for q := change.Parent(p); q != change.Root && !l.leaves[q]; q = change.Parent(q) {
		if l.whole[q] {
			return true
		}
	}
	return false
}

// place decides what is staged for one change.
func (l *layout) place(c *change.Change) {
	switch c.Op {
	case change.Deleted:
		if !l.within(c.BasePath) {
			l.outs[c.BasePath] = l.slot()
		}
	case change.Renamed:
		if g := l.groups[c.Object.Ino]; g != nil && g.replaced {
			l.outs[c.BasePath] = l.slot()
			l.stageFor(c)
			return
		}
		l.moves[c.BasePath] = l.slot()
	case change.Added, change.Typed, change.Modified:
		if l.linksBase(c) {
			l.links[c.Path] = l.slot()
			return
		}
		l.stageFor(c)
	case change.Meta:
		if g := l.groups[c.Object.Ino]; c.Links || g != nil && g.replaced {
			l.stageFor(c)
		}
	}
}

// linksBase tells whether a change is one more name of a base object that stays
// as it is.
func (l *layout) linksBase(c *change.Change) bool {
	if c.IsDir() || c.Link == "" {
		return false
	}
	o, stands := c.Origin()
	if !stands || c.Base != nil && sameInode(c.Base.Key, o.Key) {
		return false
	}
	g := l.groups[c.Object.Ino]
	return g == nil || !g.replaced
}

// stageFor adds the job for a change: within the staged directory that it lies
// in, or by itself.
func (l *layout) stageFor(c *change.Change) {
	j := &job{c: c, part: l.parts[c]}
	if up := l.byPath[change.Parent(c.Path)]; up != nil && up.c.IsDir() {
		j.slot = up.slot + "/" + change.Base(c.Path)
	} else {
		j.slot = l.slot()
	}
	if !c.IsDir() {
		if first := l.first[c.Object.Ino]; first != nil {
			j.link = first.slot
		} else {
			l.first[c.Object.Ino] = j
		}
	}
	l.byPath[c.Path] = j
	l.jobs = append(l.jobs, j)
}

// inner tells whether a staged object arrives with the directory it is in.
func (l *layout) inner(c *change.Change) bool {
	up := l.byPath[change.Parent(c.Path)]
	return up != nil && up.c.IsDir()
}

// content is how many bytes the files have that were staged.
func (l *layout) content() (n int64) {
	for _, j := range l.jobs {
		if j.link == "" && j.c.Kind == tree.KindRegular {
			n += j.st.Size
		}
	}
	return n
}

// bytes is how much space staging takes, roughly and rather too much.
func (l *layout) bytes() (n int64) {
	const block = 4096
	for _, j := range l.jobs {
		n += block
		if j.link == "" && j.c.Kind == tree.KindRegular {
			n += min(int64(j.c.Attr.Blocks)*512, int64(j.c.Attr.Size)) + block
		}
		if j.part != nil {
			n += j.c.Base.Size
		}
	}
	return n
}

// room tells whether the disk has space for n more bytes and leaves some.
func room(fd int, n int64) error {
	const mostSpare = 16 << 20
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return err
	}
	spare := min(mostSpare, int64(st.Blocks)*st.Bsize/64)
	if free := int64(st.Bavail) * st.Bsize; free < n+spare {
		return fmt.Errorf("the commit needs %d MiB on the disk of the workspace and %d MiB are free: %w",
			(n+spare)>>20, free>>20, unix.ENOSPC)
	}
	return nil
}
