package jail

import (
	"encoding/gob"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Kind is what a Mount does.
type Kind uint8

// The kinds. The zero Kind is none of them.
const (
	Bind         Kind = iota + 1 // Source over At, with everything mounted below it
	ReadOnlyBind                 // the same, and nothing of it can be written
	Tmpfs                        // an empty directory in memory, of mode Mode
	Dev                          // the harmless devices
	Proc                         // the processes of the sandbox
	Symlink                      // a link at At to Source
)

// Mount is one step in the making of the tree; later ones lie over earlier ones.
// The first is a Bind or ReadOnlyBind at "/". Paths are absolute.
type Mount struct {
	Kind   Kind
	Source string
	At     string
	Mode   uint32
}

func (m Mount) binds() bool { return m.Kind == Bind || m.Kind == ReadOnlyBind }

// writable tells whether the program may write there.
func (m Mount) writable() bool { return m.Kind != ReadOnlyBind && m.Kind != Symlink }

// Plan is a whole sandbox and the program in it.
type Plan struct {
	Mounts     []Mount
	Net        bool // share the network
	NewSession bool // without our terminal
	Cwd        string
	Argv       []string // the first is a path
	Env        []string
	Filter     []byte // see Filter

	UID, GID int // set by File: ours
}

// maxPlan bounds a plan: the kernel takes no more arguments and environment than
// fit into it.
const maxPlan = 16 << 20

// File is the plan in a file of memory, for the helper's descriptor. The caller
// closes it.
func (p *Plan) File() (*os.File, error) {
	p.UID, p.GID = os.Geteuid(), os.Getegid()
	return Memory("plan", func(w io.Writer) error { return gob.NewEncoder(w).Encode(p) })
}

// Memory is a file that has no name, and holds what fill writes. The caller
// closes it.
func Memory(name string, fill func(io.Writer) error) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err = fill(f); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readPlan reads the plan without moving the offset that all stages share.
func readPlan(f *os.File) (*Plan, error) {
	p := new(Plan)
	err := gob.NewDecoder(io.NewSectionReader(f, 0, maxPlan)).Decode(p)
	return p, err
}
