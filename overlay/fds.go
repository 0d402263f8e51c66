package overlay

import (
	"container/list"
	"sync"

	"golang.org/x/sys/unix"
)

// fdKey names what a cached descriptor is open on: a base directory, the base
// file of a node, or a data file.
type fdKey struct {
	dir  *loc
	node uint64
	data uint64
}

// fdCache keeps a bounded number of descriptors open. A descriptor in use is
// never closed; when all are in use the bound is passed rather than a request
// refused. Its lock is innermost.
type fdCache struct {
	mu   sync.Mutex
	max  int
	m    map[fdKey]*fdEntry
	idle list.List // of *fdEntry with users 0, oldest first
	done bool
}

type fdEntry struct {
	key   fdKey
	fd    int
	users int
	stale bool // to be closed when the last user is done
	elem  *list.Element
	fixed bool // not the cache's: never closed by it
}

func (c *fdCache) init() {
	c.m = map[fdKey]*fdEntry{}
	c.max = 4096
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) == nil && lim.Cur < uint64(2*c.max) {
		c.max = max(int(lim.Cur/2), 8)
	}
}

// get returns a pinned entry, or nil.
func (c *fdCache) get(k fdKey) *fdEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.m[k]
	if e != nil {
		c.pin(e)
	}
	return e
}

func (c *fdCache) pin(e *fdEntry) {
	if e.elem != nil {
		c.idle.Remove(e.elem)
		e.elem = nil
	}
	e.users++
}

// add takes fd over under k and returns a pinned entry: that of an earlier fd,
// when somebody was faster (fd is closed then).
func (c *fdCache) add(k fdKey, fd int) *fdEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.m[k]; e != nil {
		unix.Close(fd)
		c.pin(e)
		return e
	}
	e := &fdEntry{key: k, fd: fd, users: 1}
	if c.done {
		e.stale = true
		return e
	}
	c.m[k] = e
	for len(c.m) > c.max && c.idle.Len() > 0 {
		c.remove(c.idle.Front().Value.(*fdEntry))
	}
	return e
}

// put ends a use.
func (c *fdCache) put(e *fdEntry) {
	if e.fixed {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e.users--
	if e.users > 0 {
		return
	}
	if e.stale {
		unix.Close(e.fd)
		return
	}
	e.elem = c.idle.PushBack(e)
}

// remove closes e, or has it closed by its last user. Preconditions: c.mu is held.
func (c *fdCache) remove(e *fdEntry) {
	delete(c.m, e.key)
	if e.elem != nil {
		c.idle.Remove(e.elem)
		e.elem = nil
	}
	if e.users == 0 {
		unix.Close(e.fd)
		return
	}
	e.stale = true
}

func (c *fdCache) drop(k fdKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.m[k]; e != nil {
		c.remove(e)
	}
}

// shrink closes every idle descriptor: the process has run out of them.
func (c *fdCache) shrink() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.idle.Len() > 0 {
		c.remove(c.idle.Front().Value.(*fdEntry))
	}
}

// DropCaches closes every descriptor that is only kept for speed.
func (o *Overlay) DropCaches() { o.fds.shrink() }

// dropBase closes everything but data files: places in the base have moved.
func (c *fdCache) dropBase() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, e := range c.m {
		if k.data == 0 {
			c.remove(e)
		}
	}
}

func (c *fdCache) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
	for _, e := range c.m {
		c.remove(e)
	}
}
