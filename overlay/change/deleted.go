package change

import (
	"fmt"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
)

// vanish lists a base object that the view does not have, and all in it,
// except what the view has elsewhere.
func (l *lister) vanish(path, at string, lost loss) error {
	if l.survey.to[at] != "" || l.s.Hidden(at) {
		return nil
	}
	st, err := l.base.stat(at)
	if err != nil {
		return fmt.Errorf("look at %s: %w", Quote(at), err)
	}
	if st == nil {
		return nil
	}
	c := Change{
		Op: Deleted, Path: path, Kind: tree.Kind(st.Mode & tree.KindMask),
		BasePath: at, Place: at, Base: st, Content: true,
		Appeared: !lost.known, Removed: lost.when, Grave: lost.grave,
	}
	if !c.IsDir() {
		l.emit(c)
		return nil
	}
	c.Barred, err = l.bury(path, at, st, lost)
	l.emit(c)
	return err
}

// bury lists what is in a base directory that goes away as deleted. barred
// tells that something is in there that no plan may touch.
func (l *lister) bury(path, at string, st *layer.Stat, lost loss) (barred bool, err error) {
	if err := l.ctx.Err(); err != nil {
		return false, err
	}
	err = l.eachBase(at, func(name string) error {
		place := Join(at, name)
		if l.s.Hidden(place) {
			barred = true
			return nil
		}
		below, err := l.base.stat(place)
		if err != nil || below == nil {
			return err
		}
		if below.MountID != st.MountID {
			barred = true
			return nil
		}
		n := len(l.out)
		if err := l.vanish(Join(path, name), place, lost); err != nil {
			return err
		}
		for i := n; i < len(l.out); i++ {
			barred = barred || l.out[i].Barred
		}
		return nil
	})
	return barred, err
}

// buried lists what was in the base object that something of another kind, or a
// moved object, takes the place of.
func (l *lister) buried(at spot, over *layer.Stat, c *Change) (err error) {
	if over.Mode&unix.S_IFMT == unix.S_IFDIR {
		c.Barred, err = l.bury(at.path, at.place, over, at.loss)
	}
	return err
}

func (l *lister) eachBase(dir string, fn func(name string) error) error {
	names, err := l.base.names(dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", Quote(dir), err)
	}
	for _, name := range names {
		if err := fn(name); err != nil {
			return err
		}
	}
	return nil
}
