package overlay

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/layer"
)

// watcher hears of edits in the base, in the directories that somebody looked
// into, and publishes them. Its lock is taken before none but o.nodes.mu.
type watcher struct {
	o       *Overlay
	w       *layer.Watcher // nil: the system has none to give
	limited atomic.Bool

	mu   sync.Mutex
	dirs map[int32]*dirNode

	done chan struct{}
}

const watchQueue = 4096

func newWatcher(o *Overlay) (*watcher, error) {
	inotify, err := layer.NewWatcher(watchQueue)
	if err != nil {
		o.cfg.Log.Warn("edits in the base are seen within a second only", "err", err)
		return noWatcher(o), nil
	}
	w := &watcher{o: o, w: inotify, dirs: map[int32]*dirNode{}, done: make(chan struct{})}
	go w.run()
	return w, nil
}

// noWatcher hears of nothing.
func noWatcher(o *Overlay) *watcher {
	w := &watcher{o: o, dirs: map[int32]*dirNode{}, done: make(chan struct{})}
	w.limited.Store(true)
	close(w.done)
	return w
}

func (w *watcher) close() {
	if w.w != nil {
		w.w.Close()
	}
	<-w.done
}

// add watches the base directory of d, at l. It must come before the directory
// is read, so that no edit falls between the two.
func (w *watcher) add(d *dirNode, l *loc) {
	if l.wd.Load() != 0 || w == nil || w.w == nil {
		return
	}
	fd, err := w.o.dirfd(l)
	if err != nil {
		return
	}
	defer w.o.fds.put(fd)
	w.mu.Lock()
	defer w.mu.Unlock()
	wd, err := w.w.Add(fd.fd)
	if err != nil {
		l.wd.Store(-1)
		if !w.limited.Swap(true) {
			w.o.cfg.Log.Warn("edits in the base are seen within a second only in some directories", "err", err)
		}
		return
	}
	w.dirs[wd] = d
	l.wd.Store(wd)
}

// remove ends the watch of a directory that nobody knows any more.
func (w *watcher) remove(d *dirNode) {
	l := d.loc.Load()
	if w == nil || w.w == nil || l == nil || l.wd.Load() <= 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	wd := l.wd.Load()
	if wd > 0 && w.dirs[wd] == d {
		delete(w.dirs, wd)
		l.wd.Store(0)
		_ = w.w.Remove(wd)
	}
}

// watched tells whether edits of the names in the directory at l are heard of.
func (l *loc) watched() bool { return l != nil && l.wd.Load() > 0 }

// covers tells whether we hear of it when the attributes of n, a base object at
// l, change: by the watch of the directory it is in and, if it is a directory,
// by its own.
func (w *watcher) covers(n *node, l *loc) bool {
	if l.up != nil && !l.up.watched() {
		return false
	}
	return n.kind != unix.S_IFDIR || l.watched()
}

// Watched tells whether every edit in the base is heard of at once; otherwise
// some are seen within a second.
func (o *Overlay) Watched() bool { return !o.watch.limited.Load() }

func (w *watcher) run() {
	defer close(w.done)
	for ev := range w.w.Events() {
		w.handle(ev)
	}
}

func (w *watcher) handle(ev layer.Event) {
	if ev.WD == layer.Overflow {
		w.o.baseUnknown()
		w.o.edited(nil, "")
		return
	}
	w.mu.Lock()
	d := w.dirs[ev.WD]
	if d != nil && ev.Mask&unix.IN_IGNORED != 0 {
		delete(w.dirs, ev.WD)
		if l := d.loc.Load(); l != nil {
			l.wd.CompareAndSwap(ev.WD, 0)
		}
	}
	w.mu.Unlock()
	if d != nil && ev.Mask&unix.IN_IGNORED == 0 {
		w.o.edited(d.loc.Load(), ev.Name)
	}
	switch {
	case d == nil:
	case ev.Name == "":
		w.o.publish(tree.Change{Kind: tree.ContentChanged, ID: d.id})
	case ev.Mask&(unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVED_FROM|unix.IN_MOVED_TO) != 0:
		d.baseEntryChanged(ev.Name)
	default:
		d.baseObjectChanged(ev.Name)
	}
}

// baseUnknown is for when events were lost: everything is to be read again.
func (o *Overlay) baseUnknown() {
	o.mu.Lock()
	o.nodes.each(func(n *node) {
		if d, ok := n.self.(*dirNode); ok && d.list != nil {
			d.list.stale = true
		}
	})
	o.mu.Unlock()
	o.publish(tree.Change{Kind: tree.EverythingChanged})
}

// each calls fn for every live node. fn must not take locks.
func (t *table) each(fn func(*node)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.m {
		fn(n)
	}
}

// baseEntryChanged says that a name of the base came, went or means another object.
func (d *dirNode) baseEntryChanged(name string) {
	o := d.o
	o.mu.Lock()
	e, w := o.entry(d.ino, name)
	if d.list != nil {
		d.list.stale = true
	}
	o.mu.Unlock()
	switch w {
	case below:
		o.publish(tree.Change{Kind: tree.EntryChanged, ID: d.id, Name: name})
	case own:
		o.baseReplaced(e.Ino)
	}
	o.publish(tree.Change{Kind: tree.ContentChanged, ID: d.id})
}

// baseReplaced says that the base may have another object now where the one lies
// that ino stands for.
func (o *Overlay) baseReplaced(ino uint64) {
	n := o.nodes.get(ino)
	if n == nil {
		return
	}
	o.fds.drop(fdKey{node: n.id})
	if l := n.loc.Load(); l != nil {
		o.fds.drop(fdKey{dir: l})
		l.wd.Store(0)
	}
	o.publish(tree.Change{Kind: tree.ContentChanged, ID: n.id})
}

// baseObjectChanged says that the object under a name of the base was written
// to, or its attributes changed.
func (d *dirNode) baseObjectChanged(name string) {
	o := d.o
	at := d.loc.Load()
	if at == nil || o.nodes.get(d.ino) != &d.node {
		return
	}
	fd, err := o.dirfd(at)
	if err != nil {
		return
	}
	defer o.fds.put(fd)
	var st layer.Stat
	if layer.Statx(fd.fd, name, &st) != nil {
		return
	}
	o.mu.RLock()
	n := o.nodes.get(o.number(st.Key, &st))
	o.mu.RUnlock()
	if n != nil {
		o.publish(tree.Change{Kind: tree.ContentChanged, ID: n.id})
	}
}
