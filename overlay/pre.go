package overlay

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// What an operation replaces in the base is kept for the checkpoints, which are not
// to see it: as a layer of its own that lies directly above the base for them (see
// meta.CreatePre). What leaves the base is copied, so that it is nobody else's.

// Fate says what an operation is about to do to the base.
type Fate struct {
	// Goes is what leaves its path, with all below it that is not named itself: to the
	// path that it has in the end, or "" when that is not in the workspace.
	Goes map[string]string
	// Comes is what will be at a path in the end that something has come to.
	Comes map[string]layer.Fingerprint
	// Inside is what will be below the directories among those, by path.
	Inside map[string]layer.Fingerprint
	// Changes are paths of now whose attributes will be others; Times are directories
	// of which that is only the time.
	Changes, Times []string
}

// Preserve keeps what operation n is about to replace, if there is a checkpoint that
// shows it. It counts when Folded has reached n, and is durable on return.
func (o *Overlay) Preserve(n uint64, f Fate) error {
	if err := meta.RemovePre(o.dir, n); err != nil || len(o.Checkpoints()) == 0 {
		return err
	}
	if err := o.preserve(n, f); err != nil {
		err = errors.Join(err, o.Spare(n))
		return fmt.Errorf("keep for the checkpoints what operation %d replaces: %w", n, err)
	}
	return nil
}

// Spare forgets what was kept of an operation that has not come to be.
func (o *Overlay) Spare(n uint64) error {
	l, err := meta.LoadPre(o.dir, n)
	if err != nil { // none, or none that is whole
		return meta.RemovePre(o.dir, n)
	}
	named := map[uint64]bool{}
	meta.NamedBy([]*meta.Layer{l}, named)
	l.Close()
	if err := meta.RemovePre(o.dir, n); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.removeNamed(named)
}

func (o *Overlay) preserve(n uint64, f Fate) error {
	l, err := meta.CreatePre(o.dir, n)
	if err != nil {
		return err
	}
	defer l.Close()
	p := &preserving{o: o, f: f, to: l, links: map[layer.Key]*linked{}, dirs: map[string]uint64{}, cameFrom: map[string]string{}}
	if err := p.run(); err != nil {
		for _, id := range p.data {
			o.removeData(id)
		}
		return err
	}
	// Records that go back to a checkpoint will name these data files.
	o.gate.Lock()
	o.mu.Lock()
	err = o.seal()
	o.mu.Unlock()
	o.gate.Unlock()
	if err != nil {
		return err
	}
	if err := l.Trim(); err != nil {
		return err
	}
	if err := o.Syncfs(); err != nil {
		return err
	}
	return meta.KeepPre(o.dir, n)
}

// preserving is one Preserve under way. Paths are those of the base as it is, before
// the operation.
type preserving struct {
	o     *Overlay
	f     Fate
	to    *meta.Layer
	tx    meta.Tx
	links map[layer.Key]*linked // files with several names of which one leaves the workspace
	dirs  map[string]uint64     // directories that are bound: path to number
	// cameFrom is the inverse of f.Goes.
	cameFrom map[string]string
	data     []uint64 // data files that were made
}

func (p *preserving) run() error {
	for from, to := range p.f.Goes {
		if to != "" {
			p.tx.Moved(from, to)
			p.cameFrom[to] = from
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.dirs[""] = p.o.root.ino
	var root layer.Stat
	if err := p.o.statPath("", &root); err != nil {
		return err
	}
	p.bindRec("", p.o.root.ino, &root)
	for _, from := range slices.Sorted(maps.Keys(p.f.Goes)) {
		if err := p.leaves(from); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
	}
	if err := p.others(); err != nil {
		return err
	}
	for at, is := range p.f.Comes {
		if err := p.comes(at, is); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	for _, at := range p.f.Times {
		if err := p.changes(at, meta.OwnTimes); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	for _, at := range p.f.Changes {
		if err := p.changes(at, meta.OwnPerm|meta.OwnTimes|meta.OwnXattrs); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	p.o.mu.RLock()
	p.tx.Next(p.o.nextIno, p.o.nextDat, p.o.birth)
	p.o.mu.RUnlock()
	if err := p.to.Commit(&p.tx); err != nil {
		return err
	}
	return p.to.Sync()
}

// flush keeps records small.
func (p *preserving) flush() error {
	const batch = 256 << 10
	if p.tx.Len() < batch {
		return nil
	}
	defer p.tx.Reset()
	return p.to.Commit(&p.tx)
}

// fate is where what is at a path goes: dies tells that it leaves the workspace.
func (p *preserving) fate(at string) (to string, moved, dies bool) {
	for q := at; q != "" && q != "."; q = path.Dir(q) {
		if to, ok := p.f.Goes[q]; ok {
			if to == "" {
				return "", true, true
			}
			return to + strings.TrimPrefix(at, q), true, false
		}
	}
	return at, false, false
}

// number returns the number that the view calls a base object by.
func (p *preserving) number(st *layer.Stat) (uint64, error) {
	p.o.mu.Lock()
	defer p.o.mu.Unlock()
	key := p.o.key(st.Key)
	ino := p.o.number(st.Key, st)
	if p.o.settled(ino, key) {
		return ino, nil
	}
	return p.o.settle(key)
}

func (p *preserving) enter(dir uint64, name string, ino uint64, kind uint32) {
	p.o.mu.Lock()
	birth := p.o.birth
	p.o.birth++
	p.o.mu.Unlock()
	p.tx.Enter(dir, name, meta.Entry{Ino: ino, Kind: kind, Birth: birth})
}

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

// comes hides what will be at a path of the base after the operation.
func (p *preserving) comes(at string, is layer.Fingerprint) error {
	up, there := p.before(path.Dir(at))
	if !there {
		return nil // the directory is new, too
	}
	dir, err := p.dir(up)
	if err != nil {
		return err
	}
	g, err := p.grave(at, is)
	if err != nil {
		return err
	}
	p.tx.Bury(dir, path.Base(at), g)
	return p.flush()
}

// grave is what is known of something that will be at a path.
func (p *preserving) grave(at string, is layer.Fingerprint) (*meta.Grave, error) {
	is.Key, is.Ctime = p.o.key(is.Key), 0
	if from, moved := p.before(at); moved && is.Mode&unix.S_IFMT == unix.S_IFDIR {
		at := p.o.locOf(&meta.Base{Path: from})
		return p.o.graveBelow(at)
	}
	g := &meta.Grave{Finger: is}
	if is.Mode&unix.S_IFMT != unix.S_IFDIR {
		return g, nil
	}
	for in, f := range p.f.Inside {
		if strings.HasPrefix(in, at+"/") {
			f.Key, f.Ctime = p.o.key(f.Key), 0
			g.Add(&meta.Grave{Finger: f})
		}
	}
	g.Order()
	return g, nil
}

// before is the path of now of what will be at a path of the base; false for what is
// not there now.
func (p *preserving) before(at string) (string, bool) {
	if at == "." || at == "" {
		return "", true
	}
	for q := at; q != "."; q = path.Dir(q) {
		if from, ok := p.cameFrom[q]; ok {
			return from + strings.TrimPrefix(at, q), true
		}
		if _, fresh := p.f.Comes[q]; fresh {
			return "", false
		}
	}
	return at, true
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
