package change

import (
	"slices"
	"strings"

	"astrid/fs/tree"
	"astrid/overlay"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// Op is the letter of a change.
type Op byte

// The letters, in the order of the package comment.
const (
	Added    Op = 'A'
	Modified Op = 'M'
	Deleted  Op = 'D'
	Renamed  Op = 'R'
	Typed    Op = 'T'
	Meta     Op = 'm'
	// Same is an object that the view owns and that equals the base's. It is
	// listed only with Options.Same.
	Same Op = '='
)

func (o Op) String() string { return string(rune(o)) }

// Root is the path of the root directory.
const Root = "."

// Change is one changed path.
type Change struct {
	Op   Op
	Path string // in the view; of a D where it would be
	From string // R: its path in the base

	Kind tree.Kind // of the view's object; of a D the base's
	Attr tree.Attr // of the view's object; zero of a D
	// Object is the view's; the zero value of a D.
	Object overlay.Object

	// BasePath is where the base object is that this one was compared with, and
	// Base what it is like now; "" and nil when there is none (A).
	BasePath string
	Base     *layer.Stat
	// Place is the path that this name has in the base as it is now: it differs
	// from Path below a moved directory and is "" in a directory that is new.
	Place string
	// Over is the base object that an R replaces.
	Over *layer.Stat

	// What differs from Base. All are true of an A and a T.
	Content, Perm, Times, Xattrs bool
	// Links says that the base has other names for one object than the view.
	Links bool

	// Link is another name of the same object, for which this one is an
	// additional name: a path of the view, listed or unchanged.
	Link string
	// Appeared says that the base has something at Place that the view has
	// never shown.
	Appeared bool
	// Vanished says that the base object is not at its place any more.
	Vanished bool
	// Barred says that something that no plan touches (a hidden path, a mount)
	// lies below the base directory which this change removes.
	Barred bool
	// Removed is a time, in ns since 1970, after which the view did not take away
	// what the base has at Place: what changed there later has not been seen. 0
	// when that is not known.
	Removed int64
	// Grave is what the view knew of it, or of the directory above in which it
	// was; nil when that is not known.
	Grave *meta.Grave

	// Inside is what a collapsed line stands for.
	Inside []Change
	Note   string
}

// IsDir tells whether the change is about a directory.
func (c *Change) IsDir() bool { return c.Kind == tree.KindDir }

// Arrives tells whether the change brings an object to a name where the base
// has none, or another one.
func (c *Change) Arrives() bool { return c.Op == Added || c.Op == Renamed || c.Op == Typed }

// Compare orders paths: a directory comes directly before what is in it.
func Compare(a, b string) int {
	if a == b {
		return 0
	}
	if a == Root || b == Root {
		if a == Root {
			return -1
		}
		return 1
	}
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return rank(a[i]) - rank(b[i])
		}
	}
	return len(a) - len(b)
}

// rank puts the slash before every other byte.
func rank(c byte) int {
	if c == '/' {
		return -1
	}
	return int(c)
}

func sortChanges(l []Change) {
	slices.SortStableFunc(l, func(a, b Change) int {
		if n := Compare(a.Path, b.Path); n != 0 {
			return n
		}
		return order(a.Op) - order(b.Op)
	})
}

// order puts what leaves a path before what arrives at it.
func order(o Op) int {
	if o == Deleted {
		return 0
	}
	return 1
}

// Join adds a name to a path.
func Join(dir, name string) string {
	if dir == Root {
		return name
	}
	return dir + "/" + name
}

// Parent returns the directory of a path; the root is its own.
func Parent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return Root
}

// Base returns the last element of a path.
func Base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// Below tells whether p is dir or lies below it.
func Below(p, dir string) bool {
	return dir == Root || p == dir || len(p) > len(dir) && p[len(dir)] == '/' && p[:len(dir)] == dir
}

// InGit tells whether a path is a .git directory or below one.
func InGit(p string) bool { return Repository(p) != "" }

// Repository returns the path of the first .git element in p, or "".
func Repository(p string) string {
	for i := 0; i < len(p); {
		end := strings.IndexByte(p[i:], '/')
		if end < 0 {
			end = len(p)
		} else {
			end += i
		}
		if strings.EqualFold(p[i:end], ".git") {
			return p[:end]
		}
		i = end + 1
	}
	return ""
}

// Origin is Object.Origin; false of a D, which has no object.
func (c *Change) Origin() (overlay.Origin, bool) {
	if c.Op == Deleted {
		return overlay.Origin{}, false
	}
	return c.Object.Origin()
}
