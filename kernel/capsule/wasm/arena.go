package wasm

import (
	"slices"

	"astrid/kernel/fault"
)

// What a block counts beside its bytes, and how far apart two are at least, so
// that an offset past the end of one is in none.
const (
	blockCost = 64
	blockGap  = 16
)

// arena is Extism's memory of one call: blocks of bytes outside the guest's own
// memory, known by the offset of their first byte. No offset is given twice, so
// that one of a block that was freed is never taken for another.
type arena struct {
	most      int // bytes of a block
	forgetful bool

	blocks []block // ascending
	dead   int     // of them, freed
	bytes  int     // held, each block with blockCost
	next   uint64  // offset
	last   int     // index of the block that was found last
}

type block struct {
	at   uint64
	data []byte // nil: freed
}

// alloc makes a block of n zeros; the offset of a block of nothing is 0. A
// forgetful arena that is full forgets its oldest blocks.
func (a *arena) alloc(n uint64) (uint64, []byte, error) {
	if n == 0 {
		return 0, nil, nil
	}
	if n > uint64(a.most) {
		return 0, nil, fault.New(fault.Limit, "memory allocation of %d bytes exceeds maximum allowed limit of %d bytes", n, a.most)
	}
	size := int(n) + blockCost
	for a.forgetful && a.bytes+size > MaxArena && len(a.blocks) > 0 {
		a.drop(0)
		a.blocks, a.dead = a.blocks[1:], a.dead-1
	}
	if a.bytes+size > MaxArena {
		return 0, nil, fault.New(fault.Limit, "a block of %d bytes is one too many: the blocks of a call may have %d bytes together, and %d are in use", n, MaxArena, a.bytes)
	}
	at := max(a.next, blockGap)
	data := make([]byte, n)
	a.blocks = append(a.blocks, block{at, data})
	a.bytes += size
	a.next = (at + n + 2*blockGap - 1) &^ (blockGap - 1)
	return at, data, nil
}

// put makes a block of a copy of data.
func (a *arena) put(data []byte) (uint64, error) {
	at, b, err := a.alloc(uint64(len(data)))
	copy(b, data)
	return at, err
}

// drop frees the block i.
func (a *arena) drop(i int) {
	b := &a.blocks[i]
	if b.data != nil {
		a.bytes -= len(b.data) + blockCost
		b.data = nil
		a.dead++
	}
}

// free frees the block at an offset; one that is no block's is ignored, as
// Extism does.
func (a *arena) free(at uint64) {
	if a.block(at) == nil {
		return
	}
	a.drop(a.last)
	if a.dead > 32 && a.dead > len(a.blocks)/2 {
		a.blocks = slices.DeleteFunc(a.blocks, func(b block) bool { return b.data == nil })
		a.dead = 0
	}
}

// reset frees all.
func (a *arena) reset() {
	a.blocks, a.dead, a.bytes = nil, 0, 0
}

// find returns the live block that holds the byte at an offset.
func (a *arena) find(at uint64) *block {
	if a.last >= len(a.blocks) || !a.blocks[a.last].holds(at) {
		i, exact := slices.BinarySearchFunc(a.blocks, at, func(b block, at uint64) int {
			switch {
			case b.at < at:
				return -1
			case b.at > at:
				return 1
			}
			return 0
		})
		if !exact {
			i--
		}
		if i < 0 || !a.blocks[i].holds(at) {
			return nil
		}
		a.last = i
	}
	return &a.blocks[a.last]
}

func (b *block) holds(at uint64) bool { return at >= b.at && at-b.at < uint64(len(b.data)) }

// block returns what is in the live block that begins at an offset, else nil.
func (a *arena) block(at uint64) []byte {
	if b := a.find(at); b != nil && b.at == at {
		return b.data
	}
	return nil
}

// bytesAt returns n bytes at an offset, all of one live block, else an error.
func (a *arena) bytesAt(at, n uint64) ([]byte, error) {
	if b := a.find(at); b != nil {
		if from := at - b.at; n <= uint64(len(b.data))-from {
			return b.data[from : from+n : from+n], nil
		}
	}
	return nil, fault.New(fault.Usage, "the guest names %d bytes at offset %d, which are in no block of its call", n, at)
}
