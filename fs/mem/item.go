package mem

import (
	"context"

	"astrid/fs/tree"
)

// Item is something that the program puts into a tree: a File, a Folder or a
// Link.
type Item interface {
	kind() tree.Kind
	make(t *Tree) object
	// renew gives an object of this kind the functions of this item; false when
	// it is of another kind.
	renew(o object) bool
}

// File is a generated file. Its zero value is an empty one that nobody may
// open; Text, Lines and Func make useful ones.
type File struct {
	perm   uint32
	source func(ctx context.Context) ([]byte, error)
	sink   func(ctx context.Context, c *tree.Caller, line string) error
	max    int
	open   func(c *tree.Caller, flags uint32) (tree.Handle, error)

	unlisted bool
}

// DefaultLine is the longest line of a Lines file that says nothing else.
const DefaultLine = 4096

// Text is a file to read. source is called at the first read of each open; what
// it returns stays the same for that open, so that reads in parts fit together.
func Text(source func(ctx context.Context) ([]byte, error)) File {
	return File{perm: 0o400, source: source}
}

// Lines is a file to write. sink is called for each line, without its newline,
// however the writes were split; what is left without a newline when a
// descriptor is closed is a line too. Its error is the writer's (for the rest:
// the closer's), and drops what that write had after the line. A line longer
// than max bytes (0: DefaultLine) is E2BIG.
func Lines(max int, sink func(ctx context.Context, c *tree.Caller, line string) error) File {
	if max <= 0 {
		max = DefaultLine
	}
	return File{perm: 0o200, sink: sink, max: max}
}

// Func is a file whose opens are all open's business.
func Func(open func(c *tree.Caller, flags uint32) (tree.Handle, error)) File {
	return File{perm: 0o600, open: open}
}

// And is one file with the sides of both: f's where it has them.
func (f File) And(g File) File {
	f.perm |= g.perm
	if f.source == nil {
		f.source = g.source
	}
	if f.sink == nil {
		f.sink, f.max = g.sink, g.max
	}
	if f.open == nil {
		f.open = g.open
	}
	return f
}

// Perm is f with other permission bits.
func (f File) Perm(bits uint32) File {
	f.perm = bits & 0o777
	return f
}

// Unlisted is f left out of the listing of the directory that it is attached to,
// and found by its name only: for files whose reads wait, which would hold
// whoever reads everything that is listed. In a Folder it has no effect.
func (f File) Unlisted() File {
	f.unlisted = true
	return f
}

func (f File) kind() tree.Kind { return tree.KindRegular }

func (f File) make(t *Tree) object {
	g := &generated{item: f}
	t.initNode(&g.node, tree.KindRegular, f.perm, t.opts.UID, t.opts.GID)
	g.fixed, g.attr.TTL = true, 0
	return g
}

func (f File) renew(o object) bool {
	g, ok := o.(*generated)
	if ok {
		g.item = f
		g.attr.Mode = uint32(tree.KindRegular) | f.perm
	}
	return ok
}

// Folder is a directory whose entries are made by functions.
type Folder struct {
	// Perm are its permission bits; 0 is 0500.
	Perm uint32
	// List returns the names, in any order.
	List func() ([]string, error)
	// Child returns what a name stands for; an error that wraps ENOENT when
	// there is nothing. A name keeps its node while somebody holds it and its
	// item is of the same kind.
	Child func(name string) (Item, error)
}

// Static is a folder of given items.
func Static(items map[string]Item) Folder {
	return Folder{
		List: func() ([]string, error) {
			names := make([]string, 0, len(items))
			for name := range items {
				names = append(names, name)
			}
			return names, nil
		},
		Child: func(name string) (Item, error) {
			if it, ok := items[name]; ok {
				return it, nil
			}
			return nil, eNoEntry
		},
	}
}

func (f Folder) kind() tree.Kind { return tree.KindDir }

func (f Folder) perm() uint32 {
	if f.Perm == 0 {
		return 0o500
	}
	return f.Perm & 0o777
}

func (f Folder) make(t *Tree) object {
	d := &folder{item: f, cookies: make(map[string]uint64), held: make(map[string]object)}
	t.initNode(&d.node, tree.KindDir, f.perm(), t.opts.UID, t.opts.GID)
	d.fixed, d.attr.TTL = true, 0
	d.attr.Nlink = 1 // "not known": find(1) then looks at every entry
	return d
}

func (f Folder) renew(o object) bool {
	d, ok := o.(*folder)
	if ok {
		d.item = f
		d.attr.Mode = uint32(tree.KindDir) | f.perm()
	}
	return ok
}

// Link is a symlink to a target.
type Link string

func (l Link) kind() tree.Kind { return tree.KindSymlink }

func (l Link) make(t *Tree) object {
	s := &symlink{target: string(l)}
	t.initNode(&s.node, tree.KindSymlink, 0o777, t.opts.UID, t.opts.GID)
	s.fixed, s.attr.TTL = true, 0
	s.attr.Size = uint64(len(l))
	return s
}

func (l Link) renew(o object) bool {
	s, ok := o.(*symlink)
	return ok && s.target == string(l)
}
