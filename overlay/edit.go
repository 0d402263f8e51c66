package overlay

import (
	"path"
)

// OnEdit has fn hear of every name of the base at which something was done, in the
// directories that are watched: a slash path, "." when the system dropped some and it
// can be any. Steps of a commit are among them. fn must not block and must not call
// the Overlay; nil ends it, but a last call may still be under way.
func (o *Overlay) OnEdit(fn func(path string)) {
	if fn == nil {
		o.onEdit.Store(nil)
		return
	}
	o.onEdit.Store(&fn)
}

// edited tells of a name in the directory at l.
func (o *Overlay) edited(l *loc, name string) {
	fn := o.onEdit.Load()
	if fn == nil {
		return
	}
	p := "."
	if l != nil {
		p = path.Join(l.path(), name)
	}
	if p == "" {
		p = "."
	}
	if o.Hidden(p) {
		return
	}
	(*fn)(p)
}
