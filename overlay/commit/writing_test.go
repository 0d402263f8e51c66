package commit_test

import (
	"bytes"
	"sync"
	"testing"

	"astrid/fs/tree"
	"astrid/overlay"
	ot "astrid/overlay/overlaytest"
)

// TestWritersWhileRollingBack writes to a small and to a large file without pause while
// the view goes to and fro: no write lands in what a checkpoint shows, and none breaks
// the log.
func TestWritersWhileRollingBack(t *testing.T) {
	s := start(t)
	s.do(join(create("small", 1, 100), create("large", 2, 100_000), create("a/made", 3, 10))...)
	s.remember("one")
	s.do(join(write("small", 50), write("large", 90_000), write("file", 8))...)
	s.remember("two")
	want := map[string]ot.Image{"one": s.past("one"), "two": s.past("two")}
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for _, name := range []string{"small", "large", "file", "other"} {
		var e tree.Entry
		n, err := s.o.Root().Lookup(name, &e)
		must(t, err)
		defer n.Forget(1)
		writers.Go(func() {
			f, p := n.(tree.File), bytes.Repeat([]byte{'w'}, 80_000)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := f.WriteAt(&tree.Caller{}, p[:1+i*911%len(p)], 0, i%7 == 0, false); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				if i%5 == 0 {
					var a tree.Attr
					if err := f.Setattr(&tree.Caller{}, &tree.SetAttr{Valid: tree.SetSize, Size: uint64(i % 3 * 40_000)}, &a); err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
				}
			}
		})
	}
	for i := range 60 {
		_, err := s.o.Rollback([]string{"one", "two"}[i%2], overlay.Checkpoint{Auto: "rollback"})
		must(t, err)
		if i%10 == 9 {
			must(t, s.o.PruneCheckpoints(0))
		}
	}
	close(stop)
	writers.Wait()
	must(t, s.o.ReadOnly())
	for name, image := range want {
		if d := differ(image, s.past(name)); d != "" {
			t.Errorf("%s shows something else:\n%s", name, d)
		}
	}
}
