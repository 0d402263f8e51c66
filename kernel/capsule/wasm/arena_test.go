package wasm

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// An arena does what a map of blocks does.
func TestAnArenaIsAMapOfBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := arena{most: 1 << 10}
		live, offsets := map[uint64][]byte{}, []uint64{0, 1, 1 << 63, 1<<64 - 1}
		offset := func() uint64 {
			return rapid.SampledFrom(offsets).Draw(t, "offset") + rapid.SampledFrom([]uint64{0, 0, 0, 1, 7}).Draw(t, "plus")
		}
		t.Repeat(map[string]func(*rapid.T){
			"alloc": func(t *rapid.T) {
				n := rapid.SampledFrom([]uint64{0, 1, 8, 100, 1 << 10, 1<<10 + 1, 1<<64 - 1}).Draw(t, "n")
				at, b, err := a.alloc(n)
				if (err != nil) != (n > 1<<10) || uint64(len(b)) != n && err == nil || (at == 0) != (n == 0 || err != nil) {
					t.Fatalf("alloc(%d) = %d, %d bytes, %v", n, at, len(b), err)
				}
				if at != 0 {
					for other := range live {
						if at < other+uint64(len(live[other])) {
							t.Fatalf("%d is in or before the block at %d", at, other)
						}
					}
					for i := range b {
						b[i] = byte(at) + byte(i)
					}
					live[at], offsets = bytes.Clone(b), append(offsets, at)
				}
			},
			"free": func(*rapid.T) {
				at := offset()
				a.free(at)
				delete(live, at)
			},
			"reset": func(t *rapid.T) {
				if rapid.IntRange(0, 20).Draw(t, "once in") == 0 {
					a.reset()
					clear(live)
				}
			},
			"read": func(t *rapid.T) {
				at, n := offset(), rapid.SampledFrom([]uint64{1, 8, 100, 1 << 40, 1<<64 - 1}).Draw(t, "n")
				var want []byte
				for from, b := range live {
					if at >= from && at-from < uint64(len(b)) && n <= uint64(len(b))-(at-from) {
						want = b[at-from:][:n]
					}
				}
				if got, err := a.bytesAt(at, n); !bytes.Equal(got, want) || (err == nil) != (want != nil) {
					t.Fatalf("%d bytes at %d are %x, %v; want %x", n, at, got, err, want)
				}
			},
			"": func(t *rapid.T) {
				sum := 0
				for at, b := range live {
					if !bytes.Equal(a.block(at), b) {
						t.Fatalf("block %d is %x, want %x", at, a.block(at), b)
					}
					sum += len(b) + blockCost
				}
				if a.bytes != sum || len(a.blocks)-a.dead != len(live) {
					t.Fatalf("%d bytes in %d blocks, want %d in %d", a.bytes, len(a.blocks)-a.dead, sum, len(live))
				}
			},
		})
	})
}

func TestAFullArenaFailsOrForgets(t *testing.T) {
	const n = MaxArena/8 - blockCost
	a := arena{most: n}
	var offsets []uint64
	for range 8 {
		at, _, err := a.alloc(n)
		if err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, at)
	}
	if _, _, err := a.alloc(1); err == nil {
		t.Error("it is fuller than full")
	}
	a.forgetful = true
	a.free(offsets[2])
	for range 3 {
		if _, _, err := a.alloc(n); err != nil {
			t.Fatal(err)
		}
	}
	for i, at := range offsets {
		if there := a.block(at) != nil; there != (i > 2) {
			t.Errorf("block %d: %t", i, there)
		}
	}
	if a.bytes != MaxArena || len(a.blocks)-a.dead != 8 {
		t.Errorf("%d bytes, %d of %d blocks dead", a.bytes, a.dead, len(a.blocks))
	}
}
