package fs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"astrid/fs/tree"
)

const (
	eStale       = syscall.ESTALE
	eNameTooLong = syscall.ENAMETOOLONG
)

// knownRenameFlags are those a tree understands; the kernel's third one makes
// the whiteouts of another file system.
const knownRenameFlags = tree.RenameNoreplace | tree.RenameExchange

// Lookup finds a name. An absence that may be cached is an answer with node 0.
func (f *face) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	d, st := f.nameIn(h.NodeId, name)
	if st != fuse.OK {
		return st
	}
	var e tree.Entry
	since := f.now()
	n, err := d.Lookup(name, &e)
	if err == nil {
		f.bind(n, &e, since, out)
		return fuse.OK
	}
	st = f.errno("lookup", d.ID(), err)
	if st != fuse.ENOENT {
		return st
	}
	ttl := f.entryTTL(e.EntryTTL, since)
	if ttl == 0 {
		return st
	}
	*out = fuse.EntryOut{}
	out.SetEntryTimeout(ttl)
	return fuse.OK
}

// made answers an operation that made an object or a name.
func (f *face) made(op string, d tree.Dir, n tree.Node, err error, e *tree.Entry, since moment, out *fuse.EntryOut) fuse.Status {
	if err != nil {
		return f.errno(op, d.ID(), err)
	}
	f.bind(n, e, since, out)
	return fuse.OK
}

// Mknod makes a file, fifo, socket or device.
func (f *face) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	d, st := f.nameIn(in.NodeId, name)
	if st != fuse.OK {
		return st
	}
	var e tree.Entry
	since := f.now()
	n, err := d.Mknod(callerOf(&in.InHeader, in.Umask), name, in.Mode, in.Rdev, &e)
	return f.made("mknod", d, n, err, &e, since, out)
}

// Mkdir makes a directory.
func (f *face) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	d, st := f.nameIn(in.NodeId, name)
	if st != fuse.OK {
		return st
	}
	var e tree.Entry
	since := f.now()
	n, err := d.Mkdir(callerOf(&in.InHeader, in.Umask), name, in.Mode, &e)
	return f.made("mkdir", d, n, err, &e, since, out)
}

// Symlink makes a symbolic link.
func (f *face) Symlink(_ <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	d, st := f.nameIn(h.NodeId, name)
	if st != fuse.OK {
		return st
	}
	var e tree.Entry
	since := f.now()
	n, err := d.Symlink(callerOf(h, 0), name, target, &e)
	return f.made("symlink", d, n, err, &e, since, out)
}

// Link gives a node one more name.
func (f *face) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	d, st := f.nameIn(in.NodeId, name)
	if st != fuse.OK {
		return st
	}
	target, st := f.node(in.Oldnodeid)
	if st != fuse.OK {
		return st
	}
	var e tree.Entry
	since := f.now()
	n, err := d.Link(callerOf(&in.InHeader, 0), target, name, &e)
	return f.made("link", d, n, err, &e, since, out)
}

// Tmpfile makes a file without a name. It is open afterwards, in a view without
// a handle, like every other file.
func (f *face) Tmpfile(_ <-chan struct{}, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	d, st := f.dir(in.NodeId)
	if st != fuse.OK {
		return st
	}
	var e tree.Entry
	since := f.now()
	n, err := d.Tmpfile(callerOf(&in.InHeader, in.Umask), in.Mode, &e)
	if f.opens {
		out.OpenFlags = fuse.FOPEN_DIRECT_IO
	} else {
		out.OpenFlags = fuse.FOPEN_KEEP_CACHE
	}
	return f.made("tmpfile", d, n, err, &e, since, &out.EntryOut)
}

// Unlink removes a name.
func (f *face) Unlink(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	d, st := f.nameIn(h.NodeId, name)
	if st != fuse.OK {
		return st
	}
	return f.errno("unlink", d.ID(), d.Unlink(callerOf(h, 0), name))
}

// Rmdir removes an empty directory.
func (f *face) Rmdir(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	d, st := f.nameIn(h.NodeId, name)
	if st != fuse.OK {
		return st
	}
	return f.errno("rmdir", d.ID(), d.Rmdir(callerOf(h, 0), name))
}

// Rename moves a name.
func (f *face) Rename(_ <-chan struct{}, in *fuse.RenameIn, name, newName string) fuse.Status {
	d, st := f.nameIn(in.NodeId, name)
	if st != fuse.OK {
		return st
	}
	to, st := f.nameIn(in.Newdir, newName)
	if st != fuse.OK {
		return st
	}
	if in.Flags&^knownRenameFlags != 0 {
		return fuse.EINVAL
	}
	return f.errno("rename", d.ID(), d.Rename(callerOf(&in.InHeader, 0), name, to, newName, in.Flags))
}

// Readlink reads a symbolic link.
func (f *face) Readlink(_ <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	n, st := f.node(h.NodeId)
	if st != fuse.OK {
		return nil, st
	}
	l, ok := n.(tree.Symlink)
	if !ok {
		return nil, fuse.EINVAL
	}
	target, err := l.Readlink()
	return target, f.errno("readlink", n.ID(), err)
}
