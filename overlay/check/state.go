package check

import (
	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// view is the sum of the layers from the deepest up to some point.
type view struct {
	recs    map[uint64]*meta.Rec // in force
	own     map[uint64]map[string]meta.Entry
	dead    map[uint64]bool
	aliases map[layer.Key]uint64
	orphans int
}

func newView() *view {
	return &view{
		recs: map[uint64]*meta.Rec{}, own: map[uint64]map[string]meta.Entry{},
		dead: map[uint64]bool{}, aliases: map[layer.Key]uint64{},
	}
}

// add puts one more layer on top.
func (v *view) add(c *checker, l *meta.Layer) {
	for ino, x := range l.Recs {
		if x.Own&meta.Dead != 0 {
			delete(v.recs, ino)
			delete(v.own, ino)
			v.dead[ino] = true
			continue
		}
		v.recs[ino] = x
		delete(v.dead, ino)
	}
	for k, ino := range l.Aliases {
		v.aliases[k] = ino
	}
	for dir, d := range l.Dirs {
		own := v.own[dir]
		if own == nil {
			own = map[string]meta.Entry{}
			v.own[dir] = own
		}
		opaque := v.recs[dir] != nil && v.recs[dir].Base == nil
		for name := range d.Gone {
			if _, ok := own[name]; !ok && opaque {
				c.find("layer %d: directory %d was made in the view, and %q is said to be gone of what lies below it, where there is nothing", l.Epoch, dir, name)
			}
			delete(own, name)
		}
		for name, e := range d.Own {
			own[name] = e
		}
	}
}

// place is one name of an object.
type place struct {
	dir  uint64
	name string
}

// state checks what the layers say together.
func (c *checker) state(v *view) {
	names := map[uint64][]place{}
	subdirs := map[uint64]int32{}
	for dir, own := range v.own {
		c.directory(v, dir, own)
		for name, e := range own {
			names[e.Ino] = append(names[e.Ino], place{dir, name})
			if e.Kind == unix.S_IFDIR {
				subdirs[dir]++
			}
		}
	}
	v.orphans = 0
	byAlias := map[uint64]layer.Key{}
	for k, ino := range v.aliases {
		byAlias[ino] = k
	}
	for ino, x := range v.recs {
		c.links(v, x, names[ino], subdirs[ino])
		k, aliased := byAlias[ino]
		c.alias(x, k, aliased)
	}
	c.cycles(v, names)
}

// alias checks that an object goes by the number that it was given.
func (c *checker) alias(x *meta.Rec, k layer.Key, aliased bool) {
	switch {
	case aliased && x.Base == nil:
		c.find("object %d was made in the view, and its number is also that of the base object %v", x.Ino, k)
	case aliased && !k.Same(x.Base.Key):
		c.find("object %d stands for the base object %v, and its number was given to %v", x.Ino, x.Base.Key, k)
	case !aliased && x.Base != nil && x.Base.Key.Dev == 0 && x.Base.Key.Ino != x.Ino:
		c.find("object %d stands for the base object %v, which was never given that number", x.Ino, x.Base.Key)
	}
}

// directory checks the entries that the layers give a directory.
func (c *checker) directory(v *view, dir uint64, own map[string]meta.Entry) {
	if len(own) == 0 {
		return
	}
	switch x := v.recs[dir]; {
	case v.dead[dir], x == nil && dir&meta.OwnBit != 0 && !v.aliased(dir):
		c.find("directory %d is not there and has %d names", dir, len(own))
	case x != nil && x.Kind != unix.S_IFDIR:
		c.find("object %d is no directory and has %d names", dir, len(own))
	}
	births := map[uint64]string{}
	for name, e := range own {
		x := v.recs[e.Ino]
		switch {
		case x == nil:
			c.find("%q of directory %d is object %d, of which there is no record", name, dir, e.Ino)
		case x.Kind != e.Kind:
			c.find("%q of directory %d is of kind %o, and object %d is of kind %o", name, dir, e.Kind, e.Ino, x.Kind)
		}
		if other, ok := births[e.Birth]; ok {
			c.find("%q and %q of directory %d have the same birth %d", min(name, other), max(name, other), dir, e.Birth)
		}
		births[e.Birth] = name
	}
}

func (v *view) aliased(ino uint64) bool {
	for _, n := range v.aliases {
		if n == ino {
			return true
		}
	}
	return false
}

// links checks the link count of an object against its names.
func (c *checker) links(v *view, x *meta.Rec, names []place, subdirs int32) {
	n := int32(len(names))
	switch {
	case x.Kind == unix.S_IFDIR && n > 1:
		c.find("directory %d has %d names", x.Ino, n)
	case x.Kind == unix.S_IFDIR && x.Base != nil:
	case x.Kind == unix.S_IFDIR:
		if n == 0 {
			c.find("directory %d was made in the view and has no name", x.Ino)
		}
		if x.Nlink != 2+subdirs {
			c.find("directory %d has %d directories in it and a link count of %d", x.Ino, subdirs, x.Nlink)
		}
	case x.Base == nil && n != x.Nlink:
		c.find("object %d has %d names and a link count of %d", x.Ino, n, x.Nlink)
	case n > x.Nlink:
		c.find("object %d of the base has %d names in the layers alone and a link count of %d", x.Ino, n, x.Nlink)
	}
	if x.Kind != unix.S_IFDIR && x.Nlink == 0 {
		v.orphans++
	}
}

// cycles checks that every directory with a name of the layers hangs, in the
// end, on one that has none.
func (c *checker) cycles(v *view, names map[uint64][]place) {
	good := map[uint64]bool{}
	for ino, x := range v.recs {
		if x.Kind != unix.S_IFDIR {
			continue
		}
		var way []uint64
		on := map[uint64]bool{}
		for at := ino; !good[at]; {
			if on[at] {
				c.find("directory %d lies in itself", at)
				break
			}
			on[at] = true
			way = append(way, at)
			if len(names[at]) == 0 {
				break
			}
			at = names[at][0].dir
		}
		for _, at := range way {
			good[at] = true
		}
	}
}
