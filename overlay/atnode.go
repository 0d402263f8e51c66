package overlay

import (
	"astrid/fs/tree"
)

// atNode is a node of a checkpoint.
type atNode struct {
	readOnly
	p *atPast
	n tree.Node
}

func (n *atNode) ID() uint64 { return n.p.id(n.n.ID()) }

func (n *atNode) Forget(refs uint64) bool {
	last := n.n.Forget(refs)
	n.p.forget(0, refs)
	return last
}

func (n *atNode) Getattr(a *tree.Attr) error {
	err := n.p.quiet(func() error { return n.n.Getattr(a) })
	n.p.attr(a)
	return err
}

// quietly is quiet for what has a result.
func quietly[T any](p *atPast, fn func() (T, error)) (v T, err error) {
	err = p.quiet(func() (err error) { v, err = fn(); return err })
	return v, err
}

func (n *atNode) Getxattr(name string, dst []byte) (int, error) {
	return quietly(n.p, func() (int, error) { return n.n.Getxattr(name, dst) })
}

func (n *atNode) Listxattr(dst []byte) (int, error) {
	return quietly(n.p, func() (int, error) { return n.n.Listxattr(dst) })
}

type atLink struct{ atNode }

func (n *atLink) Readlink() ([]byte, error) { return quietly(n.p, n.n.(tree.Symlink).Readlink) }

type atFile struct{ atNode }

func (n *atFile) ReadAt(p []byte, off int64) (int, error) {
	return quietly(n.p, func() (int, error) { return n.n.(tree.File).ReadAt(p, off) })
}

func (n *atFile) Lseek(off int64, whence int) (int64, error) {
	return quietly(n.p, func() (int64, error) { return n.n.(tree.File).Lseek(off, whence) })
}

// ReadMayBlock implements tree.MayBlock.
func (n *atFile) ReadMayBlock(off int64, size int) bool {
	b, ok := n.n.(tree.MayBlock)
	return !ok || b.ReadMayBlock(off, size)
}

type atDir struct{ atNode }

func (n *atDir) Lookup(name string, out *tree.Entry) (tree.Node, error) {
	var in tree.Node
	err := n.p.quiet(func() (err error) {
		if in != nil {
			in.Forget(1)
		}
		in, err = n.n.(tree.Dir).Lookup(name, out)
		return err
	})
	if err != nil {
		return nil, err
	}
	n.p.took()
	n.p.attr(&out.Attr)
	return n.p.wrap(in), nil
}

// atBatch is how many entries are read before they are handed out.
const atBatch = 256

func (n *atDir) ReadDir(after uint64, plus bool, emit func(*tree.DirEntry) bool) error {
	for {
		batch, err := n.batch(after, plus)
		if err != nil {
			return err
		}
		for i := range batch {
			e := &batch[i]
			after = e.Cookie
			e.Ino = n.p.ino(e.Ino)
			raw := e.Node
			if raw != nil {
				e.Node = n.p.wrap(raw)
				n.p.attr(&e.Entry.Attr)
				n.p.took()
			}
			if !emit(e) {
				if raw != nil {
					e.Node.Forget(1)
				}
				forgetAll(batch[i+1:])
				return nil
			}
		}
		if len(batch) < atBatch {
			return nil
		}
	}
}

// batch reads some entries; the references of their nodes are the caller's.
func (n *atDir) batch(after uint64, plus bool) (batch []tree.DirEntry, err error) {
	err = n.p.quiet(func() error {
		forgetAll(batch)
		batch = batch[:0]
		return n.n.(tree.Dir).ReadDir(after, plus, func(e *tree.DirEntry) bool {
			if len(batch) == atBatch {
				return false
			}
			batch = append(batch, *e)
			return true
		})
	})
	if err != nil {
		forgetAll(batch)
	}
	return batch, err
}

func forgetAll(l []tree.DirEntry) {
	for _, e := range l {
		if e.Node != nil {
			e.Node.Forget(1)
		}
	}
}

// atTop is the root of a checkpoint, which its tree never gives up.
type atTop struct{ atDir }

func (n *atTop) Forget(refs uint64) bool { return n.p.forget(refs, 0) }
