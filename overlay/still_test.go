package overlay_test

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/overlay"
)

// TestStillWhileWritersSaveByRename reads every file of a directory whose files
// are replaced all the time.
func TestStillWhileWritersSaveByRename(t *testing.T) {
	_, _, mnt, o := workspace(t, fs.Options{})
	const files = 20
	for i := range files {
		write(t, fmt.Sprintf("%s/d/%d", mnt, i), "first")
	}
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; !stop.Load() && err == nil; i++ {
			tmp := mnt + "/d/tmp"
			err = errors.Join(os.WriteFile(tmp, []byte("next"), 0o644), os.Rename(tmp, fmt.Sprintf("%s/d/%d", mnt, i%files)))
		}
		done <- err
	}()
	for range 50 {
		seen := 0
		err := o.Still(func(s *overlay.Snapshot) error {
			seen = 0
			d, ok, err := s.Root().Lookup("d")
			if err != nil || !ok {
				return errors.Join(err, unix.ENOENT)
			}
			for _, n := range d.Own() {
				c, err := n.Open()
				if err != nil {
					return err
				}
				seen++
				if err := c.Close(); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || seen < files {
			t.Errorf("%d files: %v", seen, err)
			break
		}
	}
	stop.Store(true)
	must(t, <-done)
}
