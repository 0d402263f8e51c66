package tree

// WriteMayBlock is an optional method of a File: it tells whether writing [off,
// off+n), or with n 0 setting the size to off, may take long (a large copy-up),
// so that a server can let others go first.
type WriteMayBlock interface {
	WriteMayBlock(off int64, n int) bool
}

// Dots is an optional method of a Dir: the numbers that a listing shows for "."
// and "..". Without it a face asks Getattr for the first and knows nothing of
// the second. The parent of the root is the root.
type Dots interface {
	DotInos() (self, parent uint64)
}

// PageWriter is an optional method of a File. WritePages is WriteAt for pages of a
// kernel that owns the times of the file (write-back): it says those itself, before
// or after, so they stay as they are where the file already was one of its own.
type PageWriter interface {
	WritePages(c *Caller, p []byte, off int64, killPriv bool) (int, error)
}
