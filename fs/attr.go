package fs

import (
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"astrid/fs/tree"
)

// GetAttr answers stat(2).
func (f *face) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n, st := f.node(in.NodeId)
	if st != fuse.OK {
		return st
	}
	var a tree.Attr
	since := f.now()
	if err := n.Getattr(&a); err != nil {
		return f.errno("getattr", n.ID(), err)
	}
	fillAttr(&out.Attr, &a)
	out.SetTimeout(f.ttl(a.TTL, since))
	return fuse.OK
}

// Statx is asked only by a program that wants the birth time.
func (f *face) Statx(_ <-chan struct{}, in *fuse.StatxIn, out *fuse.StatxOut) fuse.Status {
	n, st := f.node(in.NodeId)
	if st != fuse.OK {
		return st
	}
	var a tree.Attr
	since := f.now()
	if err := n.Getattr(&a); err != nil {
		return f.errno("statx", n.ID(), err)
	}
	fillStatx(&out.Statx, &a)
	out.SetTimeout(f.ttl(a.TTL, since))
	return fuse.OK
}

const (
	statxBasic = 0x7ff // STATX_BASIC_STATS
	statxBtime = 0x800 // STATX_BTIME
)

func fillStatx(out *fuse.Statx, a *tree.Attr) {
	*out = fuse.Statx{
		Mask: statxBasic, Blksize: a.Blksize, Nlink: a.Nlink, Uid: a.UID, Gid: a.GID,
		Mode: uint16(a.Mode), Ino: a.Ino, Size: a.Size, Blocks: a.Blocks,
		Atime: sxTime(a.Atime), Mtime: sxTime(a.Mtime), Ctime: sxTime(a.Ctime),
		RdevMajor: major(a.Rdev), RdevMinor: minor(a.Rdev),
	}
	if !a.Btime.IsZero() {
		out.Mask |= statxBtime
		out.Btime = sxTime(a.Btime)
	}
}

func sxTime(t time.Time) fuse.SxTime {
	return fuse.SxTime{Sec: uint64(t.Unix()), Nsec: uint32(t.Nanosecond())}
}

// major and minor take a device number of 32 bits apart.
func major(dev uint32) uint32 { return dev >> 8 & 0xfff }
func minor(dev uint32) uint32 { return dev&0xff | dev>>12&0xfff00 }

// SetAttr changes attributes; a truncation comes this way too.
func (f *face) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n, st := f.node(in.NodeId)
	if st != fuse.OK {
		return st
	}
	req := setAttrOf(n, in, time.Now())
	if _, control := n.(tree.Opener); control && f.opens {
		// A shell's > truncates first; a control file has no size to change.
		req.Valid &^= tree.SetSize | tree.SetKillPriv
	}
	var a tree.Attr
	since := f.now()
	var err error
	if req.Valid == 0 {
		err = n.Getattr(&a)
	} else {
		if _, file := n.(tree.File); file && req.Valid&(tree.SetSize|tree.SetMtime) != 0 {
			if st := f.ledger.begin(n); st != fuse.OK {
				return st
			}
			defer f.ledger.end(n)
		}
		err = n.Setattr(callerOf(&in.InHeader, 0), &req, &a)
	}
	if err != nil {
		return f.errno("setattr", n.ID(), err)
	}
	fillAttr(&out.Attr, &a)
	out.SetTimeout(f.ttl(a.TTL, since))
	return fuse.OK
}

// setAttrOf translates a request; now is what UTIME_NOW means.
func setAttrOf(n tree.Node, in *fuse.SetAttrIn, now time.Time) tree.SetAttr {
	var r tree.SetAttr
	has := func(bit uint32, set uint32) bool {
		if in.Valid&bit == 0 {
			return false
		}
		r.Valid |= set
		return true
	}
	if has(fuse.FATTR_MODE, tree.SetMode) {
		r.Mode = in.Mode & 0o7777
	}
	if has(fuse.FATTR_UID, tree.SetUID) {
		r.UID = in.Uid
	}
	if has(fuse.FATTR_GID, tree.SetGID) {
		r.GID = in.Gid
	}
	if has(fuse.FATTR_SIZE, tree.SetSize) {
		r.Size = in.Size
	}
	if has(fuse.FATTR_ATIME, tree.SetAtime) {
		r.Atime = pick(in.Valid&fuse.FATTR_ATIME_NOW != 0, now, in.Atime, in.Atimensec)
	}
	if has(fuse.FATTR_MTIME, tree.SetMtime) {
		r.Mtime = pick(in.Valid&fuse.FATTR_MTIME_NOW != 0, now, in.Mtime, in.Mtimensec)
	}
	if has(fuse.FATTR_CTIME, tree.SetCtime) {
		r.Ctime = pick(false, now, in.Ctime, in.Ctimensec)
	}
	// With HANDLE_KILLPRIV_V2 a change of owner always clears the set-id bits
	// of what is not a directory; a truncation does when it says so.
	_, isDir := n.(tree.Dir)
	chown := in.Valid&(fuse.FATTR_UID|fuse.FATTR_GID) != 0
	if in.Valid&fuse.FATTR_KILL_SUIDGID != 0 || chown && !isDir {
		r.Valid |= tree.SetKillPriv
	}
	return r
}

func pick(useNow bool, now time.Time, sec uint64, nsec uint32) time.Time {
	if useNow {
		return now
	}
	return time.Unix(int64(sec), int64(nsec))
}
