package fs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Limits of extended attributes (include/uapi/linux/limits.h).
const (
	maxXattrName  = 255
	maxXattrValue = 64 << 10
)

// xattrSize turns what the tree said into an answer. A value that no caller can
// ever take is E2BIG, as the kernel says of a list.
func (f *face) xattrSize(op string, id uint64, n int, err error, dst []byte) (uint32, fuse.Status) {
	switch {
	case err != nil:
		return 0, f.errno(op, id, err)
	case n > maxXattrValue:
		return 0, fuse.Status(syscall.E2BIG)
	case len(dst) > 0 && n > len(dst):
		return uint32(n), fuse.ERANGE
	}
	return uint32(n), fuse.OK
}

// GetXAttr reads an extended attribute.
func (f *face) GetXAttr(_ <-chan struct{}, h *fuse.InHeader, name string, dst []byte) (uint32, fuse.Status) {
	n, st := f.node(h.NodeId)
	if st != fuse.OK {
		return 0, st
	}
	size, err := n.Getxattr(name, dst)
	return f.xattrSize("getxattr", n.ID(), size, err, dst)
}

// ListXAttr lists the names of attributes.
func (f *face) ListXAttr(_ <-chan struct{}, h *fuse.InHeader, dst []byte) (uint32, fuse.Status) {
	n, st := f.node(h.NodeId)
	if st != fuse.OK {
		return 0, st
	}
	size, err := n.Listxattr(dst)
	return f.xattrSize("listxattr", n.ID(), size, err, dst)
}

// SetXAttr sets an extended attribute.
func (f *face) SetXAttr(_ <-chan struct{}, in *fuse.SetXAttrIn, name string, value []byte) fuse.Status {
	n, st := f.node(in.NodeId)
	switch {
	case st != fuse.OK:
		return st
	case name == "" || len(name) > maxXattrName:
		return fuse.ERANGE
	case len(value) > maxXattrValue || int(in.Size) > len(value):
		return fuse.Status(syscall.E2BIG)
	}
	err := n.Setxattr(callerOf(&in.InHeader, 0), name, value[:in.Size], int(in.Flags))
	return f.errno("setxattr", n.ID(), err)
}

// RemoveXAttr removes an extended attribute.
func (f *face) RemoveXAttr(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	n, st := f.node(h.NodeId)
	if st != fuse.OK {
		return st
	}
	return f.errno("removexattr", n.ID(), n.Removexattr(callerOf(h, 0), name))
}
