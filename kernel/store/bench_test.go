package store_test

import (
	"fmt"
	"testing"

	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
)

func BenchmarkSet(b *testing.B) {
	for name, c := range map[string]struct {
		sync    bool
		writers int
	}{"lazy": {false, 1}, "synced": {true, 1}, "synced by 64": {true, 32}} {
		b.Run(name, func(b *testing.B) {
			p := storetest.Space(b, storetest.Open(b, b.TempDir(), nil), "test", store.SpaceOptions{Sync: c.sync})
			value := pattern(100)
			b.SetParallelism(c.writers)
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if err := p.Set(fmt.Sprint(i%1000), value); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func BenchmarkGet(b *testing.B) {
	p := storetest.Space(b, storetest.Open(b, b.TempDir(), nil), "test", store.SpaceOptions{})
	fill(b, p, "", 1000)
	for i := 0; b.Loop(); i++ {
		if _, err := p.Get(fmt.Sprintf("%06d", i%1000)); err != nil {
			b.Error(err)
		}
	}
}
