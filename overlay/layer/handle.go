package layer

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Types of file handles that have a generation in a known place (Linux,
// include/linux/exportfs.h and fs/xfs/xfs_export.h).
const (
	fidIno32Gen       = 1
	fidIno32GenParent = 2
	fidBtrfs          = 0x4d
	fidBtrfsParent    = 0x4e
	fidBtrfsRoot      = 0x4f
	fidXfsFlag        = 0x80
)

// Generation returns the generation of name in dirfd, or of dirfd itself when
// name is empty: a number that tells two inodes apart which were given the same
// number one after the other. false where the file system has no file handles or
// an unknown form of them. It allocates.
func Generation(dirfd int, name string) (uint32, bool) {
	flags := 0
	if name == "" {
		flags = unix.AT_EMPTY_PATH
	}
	h, _, err := unix.NameToHandleAt(dirfd, name, flags)
	if err != nil {
		return 0, false
	}
	return handleGeneration(h.Type(), h.Bytes())
}

func handleGeneration(kind int32, b []byte) (uint32, bool) {
	at := -1
	switch kind {
	case fidIno32Gen, fidIno32GenParent:
		at = 4
		if kind == fidIno32Gen && len(b) == 12 { // tmpfs puts it first
			at = 0
		}
	case fidXfsFlag | fidIno32Gen, fidXfsFlag | fidIno32GenParent:
		at = 8
	case fidBtrfs, fidBtrfsParent, fidBtrfsRoot:
		at = 16
	}
	if at < 0 || len(b) < at+4 {
		return 0, false
	}
	return binary.NativeEndian.Uint32(b[at:]), true
}
