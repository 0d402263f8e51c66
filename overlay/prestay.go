package overlay

import (
	"path"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// dir binds the directory at a path, and those above it, and returns its number.
func (p *preserving) dir(at string) (uint64, error) {
	if at == "." {
		at = ""
	}
	if ino, ok := p.dirs[at]; ok {
		return ino, nil
	}
	up, err := p.dir(path.Dir(at))
	if err != nil {
		return 0, err
	}
	var st layer.Stat
	if err := p.o.statPath(at, &st); err != nil {
		return 0, err
	}
	ino, err := p.number(&st)
	if err != nil {
		return 0, err
	}
	p.dirs[at] = ino
	if _, _, dies := p.fate(at); !dies { // else it is copied, with its names
		p.enter(up, path.Base(at), ino, st.Mode&unix.S_IFMT)
		p.bindRec(at, ino, &st)
	}
	return ino, p.flush()
}

// bindRec records a base object that stays one.
func (p *preserving) bindRec(at string, ino uint64, st *layer.Stat) {
	p.tx.Put(p.stays(at, p.o.recOf(ino, st, &loc{})), nil)
}

// stays says of the record of what is at a path where in the base that will be.
func (p *preserving) stays(at string, x *meta.Rec) *meta.Rec {
	to, _, _ := p.fate(at)
	if _, itself := p.f.Goes[at]; itself {
		x.Own |= meta.Moved
	}
	x.Base.Path = to
	if x.Base.Key.Ino != x.Ino {
		p.tx.Alias(x.Base.Key, x.Ino)
	}
	return x
}

// leaves keeps what is at a path that something leaves.
func (p *preserving) leaves(at string) error {
	if _, _, dies := p.fate(path.Dir(at)); dies {
		return nil // it is copied with the directory that it is in
	}
	up, err := p.dir(path.Dir(at))
	if err != nil {
		return err
	}
	return p.object(up, at)
}

// object enters the object at a path into the directory up, copied when it leaves the
// workspace.
func (p *preserving) object(up uint64, at string) error {
	var st layer.Stat
	if err := p.o.statPath(at, &st); err != nil {
		return err
	}
	ino, err := p.number(&st)
	if err != nil {
		return err
	}
	p.enter(up, path.Base(at), ino, st.Mode&unix.S_IFMT)
	_, _, dies := p.fate(at)
	switch isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR; {
	case isDir && dies:
		p.dirs[at] = ino
		return p.copyDir(at, ino, &st)
	case isDir:
		if _, bound := p.dirs[at]; !bound {
			p.dirs[at] = ino
			p.bindRec(at, ino, &st)
		}
	case dies:
		return p.copy(at, ino, &st)
	default:
		p.bindRec(at, ino, &st)
	}
	return p.flush()
}

// changes keeps attributes of what is at a path, which stays in the workspace.
func (p *preserving) changes(at string, own uint8) error {
	if _, _, dies := p.fate(at); dies {
		return nil
	}
	var st layer.Stat
	if err := p.o.statPath(at, &st); err != nil {
		return err
	}
	ino, err := p.number(&st)
	if err != nil {
		return err
	}
	if err := p.bound(at, ino, &st); err != nil {
		return err
	}
	x, err := p.own(at, ino, &st)
	if err != nil {
		return err
	}
	x.Base = &meta.Base{Key: p.o.key(st.Key)}
	x.Own, x.Target, x.Nlink = own, "", int32(st.Nlink)
	if x.IsDir() {
		x.Nlink = 0
	}
	if own&meta.OwnXattrs == 0 {
		x.Xattrs = nil
	}
	p.tx.Put(p.stays(at, x), nil)
	return p.flush()
}

// bound makes sure that what is at a path has its name in the layer.
func (p *preserving) bound(at string, ino uint64, st *layer.Stat) error {
	_, itself := p.f.Goes[at]
	_, already := p.dirs[at]
	if itself || already {
		return nil
	}
	up, err := p.dir(path.Dir(at))
	if err != nil {
		return err
	}
	p.enter(up, path.Base(at), ino, st.Mode&unix.S_IFMT)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		p.dirs[at] = ino
	}
	return nil
}
