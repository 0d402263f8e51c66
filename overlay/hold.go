package overlay

import (
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"astrid/overlay/meta"
)

// hold lets a commit move things in the base without anybody in the view seeing
// it half done. A request waits for it with nothing but a fileNode.io locked.
type hold struct {
	mu  sync.RWMutex
	gen atomic.Uint64 // changes when a hold begins and when it ends
}

// Hold makes requests that do not find a base object where it should be wait
// until release is called, and look again then. A commit holds from its first
// visible step until Fold has returned. Requests that find what they look for
// are not delayed.
func (o *Overlay) Hold() (release func()) {
	o.keepUnlinked()
	o.hold.mu.Lock()
	pasts := o.openPasts()
	for _, v := range pasts {
		v.o.hold.mu.Lock()
	}
	o.hold.gen.Add(1)
	for _, v := range pasts {
		v.o.hold.gen.Add(1)
	}
	return sync.OnceFunc(func() {
		for _, v := range pasts {
			o.refresh(v)
			v.o.hold.gen.Add(1)
			v.o.hold.mu.Unlock()
		}
		o.hold.gen.Add(1)
		o.hold.mu.Unlock()
	})
}

// keepUnlinked gives content of their own to files of the base that have no name
// in the view any more and are open: a commit takes the base file away.
func (o *Overlay) keepUnlinked() {
	var files []*fileNode
	o.mu.RLock()
	o.nodes.each(func(n *node) {
		f, ok := n.self.(*fileNode)
		if _, x := o.rec(n.ino); ok && n.unlinked && (x == nil || asksBase(x) || x.Where == meta.Below) {
			n.refs++
			files = append(files, f)
		}
	})
	o.mu.RUnlock()
	for _, f := range files {
		f.io.Lock()
		err := f.makeOwn()
		f.io.Unlock()
		if err != nil {
			o.cfg.Log.Warn("an open file without a name is lost to a commit", "ino", f.ino, "err", err)
		}
		f.Forget(1)
	}
}

// again tells whether a request that began at generation gen and ended with err
// is to be tried again, because a commit was under way meanwhile. It waits for
// the end of that. Preconditions: no lock but a fileNode.io is
// held.
func (h *hold) again(gen uint64, err error) bool {
	if !errors.Is(err, unix.ESTALE) {
		return false
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.gen.Load() != gen
}

// retry runs fn until no commit got in its way.
func retry[T any](o *Overlay, fn func() (T, error)) (T, error) {
	for {
		gen := o.hold.gen.Load()
		v, err := fn()
		if !o.hold.again(gen, err) {
			return v, err
		}
	}
}
