package mem

import (
	"strings"
	"syscall"
	"time"

	"astrid/fs/tree"
)

// node is what all objects have. Its fields are guarded by t.mu.
type node struct {
	t      *Tree
	id     uint64
	refs   uint64
	attr   tree.Attr
	xattrs map[string][]byte
	fixed  bool   // an item, or a directory that only the program changes
	gone   func() // called with t.mu held when the last reference is given back
}

// ID implements tree.Node.
func (n *node) ID() uint64 { return n.id }

// Forget implements tree.Node.
func (n *node) Forget(count uint64) bool {
	n.t.mu.Lock()
	defer n.t.mu.Unlock()
	if count > n.refs {
		count = n.refs
	}
	n.refs -= count
	n.t.held -= count
	if n.refs == 0 && n.gone != nil {
		n.gone()
	}
	return n.refs == 0
}

// Getattr implements tree.Node.
func (n *node) Getattr(a *tree.Attr) error {
	n.t.mu.RLock()
	defer n.t.mu.RUnlock()
	*a = n.attr
	return nil
}

// Setattr implements tree.Node for all but files.
func (n *node) Setattr(_ *tree.Caller, in *tree.SetAttr, out *tree.Attr) error {
	n.t.mu.Lock()
	defer n.t.mu.Unlock()
	if err := n.mayChange(in); err != nil {
		return err
	}
	n.setLocked(in)
	*out = n.attr
	return nil
}

// mayChange refuses what does not fit the kind.
// Preconditions: t.mu is held.
func (n *node) mayChange(in *tree.SetAttr) error {
	switch {
	case n.fixed:
		return syscall.EPERM
	case in.Valid&tree.SetSize != 0 && n.attr.Kind() == tree.KindDir:
		return syscall.EISDIR
	case in.Valid&tree.SetSize != 0 && n.attr.Kind() != tree.KindRegular:
		return syscall.EINVAL
	}
	return nil
}

// setLocked changes all but the size.
// Preconditions: t.mu is held.
func (n *node) setLocked(in *tree.SetAttr) {
	a := &n.attr
	if in.Valid&tree.SetMode != 0 {
		a.Mode = a.Mode&tree.KindMask | in.Mode&0o7777
	}
	if in.Valid&tree.SetUID != 0 {
		a.UID = in.UID
	}
	if in.Valid&tree.SetGID != 0 {
		a.GID = in.GID
	}
	if in.Valid&tree.SetAtime != 0 {
		a.Atime = in.Atime
	}
	if in.Valid&tree.SetMtime != 0 {
		a.Mtime = in.Mtime
	}
	if in.Valid&tree.SetKillPriv != 0 {
		n.killPriv()
	}
	a.Ctime = time.Now()
	if in.Valid&tree.SetCtime != 0 {
		a.Ctime = in.Ctime
	}
}

// killPriv takes away what a changed file must not grant.
// Preconditions: t.mu is held.
func (n *node) killPriv() {
	const setUID, setGID, groupExec = 0o4000, 0o2000, 0o010
	n.attr.Mode &^= setUID
	if n.attr.Mode&groupExec != 0 {
		n.attr.Mode &^= setGID
	}
	delete(n.xattrs, "security.capability")
}

// Fsync implements tree.Node.
func (n *node) Fsync(bool) error { return nil }

const (
	xattrCreate  = 1
	xattrReplace = 2
	maxXattr     = 64 << 10
)

// Getxattr implements tree.Node.
func (n *node) Getxattr(name string, dst []byte) (int, error) {
	n.t.mu.RLock()
	defer n.t.mu.RUnlock()
	v, ok := n.xattrs[name]
	if !ok {
		return 0, syscall.ENODATA
	}
	return fill(dst, v)
}

// fill copies v into dst the way the xattr calls do.
func fill(dst, v []byte) (int, error) {
	if len(dst) == 0 {
		return len(v), nil
	}
	if len(v) > len(dst) {
		return len(v), syscall.ERANGE
	}
	return copy(dst, v), nil
}

// Listxattr implements tree.Node.
func (n *node) Listxattr(dst []byte) (int, error) {
	n.t.mu.RLock()
	defer n.t.mu.RUnlock()
	var list []byte
	for name := range n.xattrs {
		list = append(append(list, name...), 0)
	}
	return fill(dst, list)
}

// Setxattr implements tree.Node.
func (n *node) Setxattr(_ *tree.Caller, name string, value []byte, flags int) error {
	n.t.mu.Lock()
	defer n.t.mu.Unlock()
	_, exists := n.xattrs[name]
	switch {
	case n.fixed:
		return syscall.EPERM
	case !knownClass(name):
		return syscall.EOPNOTSUPP
	case len(value) > maxXattr:
		return syscall.E2BIG
	case flags&xattrCreate != 0 && exists:
		return syscall.EEXIST
	case flags&xattrReplace != 0 && !exists:
		return syscall.ENODATA
	}
	if n.xattrs == nil {
		n.xattrs = make(map[string][]byte)
	}
	n.xattrs[name] = append([]byte(nil), value...)
	n.attr.Ctime = time.Now()
	return nil
}

// knownClass tells whether attributes of this name can be kept.
func knownClass(name string) bool {
	for _, class := range []string{"user.", "trusted.", "security."} {
		if strings.HasPrefix(name, class) && len(name) > len(class) {
			return true
		}
	}
	return false
}

// Removexattr implements tree.Node.
func (n *node) Removexattr(_ *tree.Caller, name string) error {
	n.t.mu.Lock()
	defer n.t.mu.Unlock()
	if n.fixed {
		return syscall.EPERM
	}
	if _, ok := n.xattrs[name]; !ok {
		return syscall.ENODATA
	}
	delete(n.xattrs, name)
	n.attr.Ctime = time.Now()
	return nil
}

// base finds the node in any object of this package.
func (n *node) base() *node { return n }

// object is any node of this package.
type object interface {
	tree.Node
	base() *node
}

// special is a fifo, socket or device.
type special struct{ node }

// symlink is a tree.Symlink.
type symlink struct {
	node
	target string
}

var _ tree.Symlink = (*symlink)(nil)

// Readlink implements tree.Symlink.
func (s *symlink) Readlink() ([]byte, error) { return []byte(s.target), nil }
