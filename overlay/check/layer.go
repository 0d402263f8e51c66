package check

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

const (
	ownAll   = meta.OwnPerm | meta.OwnTimes | meta.OwnXattrs | meta.OwnContent
	maxXattr = 64 << 10
)

// layer checks what can be said of a layer by itself.
func (c *checker) layer(l *meta.Layer) {
	for ino, x := range l.Recs {
		if x.Ino != ino {
			c.find("layer %d: the record of object %d says that it is object %d", l.Epoch, ino, x.Ino)
		}
		if x.Own&meta.Dead == 0 {
			c.record(l, x)
		} else if d := l.Dirs[ino]; d != nil {
			c.find("layer %d: object %d is gone and has %d names and %d whiteouts", l.Epoch, ino, len(d.Own), len(d.Gone))
		}
	}
	for dir, d := range l.Dirs {
		if d.Empty() {
			c.find("layer %d: the delta of directory %d says nothing", l.Epoch, dir)
		}
		for name, g := range d.Gone {
			c.name(l, dir, name)
			if g != nil && !g.Sound() {
				c.find("layer %d: what is known of %q, which is gone from directory %d, makes no sense", l.Epoch, name, dir)
			}
		}
		for name, e := range d.Own {
			c.name(l, dir, name)
			if e.Birth == 0 || e.Birth >= l.Birth {
				c.find("layer %d: the entry %q of directory %d has birth %d, and the next to come is %d", l.Epoch, name, dir, e.Birth, l.Birth)
			}
			if !validKind(e.Kind) {
				c.find("layer %d: the entry %q of directory %d has kind %o", l.Epoch, name, dir, e.Kind)
			}
		}
	}
	c.aliases(l)
}

func (c *checker) name(l *meta.Layer, dir uint64, name string) {
	if !validName(name) {
		c.find("layer %d: %q of directory %d is no name", l.Epoch, name, dir)
	}
}

func validName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= unix.NAME_MAX && !strings.ContainsAny(name, "/\x00")
}

func validKind(k uint32) bool {
	switch k {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK, unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK:
		return true
	}
	return false
}

// record checks the record of an object that is there.
func (c *checker) record(l *meta.Layer, x *meta.Rec) {
	bad := func(format string, args ...any) {
		c.find("layer %d, object %d: "+format, append([]any{l.Epoch, x.Ino}, args...)...)
	}
	if !validKind(x.Kind) {
		bad("kind %o", x.Kind)
	}
	if x.Mode&^0o7777 != 0 {
		bad("permission bits %o", x.Mode)
	}
	if x.Own&^uint8(ownAll|meta.Moved) != 0 {
		bad("it says that it owns %#x", x.Own)
	}
	if x.Ino&meta.OwnBit != 0 && x.Ino&^meta.OwnBit >= l.NextIno {
		bad("the next number to be given is %d", l.NextIno|meta.OwnBit)
	}
	if x.Base == nil {
		c.ownRecord(x, bad)
	} else {
		c.baseRecord(x, bad)
	}
	c.content(l, x, bad)
	for name, v := range x.Xattrs {
		if name == "" || len(name) > 255 || strings.Contains(name, "\x00") || len(v) > maxXattr {
			bad("attribute %q of %d bytes", name, len(v))
		}
	}
}

// ownRecord checks the record of an object that was made in the view, or that the
// base has no more: such a one keeps the number that it had there.
func (c *checker) ownRecord(x *meta.Rec, bad func(string, ...any)) {
	if x.Own&meta.Moved != 0 {
		bad("it was made in the view and is said to have been moved from the base")
	}
	if x.Own&ownAll != ownAll {
		bad("it was made in the view and owns only %#x", x.Own)
	}
	if x.Copied { // HasHash is of what it replaced
		bad("it was made in the view and has an original")
	}
	if x.Kind == unix.S_IFREG && x.Where == meta.Below {
		bad("it was made in the view and its content is said to be the base's")
	}
	if x.Kind == unix.S_IFLNK && (x.Target == "" || len(x.Target) >= unix.PathMax) {
		bad("a target of %d bytes", len(x.Target))
	}
	if x.Nlink < 0 {
		bad("%d names", x.Nlink)
	}
}

// baseRecord checks the record of an object of the base.
func (c *checker) baseRecord(x *meta.Rec, bad func(string, ...any)) {
	if p := x.Base.Path; p != "" {
		if path.Clean(p) != p || strings.HasPrefix(p, "/") || p == ".." || strings.HasPrefix(p, "../") {
			bad("its base path is %q", p)
		}
		for part := range strings.SplitSeq(p, "/") {
			if !validName(part) {
				bad("its base path is %q", p)
			}
		}
	}
	if x.Base.Key.Ino == 0 {
		bad("its base object has no number")
	}
	if x.Kind != unix.S_IFDIR && x.Nlink < 0 {
		bad("%d names", x.Nlink)
	}
	owned := x.Own&meta.OwnContent != 0
	if x.Kind == unix.S_IFREG && owned != (x.Where != meta.Below) {
		bad("it owns %#x and its content is at %d", x.Own, x.Where)
	}
	if x.Kind == unix.S_IFREG && owned != x.Copied {
		bad("content of its own and a fingerprint go together, and there is only one of them")
	}
}

// content checks where the bytes are.
func (c *checker) content(l *meta.Layer, x *meta.Rec, bad func(string, ...any)) {
	if x.Where != meta.Below && x.Kind != unix.S_IFREG {
		bad("content at %d, and it is no regular file", x.Where)
	}
	switch x.Where {
	case meta.Below:
	case meta.Inline:
		if x.Size < 0 || x.Size > meta.MaxInline || int64(x.Slice.N) > x.Size || int64(len(x.Bytes)) > x.Size {
			bad("%d inline bytes", x.Size)
		}
		if x.Bytes == nil && x.Slice.Off+int64(x.Slice.N) > l.Size() {
			bad("inline bytes behind the end of the log")
		}
	case meta.Data:
		if x.DataID == 0 || x.DataID >= l.NextData {
			bad("data file %x, and the next to be given is %x", x.DataID, l.NextData)
		}
		if x.Epoch == 0 || x.Epoch > l.Epoch {
			bad("its data file may be written to by layer %d", x.Epoch)
		}
	default:
		bad("content at %d", x.Where)
	}
	if x.HasHash && !c.hasBlob(x.Hash, l) {
		bad("its original %x is not kept", x.Hash)
	}
}

func (c *checker) hasBlob(h [32]byte, in *meta.Layer) bool {
	for _, l := range append([]*meta.Layer{in}, c.stack...) {
		if _, ok := l.Blobs[h]; ok {
			return true
		}
	}
	return false
}

// aliases checks the numbers that base objects were given.
func (c *checker) aliases(l *meta.Layer) {
	of := map[uint64]layer.Key{}
	for k, ino := range l.Aliases {
		if o, ok := of[ino]; ok {
			c.find("layer %d: the base objects %v and %v both have the number %d", l.Epoch, o, k, ino)
		}
		of[ino] = k
		if ino&meta.OwnBit != 0 && ino&^meta.OwnBit >= l.NextIno {
			c.find("layer %d: the base object %v has the number %d, which was not given out yet", l.Epoch, k, ino)
		}
	}
}
