package overlaytest

import (
	"fmt"
	"strings"
	"syscall"
)

// Kind says what an operation does.
type Kind string

// The operations. Path is where, To the second path.
const (
	Create    Kind = "create"    // a file: Mode, Umask
	Mkdir     Kind = "mkdir"     // Mode, Umask
	Mknod     Kind = "mknod"     // Mode with the kind, Umask
	Symlink   Kind = "symlink"   // Target
	Link      Kind = "link"      // Path gets the name To
	Unlink    Kind = "unlink"    //
	Rmdir     Kind = "rmdir"     //
	Rename    Kind = "rename"    // Path to To, Flags
	Write     Kind = "write"     // Value or, when that is nil, Len bytes of Seed, at Off
	Append    Kind = "append"    // the same at the end
	Truncate  Kind = "truncate"  // to Len
	Fallocate Kind = "fallocate" // Flags, Off, Len
	Copy      Kind = "copy"      // copy_file_range: Len bytes at Off to To at Off2
	Read      Kind = "read"      // Len bytes at Off
	Holes     Kind = "holes"     // the whole content, put together from SEEK_DATA and SEEK_HOLE
	Readlink  Kind = "readlink"  //
	Readdir   Kind = "readdir"   //
	Empty     Kind = "empty"     // unlink everything that is no directory, while reading
	Stat      Kind = "stat"      //
	Chmod     Kind = "chmod"     // Mode
	Chown     Kind = "chown"     // UID, GID
	Utimes    Kind = "utimes"    // Atime, Mtime
	Setxattr  Kind = "setxattr"  // Name, Value, Flags
	Getxattr  Kind = "getxattr"  // Name
	Listxattr Kind = "listxattr" //
	Rmxattr   Kind = "rmxattr"   // Name
	Fsync     Kind = "fsync"     //
	Open      Kind = "open"      // Path becomes Slot
	Tmpfile   Kind = "tmpfile"   // a nameless file in Path becomes Slot: Mode
	Linkat    Kind = "linkat"    // Slot gets the name Path
	Close     Kind = "close"     // Slot
	Forget    Kind = "forget"    // drop what a client need not keep
)

// longName is the longest there can be; it is told as NNN.
var longName = strings.Repeat("n", 255)

// Slots is how many objects may be held open at a time.
const Slots = 4

// NoSlot as At or ToAt begins a path at the root.
const NoSlot = -1

// Op is one operation. It travels to other processes, and names are any bytes.
type Op struct {
	Kind     Kind
	At, ToAt int // slot that Path or To begins at, or NoSlot
	Path, To string
	Slot     int

	Mode, Umask, Flags uint32
	UID, GID           uint32
	Off, Off2, Len     int64
	Seed               uint64
	Atime, Mtime       int64
	Name, Target       string
	Value              []byte
}

// Result is the answer to an operation.
type Result struct {
	Errno syscall.Errno
	Skip  bool // it made no sense: the slot is empty
	Data  []byte
	Names []string
	Entry *Entry
}

func (o *Op) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", o.Kind, where(o.At, o.Path))
	switch o.Kind {
	case Link, Rename:
		fmt.Fprintf(&b, " -> %s flags %d", where(o.ToAt, o.To), o.Flags)
	case Copy:
		fmt.Fprintf(&b, " at %d -> %s at %d, %d bytes", o.Off, where(o.ToAt, o.To), o.Off2, o.Len)
	case Create, Mkdir, Mknod, Tmpfile, Chmod:
		fmt.Fprintf(&b, " mode %o umask %o", o.Mode, o.Umask)
	case Symlink:
		fmt.Fprintf(&b, " = %q", o.Target)
	case Write, Append, Read, Fallocate:
		fmt.Fprintf(&b, " off %d len %d flags %#x", o.Off, o.Len, o.Flags)
	case Truncate:
		fmt.Fprintf(&b, " to %d", o.Len)
	case Chown:
		fmt.Fprintf(&b, " %d:%d", int32(o.UID), int32(o.GID))
	case Utimes:
		fmt.Fprintf(&b, " %d %d", o.Atime, o.Mtime)
	case Setxattr, Getxattr, Rmxattr:
		fmt.Fprintf(&b, " %q (%d bytes) flags %d", o.Name, len(o.Value), o.Flags)
	}
	switch o.Kind {
	case Open, Tmpfile, Linkat, Close:
		fmt.Fprintf(&b, " slot %d", o.Slot)
	}
	return b.String()
}

func where(at int, path string) string {
	path = strings.ReplaceAll(path, longName, "NNN")
	if at == NoSlot {
		return fmt.Sprintf("%q", "/"+path)
	}
	return fmt.Sprintf("[%d]%q", at, path)
}

// Bytes returns the n bytes that stand for a seed: no zeros in them, so that a
// hole is told from data.
func Bytes(seed uint64, n int64) []byte {
	b := make([]byte, n)
	x := seed*2862933555777941757 + 3037000493
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x>>32) | 1
	}
	return b
}

// bytes is what a write or append writes.
func (o *Op) bytes() []byte {
	if o.Value != nil {
		return o.Value
	}
	return Bytes(o.Seed, o.Len)
}

// Split returns the directory part and the last name of a slash path.
func Split(path string) (dir, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// Join is the inverse of Split.
func Join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
