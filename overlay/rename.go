package overlay

import (
	"errors"
	"path"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// move is one rename under way.
type move struct {
	o          *Overlay
	from, to   *dirNode
	name, dest string
	flags      uint32
	src, dst   found
	replaces   bool // dst is there
	lastName   bool // of dst
	now        int64
	original   *original // of the file that dst is in the base; nil: not kept
}

// Rename moves a name, of a file or of a whole directory of the base, by records
// alone.
func (d *dirNode) Rename(c *tree.Caller, name string, newDir tree.Dir, newName string, flags uint32) error {
	if err := errors.Join(checkName(name), checkName(newName)); err != nil {
		return err
	}
	to, ok := newDir.(*dirNode)
	if !ok || to.o != d.o {
		return unix.EXDEV
	}
	if flags&^(tree.RenameNoreplace|tree.RenameExchange) != 0 ||
		flags == tree.RenameNoreplace|tree.RenameExchange {
		return unix.EINVAL
	}
	if err := d.o.allow(Used{Changed: 1}); err != nil {
		return err
	}
	by := d.o.by(c)
	m := &move{o: d.o, from: d, to: to, name: name, dest: newName, flags: flags, now: d.o.now()}
	if err := d.pinName(name); err != nil {
		return err
	}
	if flags&tree.RenameExchange != 0 {
		if err := to.pinName(newName); err != nil {
			return err
		}
	}
	if err := m.flushSource(); err != nil {
		return err
	}
	if flags == 0 {
		m.original = m.keptOriginal()
	}
	err := d.o.change(m.plan, m.done)
	if errors.Is(err, errNothing) {
		return nil
	}
	if err == nil {
		d.o.sign(by, m.src.ino)
		d.o.signRemoval(by, d.ino, name)
	}
	return err
}

// errNothing ends a rename of two names of one object: it does nothing.
var errNothing = errors.New("nothing to be done")

// flushSource starts writing a data file out before it takes another's name, so
// that a power cut leaves the old bytes or the new and not an empty file.
func (m *move) flushSource() error {
	m.o.mu.RLock()
	e, w := m.o.entry(m.from.ino, m.name)
	_, x := m.o.rec(e.Ino)
	if w != own || x == nil || x.Where != meta.Data {
		m.o.mu.RUnlock()
		return nil
	}
	id := x.DataID
	m.o.mu.RUnlock()
	if fd := m.o.fds.get(fdKey{data: id}); fd != nil {
		defer m.o.fds.put(fd)
		_ = unix.SyncFileRange(fd.fd, 0, 0, unix.SYNC_FILE_RANGE_WRITE)
	}
	return nil
}

// plan checks the rename and collects its facts.
func (m *move) plan() (err error) {
	if err := errors.Join(m.o.bind(&m.from.node), m.o.bind(&m.to.node)); err != nil {
		return err
	}
	if m.src, err = m.from.find(m.name); err != nil {
		return err
	}
	if m.to.unlinked {
		return unix.ENOENT
	}
	if err := m.findTarget(); err != nil {
		return err
	}
	if err := m.check(); err != nil {
		return err
	}
	if m.flags&tree.RenameExchange != 0 {
		return m.planExchange()
	}
	if m.replaces {
		if err := m.planReplace(); err != nil {
			return err
		}
	}
	m.o.leave(m.from, m.name, &m.src)
	if err := m.planObject(&m.src, m.to, m.dest); err != nil {
		return err
	}
	return m.planTouch()
}

// findTarget looks at the new name.
func (m *move) findTarget() (err error) {
	m.dst, err = m.to.find(m.dest)
	switch {
	case err == nil:
		m.replaces = true
		if m.flags&tree.RenameNoreplace != 0 {
			return unix.EEXIST
		}
		return nil
	case !errors.Is(err, unix.ENOENT):
		return err
	case m.flags&tree.RenameExchange != 0:
		return unix.ENOENT
	}
	return m.to.free(m.dest)
}

// check applies the rules of rename(2).
func (m *move) check() error {
	if err := m.checkDevice(&m.src); err != nil {
		return err
	}
	if m.src.kind == unix.S_IFDIR && m.o.inside(m.to, m.src.ino) {
		return unix.EINVAL
	}
	if !m.replaces {
		return nil
	}
	if m.src.ino == m.dst.ino {
		return errNothing
	}
	if err := m.checkDevice(&m.dst); err != nil {
		return err
	}
	if m.flags&tree.RenameExchange != 0 {
		if m.dst.kind == unix.S_IFDIR && m.o.inside(m.from, m.dst.ino) {
			return unix.EINVAL
		}
		return nil
	}
	switch {
	case m.dst.kind == unix.S_IFDIR && m.src.kind != unix.S_IFDIR:
		return unix.EISDIR
	case m.dst.kind != unix.S_IFDIR && m.src.kind == unix.S_IFDIR:
		return unix.ENOTDIR
	}
	return nil
}

// checkDevice refuses what lies on another file system mounted below the base.
func (m *move) checkDevice(f *found) error {
	if f.key.Dev != 0 {
		return unix.EXDEV
	}
	return nil
}

// inside tells whether d is the directory ino or lies in it.
// Preconditions: o.mu is held for writing.
func (o *Overlay) inside(d *dirNode, ino uint64) bool {
	for at, steps := d, 0; at != nil && steps < 1<<16; steps++ {
		if at.ino == ino {
			return true
		}
		if at == o.root {
			return false
		}
		o.nodes.mu.Lock()
		up := o.nodes.m[at.up]
		o.nodes.mu.Unlock()
		if up == nil {
			return false
		}
		at, _ = up.self.(*dirNode)
	}
	return false
}

// planReplace makes the object at the target lose its name.
func (m *move) planReplace() (err error) {
	if m.dst.kind == unix.S_IFDIR {
		m.lastName = true
		if err := m.o.removeDir(&m.dst); err != nil {
			return err
		}
	} else if m.lastName, err = m.o.unlinkObject(&m.dst, m.now); err != nil {
		return err
	}
	// The name below it, if there is one, stays hidden when the new one goes.
	m.o.leave(m.to, m.dest, &m.dst)
	return nil
}

// planObject records that the object itself is moved to name of d, and gives it
// that name. One that comes back to where it is in the base only loses the
// whiteout.
func (m *move) planObject(f *found, d *dirNode, name string) error {
	x, err := m.o.editFound(f)
	if err != nil {
		return err
	}
	x.Ctime = m.now
	x.Own |= meta.OwnTimes
	if m.original != nil && f == &m.src {
		if err := m.o.remember(x, m.original); err != nil {
			return err
		}
	}
	switch {
	case m.home(d, name, x.Base):
		x.Own &^= meta.Moved
		m.o.tx.Show(d.ino, name)
	case x.Base != nil:
		x.Own |= meta.Moved
	}
	m.o.save(x)
	m.o.enter(d, name, f.ino, f.kind)
	return nil
}

// home tells whether name of d is the recorded place of a base object, which is
// there, and only the top layer says otherwise.
func (m *move) home(d *dirNode, name string, b *meta.Base) bool {
	at := d.loc.Load()
	if b == nil || at == nil || path.Join(at.path(), name) != b.Path {
		return false
	}
	if _, w := findEntry(m.o.stack[:len(m.o.stack)-1], d.ino, name); w != below {
		return false
	}
	var st layer.Stat
	return d.statBelow(name, &st) == nil && m.o.key(st.Key).Same(b.Key)
}

func (m *move) planExchange() error {
	m.o.leave(m.from, m.name, &m.src)
	m.o.leave(m.to, m.dest, &m.dst)
	if err := m.planObject(&m.dst, m.from, m.name); err != nil {
		return err
	}
	if err := m.planObject(&m.src, m.to, m.dest); err != nil {
		return err
	}
	return m.planTouch()
}

// planTouch records the new times and link counts of both directories.
func (m *move) planTouch() error {
	out, in := 0, 0
	if m.src.kind == unix.S_IFDIR {
		out, in = -1, 1
	}
	if m.replaces && m.dst.kind == unix.S_IFDIR {
		in--
		if m.flags&tree.RenameExchange != 0 {
			out++
		}
	}
	if m.from == m.to {
		return m.o.touch(m.from, m.now, out+in)
	}
	if err := m.o.touch(m.from, m.now, out); err != nil {
		return err
	}
	return m.o.touch(m.to, m.now, in)
}

// done brings memory up to date.
func (m *move) done() {
	m.from.left(m.name)
	m.to.left(m.dest)
	m.to.arrived(m.dest, &m.src)
	if m.flags&tree.RenameExchange != 0 {
		m.from.arrived(m.name, &m.dst)
	} else if m.replaces && m.lastName {
		m.o.lost(m.dst.ino)
	}
}

// arrived is entered for an object that was there before.
func (d *dirNode) arrived(name string, f *found) {
	d.ver++
	d.list.add(name, f.ino, f.kind)
	if n := d.o.nodes.get(f.ino); n != nil {
		d.adopt(n)
	}
}
