package overlay

import (
	"slices"
	"sort"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
)

// listing is the merged listing of a directory, in order of cookie. A name
// keeps its cookie while it is there; a new one gets the next. So a reader who
// comes back with a cookie goes on where he was, whatever came and went.
// The methods work on a nil listing and do nothing. Guarded by o.mu.
type listing struct {
	all   []*item
	names map[string]*item
	next  uint64
	dead  int
	stale bool // the base has changed: read it again
}

type item struct {
	cookie uint64
	name   string
	ino    uint64 // 0: gone
	kind   uint32
}

func (l *listing) add(name string, ino uint64, kind uint32) {
	if l == nil {
		return
	}
	if it := l.names[name]; it != nil {
		it.ino, it.kind = ino, kind
		return
	}
	it := &item{cookie: l.next, name: name, ino: ino, kind: kind}
	l.next++
	l.names[name] = it
	l.all = append(l.all, it)
}

func (l *listing) remove(name string) {
	if l == nil {
		return
	}
	it := l.names[name]
	if it == nil {
		return
	}
	it.ino = 0
	delete(l.names, name)
	if l.dead++; l.dead > 64 && l.dead > len(l.all)/2 {
		l.all = slices.DeleteFunc(l.all, func(it *item) bool { return it.ino == 0 })
		l.dead = 0
	}
}

// burst is how many entries are taken from a listing at a time.
const burst = 128

// ReadDir calls emit for each entry after a cookie.
func (d *dirNode) ReadDir(after uint64, plus bool, emit func(*tree.DirEntry) bool) error {
	if _, err := retry(d.o, func() (struct{}, error) { return struct{}{}, d.load(after == 0) }); err != nil {
		return err
	}
	var items [burst]item
	for {
		n := d.take(after, items[:])
		for i := range items[:n] {
			if !d.emit(&items[i], plus, emit) {
				return nil
			}
			after = items[i].cookie
		}
		if n < burst {
			return nil
		}
	}
}

// take copies entries after a cookie.
func (d *dirNode) take(after uint64, items []item) int {
	d.o.mu.RLock()
	defer d.o.mu.RUnlock()
	if d.list == nil || d.unlinked {
		return 0
	}
	all := d.list.all
	i := sort.Search(len(all), func(i int) bool { return all[i].cookie > after })
	n := 0
	for ; i < len(all) && n < len(items); i++ {
		if all[i].ino != 0 {
			items[n] = *all[i]
			n++
		}
	}
	return n
}

// emit hands one entry on; false when the receiver has enough.
func (d *dirNode) emit(it *item, plus bool, emit func(*tree.DirEntry) bool) bool {
	e := tree.DirEntry{Name: it.name, Ino: it.ino, Kind: tree.Kind(it.kind), Cookie: it.cookie}
	if !plus {
		return emit(&e)
	}
	n, err := d.Lookup(it.name, &e.Entry)
	if err == nil {
		e.Node, e.Ino, e.Kind = n, e.Entry.Ino, e.Entry.Kind()
	}
	ok := emit(&e)
	if !ok && e.Node != nil {
		e.Node.Forget(1)
	}
	return ok
}

// DotInos returns the numbers of "." and "..".
func (d *dirNode) DotInos() (self, parent uint64) {
	d.o.nodes.mu.Lock()
	defer d.o.nodes.mu.Unlock()
	if d.id == 1 {
		return d.ino, d.ino
	}
	return d.ino, d.up
}

var _ tree.Dots = (*dirNode)(nil)

// load makes the listing when there is none, or when it may be out of date and
// a reader begins.
func (d *dirNode) load(begin bool) error {
	o := d.o
	for {
		o.mu.RLock()
		ver, l, unlinked := d.ver, d.list, d.unlinked
		at := d.loc.Load()
		fresh := l != nil && !(begin && (l.stale || at != nil && !at.watched()))
		o.mu.RUnlock()
		if fresh || unlinked {
			return nil
		}
		base, err := d.readBase()
		if err != nil {
			return err
		}
		if done := d.install(ver, base); done {
			return nil
		}
	}
}

type baseEntry struct {
	name string
	ino  uint64
	kind uint32
}

// readBase lists the base directory.
func (d *dirNode) readBase() ([]baseEntry, error) {
	at := d.loc.Load()
	if at == nil {
		return nil, nil
	}
	d.o.watch.add(d, at)
	var all []baseEntry
	err := d.o.baseNames(at, func(name string, ino uint64, kind uint32) bool {
		all = append(all, baseEntry{name, ino, kind})
		return true
	})
	return all, absent(err)
}

// install merges what the base has with what the layers say; false when d has
// changed since ver.
func (d *dirNode) install(ver uint64, base []baseEntry) bool {
	o := d.o
	o.mu.Lock()
	defer o.mu.Unlock()
	if d.ver != ver {
		return false
	}
	l := d.list
	if l == nil {
		l = &listing{names: map[string]*item{}, next: 1}
	}
	l.stale = false
	seen := make(map[string]bool, len(base))
	for _, b := range base {
		if _, w := o.entry(d.ino, b.name); w != below {
			continue
		}
		seen[b.name] = true
		l.add(b.name, o.listedIno(d, b), b.kind)
	}
	owned := ownNames(o.stack, d.ino)
	births := make([]string, 0, len(owned))
	for name := range owned {
		seen[name] = true
		births = append(births, name)
	}
	slices.SortFunc(births, func(a, b string) int { return int(owned[a].Birth) - int(owned[b].Birth) })
	for _, name := range births {
		l.add(name, owned[name].Ino, owned[name].Kind)
	}
	for _, it := range slices.Clone(l.all) {
		if it.ino != 0 && !seen[it.name] {
			l.remove(it.name)
		}
	}
	d.list = l
	return true
}

// listedIno is the number under which a base entry is listed; it must be the one
// that Lookup will find. d_ino alone does not tell a mount point or a number
// that was given away, so those are looked at.
func (o *Overlay) listedIno(d *dirNode, b baseEntry) uint64 {
	suspicious := b.kind == unix.S_IFDIR || b.kind == 0 || o.nodes.get(b.ino) != nil || len(o.aliases) > 0
	if !suspicious {
		if _, x := o.rec(b.ino); x == nil {
			return b.ino
		}
	}
	f, err := d.find(b.name)
	if err != nil {
		return b.ino
	}
	return f.ino
}
