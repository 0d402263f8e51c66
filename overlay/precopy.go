package overlay

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// own is the record of a copy, without content.
func (p *preserving) own(at string, ino uint64, st *layer.Stat) (*meta.Rec, error) {
	x := p.o.recOf(ino, st, &loc{})
	x.Base, x.HasHash, x.Nlink = nil, false, 1
	x.Own = meta.OwnPerm | meta.OwnTimes | meta.OwnXattrs | meta.OwnContent
	p.tx.Alias(p.o.key(st.Key), ino) // so that a checkpoint knows it again
	up, err := layer.OpenPath(p.o.base, path.Dir(at), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(up)
	if x.Xattrs, err = layer.Xattrs(up, path.Base(at)); err == unix.EOPNOTSUPP {
		err = nil
	}
	if err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
		x.Target, err = layer.Readlink(up, path.Base(at))
	}
	return x, err
}

func (p *preserving) copyDir(at string, ino uint64, st *layer.Stat) error {
	x, err := p.own(at, ino, st)
	if err != nil {
		return err
	}
	x.Nlink = 2
	here := p.o.locOf(&meta.Base{Path: at})
	defer p.o.fds.drop(fdKey{dir: here})
	var names []string
	err = p.o.baseNames(here, func(name string, _ uint64, kind uint32) bool {
		names = append(names, strings.Clone(name))
		return true
	})
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		var in layer.Stat
		child := path.Join(at, name)
		if err := p.o.statPath(child, &in); err != nil {
			return err
		}
		if in.Mode&unix.S_IFMT == unix.S_IFDIR {
			x.Nlink++
		}
		if err := p.object(ino, child); err != nil {
			return err
		}
	}
	p.tx.Put(x, nil)
	return p.flush()
}

// linked is a file with several names.
type linked struct {
	ino   uint64
	at    string // one that leaves
	st    layer.Stat
	names int // that leave
	stays string
	attrs bool // its attributes will be others
}

// copy keeps what is no directory.
func (p *preserving) copy(at string, ino uint64, st *layer.Stat) error {
	if st.Nlink <= 1 {
		return p.copyOne(at, ino, st, 1)
	}
	l := p.links[st.Key]
	if l == nil {
		l = &linked{ino: ino, at: at, st: *st}
		p.links[st.Key] = l
	}
	l.names++
	return nil
}

// others keeps the files with several names: one of which a name stays in the
// workspace is still the base's, by that.
func (p *preserving) others() error {
	for _, at := range p.f.Changes {
		var st layer.Stat
		if _, _, dies := p.fate(at); dies && p.o.statPath(at, &st) == nil && p.links[st.Key] != nil {
			p.links[st.Key].attrs = true
		}
	}
	wanted := map[layer.Key]*linked{}
	for k, l := range p.links {
		if l.names < int(l.st.Nlink) {
			wanted[k] = l
		}
	}
	if len(wanted) > 0 {
		if err := p.search("", wanted); err != nil {
			return err
		}
	}
	for _, l := range p.links {
		if l.stays != "" {
			if err := p.stillThere(l); err != nil {
				return err
			}
		} else if err := p.copyOne(l.at, l.ino, &l.st, l.names); err != nil {
			return err
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
	return nil
}

// stillThere keeps a file of which another name stays.
func (p *preserving) stillThere(l *linked) error {
	x, err := p.own(l.at, l.ino, &l.st)
	if err != nil {
		return err
	}
	to, _, _ := p.fate(l.stays)
	x.Base, x.Nlink, x.Target = &meta.Base{Path: to, Key: p.o.key(l.st.Key)}, int32(l.st.Nlink), ""
	if x.Own = 0; l.attrs {
		x.Own = meta.OwnPerm | meta.OwnTimes | meta.OwnXattrs
	} else {
		x.Xattrs = nil
	}
	p.tx.Put(x, nil)
	return nil
}

// search looks for names that stay, in a directory and below.
func (p *preserving) search(dir string, wanted map[layer.Key]*linked) error {
	at := p.o.locOf(&meta.Base{Path: dir})
	defer p.o.fds.drop(fdKey{dir: at})
	inodes := map[uint64]bool{}
	for k := range wanted {
		inodes[k.Ino] = true
	}
	var dirs, files []string
	err := p.o.baseNames(at, func(name string, ino uint64, kind uint32) bool {
		switch child := path.Join(dir, name); {
		case kind == unix.S_IFDIR:
			dirs = append(dirs, child)
		case inodes[ino]:
			files = append(files, child)
		}
		return true
	})
	if absent(err) != nil {
		return err
	}
	for _, f := range files {
		var st layer.Stat
		if _, _, dies := p.fate(f); dies || p.o.statPath(f, &st) != nil {
			continue
		}
		if l := wanted[st.Key]; l != nil {
			l.stays = f
			delete(wanted, st.Key)
		}
	}
	for _, d := range dirs {
		if len(wanted) == 0 {
			break
		}
		if err := p.search(d, wanted); err != nil {
			return err
		}
	}
	return nil
}

// copyOne keeps a copy of a file that leaves under so many names.
func (p *preserving) copyOne(at string, ino uint64, st *layer.Stat, names int) error {
	x, err := p.own(at, ino, st)
	if err != nil {
		return err
	}
	x.Nlink = int32(names)
	var content []byte
	if x.Kind == unix.S_IFREG {
		if content, err = p.content(at, x, st.Size); err != nil {
			return err
		}
	}
	p.tx.Put(x, content)
	return p.flush()
}

func (p *preserving) content(at string, x *meta.Rec, size int64) (content []byte, err error) {
	fd, err := layer.OpenPath(p.o.base, at, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if size <= meta.MaxInline {
		content = make([]byte, size)
		n, err := pread(fd, content, 0)
		x.Where, x.Size = meta.Inline, int64(n)
		return content[:n], err
	}
	id, dst, err := p.o.createData()
	if err != nil {
		return nil, err
	}
	defer unix.Close(dst)
	p.data = append(p.data, id)
	x.Where, x.DataID, x.Epoch = meta.Data, id, 1
	if err := layer.Copy(dst, fd, size); err != nil {
		return nil, err
	}
	return nil, layer.Utimes(dst, x.Atime, x.Mtime)
}
