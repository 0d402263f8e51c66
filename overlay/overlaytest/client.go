package overlaytest

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
)

// Client drives a tree.Tree as the kernel would that had it mounted: it keeps
// what it looked up until it is told to forget, and refuses by itself what the
// VFS refuses. It holds the tree to its contract of references and numbers.
type Client struct {
	tree  tree.Tree
	root  *dentry
	refs  map[tree.Node]uint64 // references that we hold
	byIno map[uint64]tree.Node // the live node of a number
	slots [Slots]*open
	who   tree.Caller
	fault error // a broken promise
}

// dentry is a name that was looked up. It holds one reference to its node, and
// its directory is kept while it is.
type dentry struct {
	up   *dentry
	name string
	node tree.Node
	ino  uint64
	kids map[string]*dentry
	pins int // kids, hashed or not, and slots
	gone bool
}

type open struct {
	d   *dentry
	tmp bool // may get a first name
}

// NewClient begins at the root of t.
func NewClient(t tree.Tree) *Client {
	root := t.Root()
	c := &Client{
		tree: t, refs: map[tree.Node]uint64{}, byIno: map[uint64]tree.Node{},
		root: &dentry{node: root, pins: 1, kids: map[string]*dentry{}},
		who:  tree.Caller{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), PID: uint32(os.Getpid())},
	}
	var a tree.Attr
	if root.Getattr(&a) == nil {
		c.root.ino = a.Ino
		c.byIno[a.Ino] = root
	}
	if root.ID() != 1 {
		c.broken("the root's ID is %d", root.ID())
	}
	return c
}

func (c *Client) broken(format string, args ...any) {
	if c.fault == nil {
		c.fault = fmt.Errorf(format, args...)
	}
}

// Close closes the slots and gives every reference back. The tree is not closed.
func (c *Client) Close() error {
	for i := range c.slots {
		c.drop(i)
	}
	c.prune(c.root)
	for n, refs := range c.refs {
		c.broken("%d references to node %d were kept", refs, n.ID())
	}
	return c.fault
}

func (c *Client) drop(slot int) {
	if o := c.slots[slot]; o != nil {
		c.slots[slot] = nil
		c.unpin(o.d)
	}
}

// take accounts for a reference that the tree handed out.
func (c *Client) take(n tree.Node, a *tree.Attr) {
	if n == nil {
		c.broken("neither node nor error")
		return
	}
	if other := c.byIno[a.Ino]; other != nil && other != n {
		c.broken("object %d is node %d and node %d", a.Ino, other.ID(), n.ID())
	}
	c.byIno[a.Ino] = n
	c.refs[n]++
	kind := tree.Kind(a.Mode & tree.KindMask)
	switch n.(type) {
	case tree.Dir:
		if kind != tree.KindDir {
			c.broken("object %d of kind %o is a Dir", a.Ino, kind)
		}
	case tree.File:
		if kind != tree.KindRegular {
			c.broken("object %d of kind %o is a File", a.Ino, kind)
		}
	case tree.Symlink:
		if kind != tree.KindSymlink {
			c.broken("object %d of kind %o is a Symlink", a.Ino, kind)
		}
	default:
		if kind == tree.KindDir || kind == tree.KindRegular || kind == tree.KindSymlink {
			c.broken("object %d of kind %o is a bare Node", a.Ino, kind)
		}
	}
}

// release gives one reference back.
func (c *Client) release(n tree.Node, ino uint64) {
	c.refs[n]--
	last := c.refs[n] == 0
	if last {
		delete(c.refs, n)
		if c.byIno[ino] == n {
			delete(c.byIno, ino)
		}
	}
	if got := n.Forget(1); got != last {
		c.broken("Forget of node %d says %v for its last reference, it should be %v", n.ID(), got, last)
	}
}

// attach puts a node, whose reference the caller holds, under a name.
func (c *Client) attach(up *dentry, name string, n tree.Node, a *tree.Attr) *dentry {
	c.take(n, a)
	if d := up.kids[name]; d != nil {
		if d.node == n {
			c.release(n, a.Ino)
			return d
		}
		c.invalidate(d) // somebody else changed it
	}
	d := &dentry{up: up, name: name, node: n, ino: a.Ino, kids: map[string]*dentry{}}
	up.kids[name] = d
	up.pins++
	return d
}

// unhash takes a name away; who holds the object keeps it.
func (c *Client) unhash(d *dentry) {
	if d.gone {
		return
	}
	d.gone = true
	delete(d.up.kids, d.name)
	c.unpinned(d)
}

// invalidate takes a name away that means something else now, with what was found
// below it.
func (c *Client) invalidate(d *dentry) {
	c.prune(d)
	c.unhash(d)
}

func (c *Client) unpin(d *dentry) {
	d.pins--
	c.unpinned(d)
}

// unpinned lets a nameless dentry go when nobody needs it.
func (c *Client) unpinned(d *dentry) {
	if d.pins > 0 || !d.gone {
		return
	}
	c.release(d.node, d.ino)
	if d.up != nil {
		c.unpin(d.up)
	}
}

// prune forgets all below d that nobody holds.
func (c *Client) prune(d *dentry) {
	for _, kid := range d.kids {
		c.prune(kid)
		if kid.pins == 0 {
			c.unhash(kid)
		}
	}
}

// lookup finds one name.
func (c *Client) lookup(up *dentry, name string) (*dentry, *tree.Attr, error) {
	dir, ok := up.node.(tree.Dir)
	if !ok {
		return nil, nil, unix.ENOTDIR
	}
	if len(name) > unix.NAME_MAX {
		return nil, nil, unix.ENAMETOOLONG
	}
	var e tree.Entry
	n, err := dir.Lookup(name, &e)
	if err != nil {
		if d := up.kids[name]; d != nil && errors.Is(err, unix.ENOENT) {
			c.invalidate(d)
		}
		return nil, nil, err
	}
	return c.attach(up, name, n, &e.Attr), &e.Attr, nil
}

// start returns where a path begins.
func (c *Client) start(at int) (*dentry, error) {
	if at == NoSlot {
		return c.root, nil
	}
	if c.slots[at] == nil {
		return nil, errNoSlot
	}
	return c.slots[at].d, nil
}

// parent walks to the directory of a path. The last name is not looked up.
func (c *Client) parent(at int, path string) (*dentry, string, error) {
	d, err := c.start(at)
	parts := components(path)
	for i := 0; err == nil && i < len(parts)-1; i++ {
		d, _, err = c.lookup(d, parts[i])
	}
	if err != nil || len(parts) == 0 {
		return d, "", err
	}
	if _, ok := d.node.(tree.Dir); !ok {
		return nil, "", unix.ENOTDIR
	}
	return d, parts[len(parts)-1], nil
}

// find walks the whole path.
func (c *Client) find(at int, path string) (*dentry, error) {
	d, name, err := c.parent(at, path)
	if err != nil || name == "" {
		return d, err
	}
	d, _, err = c.lookup(d, name)
	return d, err
}

// attr stats an object.
func (c *Client) attr(d *dentry) (*tree.Attr, error) {
	var a tree.Attr
	if err := d.node.Getattr(&a); err != nil {
		return nil, err
	}
	if a.Ino != d.ino {
		c.broken("object %d has become %d", d.ino, a.Ino)
	}
	return &a, nil
}

// Do applies one operation.
func (c *Client) Do(op *Op) (Result, error) {
	r, err := c.do(op)
	if errors.Is(err, errNoSlot) {
		r, err = Result{Skip: true}, nil
	}
	r, err = answer(r, err)
	if err == nil {
		err = c.fault
	}
	return r, err
}

func (c *Client) do(op *Op) (Result, error) {
	c.who.Umask = op.Umask
	switch op.Kind {
	case Forget:
		c.prune(c.root)
		return Result{}, nil
	case Close:
		if c.slots[op.Slot] == nil {
			return Result{Skip: true}, nil
		}
		c.drop(op.Slot)
		return Result{}, nil
	case Create, Mkdir, Mknod, Symlink, Link, Linkat:
		return Result{}, c.make(op)
	case Unlink, Rmdir:
		return Result{}, c.remove(op)
	case Rename:
		return Result{}, c.rename(op)
	case Open, Tmpfile:
		return c.open(op)
	}
	d, err := c.find(op.At, op.Path)
	if err != nil {
		return Result{}, err
	}
	switch op.Kind {
	case Write, Append, Truncate, Fallocate, Copy, Read, Holes:
		return c.content(op, d)
	case Chmod, Chown, Utimes, Setxattr, Getxattr, Listxattr, Rmxattr:
		return c.attributes(op, d)
	case Stat:
		a, err := c.attr(d)
		if err != nil {
			return Result{}, err
		}
		return Result{Entry: fromAttr(a)}, nil
	case Readlink:
		l, ok := d.node.(tree.Symlink)
		if !ok {
			return Result{}, unix.EINVAL
		}
		b, err := l.Readlink()
		return Result{Data: b}, err
	case Readdir, Empty:
		return c.list(op, d)
	case Fsync:
		return Result{}, c.fsync(d)
	}
	return Result{}, fmt.Errorf("no such operation: %s", op.Kind)
}

// hold puts an object into a slot.
func (c *Client) hold(slot int, d *dentry, tmp bool) {
	d.pins++
	c.slots[slot] = &open{d: d, tmp: tmp}
}

func (c *Client) open(op *Op) (Result, error) {
	if c.slots[op.Slot] != nil {
		return Result{Skip: true}, nil
	}
	d, err := c.find(op.At, op.Path)
	if err != nil {
		return Result{}, err
	}
	dir, isDir := d.node.(tree.Dir)
	if op.Kind == Tmpfile {
		if !isDir {
			return Result{}, unix.ENOTDIR
		}
		var e tree.Entry
		n, err := dir.Tmpfile(&c.who, op.Mode&0o7777, &e)
		if err != nil {
			return Result{}, err
		}
		c.take(n, &e.Attr)
		c.hold(op.Slot, &dentry{node: n, ino: e.Ino, gone: true}, true)
		return Result{}, nil
	}
	if _, isFile := d.node.(tree.File); !isFile && !isDir {
		return Result{}, unix.EINVAL
	}
	c.hold(op.Slot, d, c.slotTmp(op))
	return Result{}, nil
}

// slotTmp tells whether op opens a nameless file once more.
func (c *Client) slotTmp(op *Op) bool {
	return op.At != NoSlot && op.Path == "" && c.slots[op.At].tmp
}

func isErrno(err error, no syscall.Errno) bool {
	var got syscall.Errno
	return errors.As(err, &got) && got == no
}
