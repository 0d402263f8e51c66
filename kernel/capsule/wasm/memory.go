package wasm

import (
	"sync"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
)

// memory is the linear memory of one instance: address space that is reserved
// whole and costs only the pages that are touched. All of it goes back at once
// when the instance is closed; memory of Go's heap would be kept, and copied at
// each growth.
type memory struct {
	all  []byte
	size uint64 // in use
	once sync.Once
}

var (
	_ experimental.MemoryAllocator = (*memory)(nil)
	_ experimental.LinearMemory    = (*memory)(nil)
)

func reserve(pages uint32) (*memory, error) {
	all, err := unix.Mmap(-1, 0, int(pages)<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "reserve %d pages of memory for an instance", pages)
	}
	_ = unix.Madvise(all, unix.MADV_NOHUGEPAGE) // one touched byte would cost 2 MiB; without the call it does
	return &memory{all: all}, nil
}

// Allocate hands out itself: an instance has one memory.
func (m *memory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate returns nil when the memory cannot grow so far.
func (m *memory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	m.size = size
	return m.all[:size]
}

// Free gives it back; again, it does nothing. Nothing of the guest may run any
// more.
func (m *memory) Free() {
	m.once.Do(func() {
		if err := unix.Munmap(m.all); err != nil {
			panic("memory of an instance cannot be given back: " + err.Error())
		}
	})
}
