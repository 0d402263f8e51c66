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
