package fs

import (
	"sync"

	"astrid/fs/tree"
)

const tableShards = 64

// table maps the ids that the kernel knows to nodes and counts the references
// that the kernel holds, so that they can be given back when the mount ends.
type table struct {
	shards [tableShards]tableShard
	ledger *ledger
}

type tableShard struct {
	mu    sync.RWMutex
	nodes map[uint64]known
	_     [24]byte // a cache line each
}

type known struct {
	node tree.Node
	refs uint64
}

func (t *table) init(l *ledger) {
	t.ledger = l
	for i := range t.shards {
		t.shards[i].nodes = make(map[uint64]known)
	}
}

func (t *table) shard(id uint64) *tableShard {
	return &t.shards[(id*0x9e3779b97f4a7c15)>>58]
}

// add notes one more reference of the kernel to n; it takes over the one that
// the tree gave to the caller.
func (t *table) add(n tree.Node) uint64 {
	id := n.ID()
	s := t.shard(id)
	s.mu.Lock()
	s.nodes[id] = known{n, s.nodes[id].refs + 1}
	s.mu.Unlock()
	return id
}

// get returns the node with the id, or nil.
func (t *table) get(id uint64) tree.Node {
	s := t.shard(id)
	s.mu.RLock()
	n := s.nodes[id].node
	s.mu.RUnlock()
	return n
}

// forget gives n references back. The shard stays locked meanwhile: a lookup
// that revives the node either counted before, and then this was not the last
// reference, or adds it to the table after.
func (t *table) forget(id, n uint64) {
	s := t.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.nodes[id]
	if !ok {
		return
	}
	n = min(n, k.refs)
	k.refs -= n
	if k.node.Forget(n) || k.refs == 0 {
		delete(s.nodes, id)
		t.ledger.forget(id)
		return
	}
	s.nodes[id] = k
}

// clear gives all references back.
func (t *table) clear() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for _, k := range s.nodes {
			k.node.Forget(k.refs)
		}
		clear(s.nodes)
		s.mu.Unlock()
	}
}

// ids returns the ids known now.
func (t *table) ids() []uint64 {
	var all []uint64
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		for id := range s.nodes {
			all = append(all, id)
		}
		s.mu.RUnlock()
	}
	return all
}

// len is how many ids the kernel knows.
func (t *table) len() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		n += len(s.nodes)
		s.mu.RUnlock()
	}
	return n
}
