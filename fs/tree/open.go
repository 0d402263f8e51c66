package tree

import "context"

// Opener is an optional method of a File whose readers and writers each get a
// Handle: control files, whose content is made at the moment of opening. Only a
// face served with opens (fs.Options.Opens) calls it; it then answers with
// direct I/O, so that size and cache play no part.
type Opener interface {
	// Open is given the flags of open(2). O_TRUNC arrives here and is not an error.
	Open(c *Caller, flags uint32) (Handle, error)
}

// Handle is one open of a control file. Its methods may be called from several
// goroutines. ctx ends when the caller is interrupted; a blocking call then
// returns EINTR.
type Handle interface {
	// Read fills p from offset off; 0 and nil is the end of the file.
	Read(ctx context.Context, p []byte, off int64) (int, error)
	// Write takes all of p or fails. Offsets of control files mean nothing.
	Write(ctx context.Context, p []byte, off int64) (int, error)
	// Flush is called at each close(2) of a descriptor; its error reaches the closer.
	Flush(ctx context.Context) error
	// Release ends the handle; it is called once, after the last close.
	Release()
}
