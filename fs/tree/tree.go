package tree

import "time"

// Tree is a whole file system.
type Tree interface {
	// Root returns the root directory. It holds a reference that is never given back.
	Root() Dir
	// Statfs describes the disk that will hold new data.
	Statfs(*Statfs) error
	// Syncfs makes everything acknowledged so far survive a power cut.
	Syncfs() error
	// Watch registers the one receiver of changes that did not come through
	// this tree's own methods (an edit below, a rollback). It must not block;
	// nil unregisters and returns only after the last call has ended.
	Watch(func(Change))
}

// Kind is the file type in the bits of S_IFMT.
type Kind uint32

// The kinds of objects (S_IFMT values of Linux, include/uapi/linux/stat.h).
const (
	KindFifo    Kind = 0o010000
	KindChar    Kind = 0o020000
	KindDir     Kind = 0o040000
	KindBlock   Kind = 0o060000
	KindRegular Kind = 0o100000
	KindSymlink Kind = 0o120000
	KindSocket  Kind = 0o140000
	KindMask         = 0o170000
)

// Caller is who asks.
type Caller struct {
	UID, GID uint32
	PID      uint32 // 0 when unknown (write-back of a dirty page)
	Umask    uint32 // applied by the tree at creation, unless a default ACL speaks
}

// Attr is what stat(2) says.
type Attr struct {
	Ino     uint64
	Mode    uint32 // kind and permission bits
	Nlink   uint32
	UID     uint32
	GID     uint32
	Rdev    uint32 // as encoded by unix.Mkdev, low 32 bits
	Size    uint64 // bytes
	Blocks  uint64 // of 512 bytes
	Blksize uint32
	Atime   time.Time
	Mtime   time.Time
	Ctime   time.Time
	Btime   time.Time // zero when unknown
	// TTL is how long the answer may be cached; 0 means not at all.
	TTL time.Duration
}

// Kind returns the file type of a.
func (a *Attr) Kind() Kind { return Kind(a.Mode & KindMask) }

// Entry is the answer to a lookup: an object under a name.
type Entry struct {
	Attr
	// EntryTTL is how long the binding of name to object (or, with ENOENT, its
	// absence) may be cached; 0 means not at all.
	EntryTTL time.Duration
}

// Which fields of SetAttr count.
const (
	SetMode = 1 << iota
	SetUID
	SetGID
	SetSize
	SetAtime
	SetMtime
	SetCtime
	// SetKillPriv asks to clear set-uid, and set-gid where group execute is set
	// (the caller is not privileged; HANDLE_KILLPRIV_V2).
	SetKillPriv
)

// SetAttr is a request to change attributes, all or nothing.
type SetAttr struct {
	Valid    uint32 // Set… bits
	Mode     uint32 // permission bits only
	UID, GID uint32
	Size     uint64
	Atime    time.Time // the face has resolved UTIME_NOW
	Mtime    time.Time
	Ctime    time.Time
}

// Node is one object of a tree, of any kind.
type Node interface {
	// ID is unique in the life of the tree; the root's is 1.
	ID() uint64
	// Forget gives n references back; true when it was the last and the node
	// must not be used again.
	Forget(n uint64) (last bool)
	Getattr(*Attr) error
	// Setattr changes attributes and returns the new ones in out.
	Setattr(c *Caller, in *SetAttr, out *Attr) error
	// Getxattr copies the value into dst and returns its size; with an empty
	// dst only the size. ERANGE when it does not fit, ENODATA when there is none.
	Getxattr(name string, dst []byte) (int, error)
	// Setxattr sets; flags are XATTR_CREATE and XATTR_REPLACE.
	Setxattr(c *Caller, name string, value []byte, flags int) error
	// Listxattr is like Getxattr; names end with NUL each.
	Listxattr(dst []byte) (int, error)
	Removexattr(c *Caller, name string) error
	// Fsync makes the object (for a directory: its entries) survive a power cut.
	Fsync(dataOnly bool) error
}

// Symlink is a Node of KindSymlink.
type Symlink interface {
	Node
	Readlink() ([]byte, error)
}

// Flags of Rename (renameat2(2)).
const (
	RenameNoreplace = 1
	RenameExchange  = 2
)

// Dir is a Node of KindDir. Names are any bytes but '/' and NUL, 1 to 255 of
// them, never "." or "..".
type Dir interface {
	Node
	// Lookup finds a name and fills out. With ENOENT, out.EntryTTL says how
	// long the absence may be cached.
	Lookup(name string, out *Entry) (Node, error)
	// ReadDir calls emit for each entry whose cookie is larger than after, in
	// ascending order of cookie, until emit returns false or there are no more.
	// "." and ".." are not among them. A cookie stays valid, and its order too,
	// while entries come and go and while the Dir is referenced. With plus,
	// DirEntry.Node and DirEntry.Entry are filled and the reference is the
	// callee's if it returned true; if it returned false the tree takes it back.
	ReadDir(after uint64, plus bool, emit func(*DirEntry) bool) error
	// Mknod makes a file, fifo, socket or device; mode has the kind. A regular
	// file is made this way too.
	Mknod(c *Caller, name string, mode, rdev uint32, out *Entry) (Node, error)
	Mkdir(c *Caller, name string, mode uint32, out *Entry) (Node, error)
	Symlink(c *Caller, name string, target string, out *Entry) (Node, error)
	// Link gives target, a Node of the same tree, one more name.
	Link(c *Caller, target Node, name string, out *Entry) (Node, error)
	// Tmpfile makes a regular file without a name (O_TMPFILE); EOPNOTSUPP where the tree cannot.
	Tmpfile(c *Caller, mode uint32, out *Entry) (Node, error)
	Unlink(c *Caller, name string) error
	Rmdir(c *Caller, name string) error
	// Rename moves name of this directory to newName of newDir, a Dir of the
	// same tree (which may be the same one). flags: Rename….
	Rename(c *Caller, name string, newDir Dir, newName string, flags uint32) error
}

// DirEntry is one entry of a directory listing.
type DirEntry struct {
	Name   string
	Ino    uint64 // equals Attr.Ino of the object
	Kind   Kind
	Cookie uint64 // larger than 0; see Dir.ReadDir
	// Only with plus. A nil Node with plus means that the object could not be
	// looked up now (it vanished): the entry is listed without attributes.
	Node  Node
	Entry Entry
}

// Whence values of File.Lseek.
const (
	SeekData = 3
	SeekHole = 4
)

// File is a Node of KindRegular.
type File interface {
	Node
	// ReadAt fills p from offset off and returns how much; less only at the end
	// of the file, where the error is nil too.
	ReadAt(p []byte, off int64) (int, error)
	// WriteAt writes all of p or fails. With atEnd the offset is ignored and
	// the data goes to the real end (O_APPEND). With killPriv set-id bits are
	// cleared (see SetKillPriv).
	WriteAt(c *Caller, p []byte, off int64, atEnd, killPriv bool) (int, error)
	// Fallocate as fallocate(2); mode has its FALLOC_FL_… bits.
	Fallocate(c *Caller, mode uint32, off, length int64) error
	// Lseek answers SeekData and SeekHole; ENXIO beyond the end.
	Lseek(off int64, whence int) (int64, error)
	// CopyRange copies like copy_file_range(2) from this file into dst, a File of the same tree.
	CopyRange(c *Caller, off int64, dst File, dstOff int64, length int64) (int64, error)
}

// MayBlock is an optional method of a File: it tells whether reading [off,
// off+n) may wait for a disk, so that a server can let others go first.
type MayBlock interface {
	ReadMayBlock(off int64, n int) bool
}

// Statfs is what statfs(2) says; sizes in units of Bsize.
type Statfs struct {
	Blocks, Bfree, Bavail uint64
	Files, Ffree          uint64
	Bsize, Frsize         uint32
	NameLen               uint32
}

// What a Change says.
type ChangeKind uint8

const (
	// EntryChanged: the name Name of directory ID may now mean something else.
	EntryChanged ChangeKind = iota
	// ContentChanged: the bytes and attributes of object ID may have changed.
	ContentChanged
	// AttrChanged: the attributes of object ID may have changed, its bytes did not.
	AttrChanged
	// EverythingChanged: nothing cached is to be trusted (ID is 0).
	EverythingChanged
)

// Change is a fact that a cache above the tree must hear of. It is published
// after the new state is visible through the tree's methods.
type Change struct {
	Kind ChangeKind
	ID   uint64 // Node.ID
	Name string // EntryChanged only
}
