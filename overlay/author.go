package overlay

import (
	"fmt"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// Author is the process that changed something in the view last. The zero PID is
// nobody in particular: pages of a mapping come without the name of who wrote them.
type Author struct {
	PID, UID uint32
	Exe      string // path of its program; "" when it was gone before it could be asked
	Command  string // its name, as in ps
	At       time.Time
}

func (a Author) String() string {
	if a.PID == 0 {
		return "unknown " + a.At.UTC().Format(time.RFC3339)
	}
	exe := a.Exe
	if exe == "" {
		exe = "unknown"
	}
	return fmt.Sprintf("pid %d uid %d %s %s", a.PID, a.UID, a.At.UTC().Format(time.RFC3339), exe)
}

// xattrBy is the attribute that says who changed an object. It is made when it is
// asked for: no list has it, no commit takes it, nobody sets it.
const xattrBy = "user.astrid.by"

const (
	// maxAuthors bounds the objects, and the removed names, whose author is known.
	maxAuthors = 1 << 17
	// introduceTime is how long the first change of a process waits until it is known
	// what the process is: it cannot end meanwhile. Only that bound makes the waiting
	// safe, since what is asked could depend on the answer to the change.
	introduceTime = 5 * time.Millisecond
)

// authors knows who changed what last.
type authors struct {
	mu      sync.Mutex
	objects map[uint64]signed
	removed map[removal]signed
	changes uint64              // made so far; guarded by mu, as all
	procs   map[uint32]*process // those that change things, by pid

	last atomic.Pointer[process] // one of procs: what changes something goes on, mostly

	ask  chan *process // to be looked at
	quit chan struct{}
	over chan struct{}
}

type removal struct {
	dir  uint64
	name string
}

type signed struct {
	by *process // nil: unknown
	at int64    // ns since 1970
}

// sign says that a process has changed an object.
func (o *Overlay) sign(by *process, ino uint64) {
	a := &o.authors
	s := signed{by, o.now()}
	a.mu.Lock()
	defer a.mu.Unlock()
	makeRoom(a.objects, ino)
	a.objects[ino] = s
	a.changes++
}

// signWrite is sign for a write: one that follows another of the same process to the
// same file at once is not worth a signature. Preconditions: f.io is held for writing.
func (f *fileNode) signWrite(by *process) {
	now := f.o.now()
	if by != nil && f.author == by && now-f.signedAt < int64(signEach) {
		return
	}
	f.author, f.signedAt = by, now
	f.o.sign(by, f.ino)
}

// signEach is how exact the time of a write is known.
const signEach = 100 * time.Millisecond

// signRemoval says that a process has taken a name away.
func (o *Overlay) signRemoval(by *process, dir uint64, name string) {
	a := &o.authors
	k, s := removal{dir, name}, signed{by, o.now()}
	a.mu.Lock()
	defer a.mu.Unlock()
	makeRoom(a.removed, k)
	a.removed[k] = s
	a.changes++
}

// makeRoom forgets some entry of a map that is full.
func makeRoom[K comparable](m map[K]signed, k K) {
	if _, there := m[k]; there || len(m) < maxAuthors {
		return
	}
	for old := range m {
		delete(m, old)
		return
	}
}

// Author returns who changed an object last; false when that is not known.
func (o *Overlay) Author(ino uint64) (Author, bool) {
	a := &o.authors
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.objects[ino]
	return s.author(), ok
}

// AuthorOfRemoval returns who took a name of the base away, by its slash path there.
func (o *Overlay) AuthorOfRemoval(p string) (Author, bool) {
	var st layer.Stat
	dir := path.Dir(p)
	if dir == "." {
		dir = ""
	}
	if o.statPath(dir, &st) != nil {
		return Author{}, false
	}
	o.mu.RLock()
	ino := o.root.ino
	if dir != "" {
		ino = o.number(st.Key, &st)
	}
	o.mu.RUnlock()
	a := &o.authors
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.removed[removal{ino, path.Base(p)}]
	return s.author(), ok
}

// author is s for others. Preconditions: authors.mu is held.
func (s signed) author() Author {
	a := Author{At: time.Unix(0, s.at)}
	if s.by != nil {
		a.PID, a.UID, a.Exe, a.Command = s.by.leader, s.by.uid, s.by.exe, s.by.command
	}
	return a
}

// Signature is an Author with what it is of, for keeping: an object, or with Name a
// name that was taken out of a directory.
type Signature struct {
	Ino  uint64
	Name []byte `json:",omitempty"`
	Author
}

// Signatures returns all that is still of a change, and forgets the rest.
func (o *Overlay) Signatures() (list []Signature) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	a := &o.authors
	a.mu.Lock()
	defer a.mu.Unlock()
	for ino, s := range a.objects {
		if _, x := o.rec(ino); x == nil {
			delete(a.objects, ino)
			continue
		}
		list = append(list, Signature{Ino: ino, Author: s.author()})
	}
	for k, s := range a.removed {
		if _, w := o.entry(k.dir, k.name); w != gone {
			delete(a.removed, k)
			continue
		}
		list = append(list, Signature{Ino: k.dir, Name: []byte(k.name), Author: s.author()})
	}
	return list
}

// SetSignatures takes back what Signatures returned of an earlier Overlay. It must
// come before the first change.
func (o *Overlay) SetSignatures(list []Signature) {
	a := &o.authors
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range list[:min(len(list), maxAuthors)] {
		x := signed{at: s.At.UnixNano()}
		if s.PID != 0 {
			x.by = &process{pid: s.PID, leader: s.PID, uid: s.UID, exe: s.Exe, command: s.Command}
		}
		if len(s.Name) == 0 {
			a.objects[s.Ino] = x
		} else {
			a.removed[removal{s.Ino, string(s.Name)}] = x
		}
	}
}

// Signed counts changes: it is another number after each.
func (o *Overlay) Signed() uint64 {
	a := &o.authors
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changes
}

// getBy answers for xattrBy.
func (n *node) getBy(dst []byte) (int, error) {
	n.o.mu.RLock()
	_, x := n.o.rec(n.ino)
	changed := x != nil && (x.Base == nil || x.Own&^meta.Dead != 0)
	n.o.mu.RUnlock()
	a, known := n.o.Author(n.ino)
	if !known || !changed {
		return 0, unix.ENODATA
	}
	return fit(dst, []byte(a.String()))
}

// by finds the process of a caller.
func (o *Overlay) by(c *tree.Caller) *process {
	if c == nil || c.PID == 0 {
		return nil
	}
	return o.authors.introduce(c.PID, c.UID)
}
