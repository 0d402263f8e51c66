package fs

import (
	"log/slog"
	"os"
)

// Options say how a tree is mounted. The zero value is a read-write view.
type Options struct {
	// FsName is the source that mountinfo shows.
	FsName string
	// Subtype makes the file system type "fuse.<Subtype>".
	Subtype string
	// Opens serves OPEN, READ of blocking files, FLUSH and RELEASE and caches
	// nothing: the mode of a control tree.
	Opens bool
	// ReadOnly mounts read-only: the kernel refuses every change with EROFS.
	ReadOnly bool
	// AllowOther lets other users in; permission bits decide what they may do.
	AllowOther bool
	// AutoInval makes the kernel drop a file's pages when it sees another mtime
	// or size, for a tree that cannot publish every change of its bytes. It
	// costs the cache of every file that is being written.
	AutoInval bool
	// Writeback lets the kernel collect what is written and hand it over at close,
	// fsync, or when it likes: what was written and not closed is lost with the
	// server. The kernel then owns size, mtime and ctime of the files that it knows.
	// It has no effect with Opens.
	Writeback bool
	// Log hears of errors that have no errno and of panics; nil is slog.Default.
	Log *slog.Logger
	// MaxWrite is the largest write in one request; 0 is 1 MiB (128 KiB with Opens).
	MaxWrite int
	// Debug logs every request and answer at slog.LevelDebug.
	Debug bool
}

const (
	maxWriteView = 1 << 20
	maxWriteCtl  = 128 << 10
	minWrite     = 4096
)

// withDefaults returns o with every zero field set.
func (o Options) withDefaults() Options {
	if o.FsName == "" {
		o.FsName = "astrid"
	}
	if o.Subtype == "" {
		o.Subtype = "astrid-view"
		if o.Opens {
			o.Subtype = "astrid-ctl"
		}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.MaxWrite <= 0 {
		o.MaxWrite = maxWriteView
		if o.Opens {
			o.MaxWrite = maxWriteCtl
		}
	}
	o.MaxWrite = min(max(o.MaxWrite, minWrite), maxWriteView)
	// The kernel counts in pages.
	o.MaxWrite -= o.MaxWrite % min(os.Getpagesize(), o.MaxWrite)
	return o
}
