package commit

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// Path is a slash path relative to the workspace, of any bytes. In a journal it
// is text: '%' and bytes that are not UTF-8 are written as %XX.
type Path string

// MarshalText escapes.
func (p Path) MarshalText() ([]byte, error) {
	const hex = "0123456789ABCDEF"
	var b []byte
	for i := 0; i < len(p); {
		r, n := utf8.DecodeRuneInString(string(p[i:]))
		if c := p[i]; r == utf8.RuneError && n == 1 || c == '%' {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, p[i:i+n]...)
		}
		i += n
	}
	return b, nil
}

// UnmarshalText undoes MarshalText.
func (p *Path) UnmarshalText(b []byte) error {
	var out strings.Builder
	for i := 0; i < len(b); i++ {
		if b[i] != '%' {
			out.WriteByte(b[i])
			continue
		}
		if i+3 > len(b) {
			return strconv.ErrSyntax
		}
		n, err := strconv.ParseUint(string(b[i+1:i+3]), 16, 8)
		if err != nil {
			return err
		}
		out.WriteByte(byte(n))
		i += 2
	}
	*p = Path(out.String())
	return nil
}

// ident is what an object must be to be touched: the very inode and, unless it
// is a directory, with the size and time that it had. Its ctime is not looked
// at: renames move that.
type ident struct {
	Key   layer.Key
	Kind  uint32 // S_IFMT bits
	Size  int64
	Mtime int64
}

func identOf(st *layer.Stat) ident {
	return ident{Key: st.Key, Kind: st.Mode & unix.S_IFMT, Size: st.Size, Mtime: st.Mtime}
}

// is tells whether st is the object; of a directory only its identity counts.
func (id ident) is(st *layer.Stat) bool {
	if st == nil || st.Mode&unix.S_IFMT != id.Kind || !sameInode(id.Key, st.Key) {
		return false
	}
	return id.Kind == unix.S_IFDIR || st.Size == id.Size && st.Mtime == id.Mtime
}

// Names of steps.
const (
	doLink = "link" // Obj, at From, gets the additional name To
	doMove = "move" // Obj goes from From to To, where nothing is
	doSwap = "swap" // Obj at From and Pre at To change places
)

// step is one visible step: a rename. Its paths are those that hold when all
// steps before it are done.
type step struct {
	Do   string
	From Path
	To   Path
	Obj  ident
	Pre  *ident `json:",omitempty"`
	// Tree, when not empty, is the digest of what must be in the directory that
	// is taken away: Obj of a move, Pre of a swap.
	Tree string `json:",omitempty"`
	// Same says of a swap that one object takes the place of another for good, and
	// that neither has other names.
	Same bool `json:",omitzero"`
}

// attrs are the attributes that a commit sets on an object in place.
type attrs struct {
	Mode     uint32
	UID, GID uint32
	Mtime    int64
	Xattrs   map[Path][]byte `json:",omitempty"`
}

// metaStep changes attributes of an object in place.
type metaStep struct {
	// Base is its path before the steps, Path the one after them; either may be
	// empty when there is none.
	Base, Path          Path
	Key                 layer.Key
	Kind                uint32
	Perm, Times, Xattrs bool // which count
	Before, After       attrs
}

// timeStep gives a directory its time when everything else is done. Path is empty
// when it is not in the workspace then, Base when it was not before.
type timeStep struct {
	Base, Path    Path
	Key           layer.Key
	Before, After int64
	// Free says that others have changed names in it too: its time is when.
	Free bool `json:",omitzero"`
}

// doneRec is an overlay.Done as it is written down, with what an undo compares
// the object with. Ino is 0 when nothing is at Path.
type doneRec struct {
	Path     Path
	Ino      uint64
	Key      layer.Key
	Mode     uint32 `json:",omitzero"` // with the kind
	UID, GID uint32 `json:",omitzero"`
	Size     int64  `json:",omitzero"`
	Mtime    int64  `json:",omitzero"`
	// Staged is, of an index of git, the digest of its entries (gitindex): git writes
	// it anew, with other bytes, when it only looks.
	Staged []byte `json:",omitempty"`
	Part   bool   `json:",omitzero"` // overlay.Done.Part
}

// stands tells whether st is the object, as the operation left it.
func (r doneRec) stands(st *layer.Stat) bool {
	if st == nil || !sameInode(st.Key, r.Key) || st.Mode != r.Mode || st.UID != r.UID || st.GID != r.GID {
		return false
	}
	return isDir(st) || st.Size == r.Size && st.Mtime == r.Mtime
}

// plan is everything that a commit does, in order: Open, Steps, Meta, Times.
type plan struct {
	Number  uint64
	Boot    string // the boot in which the device numbers hold
	Base    layer.Key
	Stage   Path // the staging directory
	MadeDot bool // the directory above it was made by this commit
	Message string
	By      string `json:",omitempty"` // who asked for it
	Time    int64  `json:",omitzero"`  // when the steps were planned, ns since 1970; 0 in those of before there was an undo
	// Op is "" of a commit, or OpUndo or OpRedo. Of is then the number of the
	// operation that it takes back, and Commit that of the commit that it is about.
	Op     string     `json:",omitempty"`
	Of     uint64     `json:",omitzero"`
	Commit uint64     `json:",omitzero"`
	What   []What     `json:",omitempty"`
	Bytes  int64      `json:",omitzero"` // of the files that it brings to the workspace
	Open   []metaStep // directories opened up
	Steps  []step
	Meta   []metaStep
	Times  []timeStep
	// Links are slots with additional names of objects at From, which an undo has
	// taken away: at the end they go.
	Links []step `json:",omitempty"`
	Done  []doneRec
}

// departed returns the objects of the workspace that the steps take from their
// places.
func (p *plan) departed() []layer.Key {
	var keys []layer.Key
	for _, s := range p.Steps {
		switch {
		case s.Do == doSwap:
			keys = append(keys, s.Pre.Key)
		case s.Do == doMove && !change.Below(string(s.From), string(p.Stage)):
			keys = append(keys, s.Obj.Key)
		}
	}
	return keys
}
