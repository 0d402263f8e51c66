package fstest

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

const hands = 8

// together runs f in several goroutines and reports their errors.
func together(t testing.TB, f func(i int) error) {
	t.Helper()
	var all sync.WaitGroup
	for i := range hands {
		all.Go(func() {
			if err := f(i); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func concurrentCreates(t *testing.T, dir string) {
	const each = 100
	var winners [each]sync.Map
	together(t, func(i int) error {
		for n := range each {
			own := fmt.Sprintf("%s/%d-%d", dir, i, n)
			if err := os.WriteFile(own, []byte(own), 0o644); err != nil {
				return err
			}
			// Everybody wants this one; exactly one may get it.
			fd, err := unix.Open(fmt.Sprintf("%s/shared-%d", dir, n), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
			if err == nil {
				winners[n].Store(i, true)
				unix.Close(fd)
			} else if err != unix.EEXIST {
				return err
			}
		}
		return nil
	})
	for n := range winners {
		count := 0
		winners[n].Range(func(any, any) bool { count++; return true })
		if count != 1 {
			t.Errorf("%d made shared-%d", count, n)
		}
	}
	names, err := os.ReadDir(dir)
	ok(t, err)
	if len(names) != hands*each+each {
		t.Errorf("lists %d names", len(names))
	}
	for i := range hands {
		own := fmt.Sprintf("%s/%d-%d", dir, i, each-1)
		holds(t, own, own)
	}
}

// concurrentRenames lets names fly: no file may be lost or doubled.
func concurrentRenames(t *testing.T, dir string) {
	for i := range hands {
		ok(t, os.Mkdir(fmt.Sprintf("%s/d%d", dir, i), 0o755))
		put(t, fmt.Sprintf("%s/d%d/f%d", dir, i, i), fmt.Sprint(i))
	}
	together(t, func(i int) error {
		at := i
		for n := range 150 {
			to := (at + 1 + n%(hands-1)) % hands
			from, dest := fmt.Sprintf("%s/d%d/f%d", dir, at, i), fmt.Sprintf("%s/d%d/f%d", dir, to, i)
			if err := unix.Rename(from, dest); err != nil {
				return fmt.Errorf("rename %s %s: %w", from, dest, err)
			}
			at = to
		}
		return nil
	})
	found := make(map[string]int)
	for i := range hands {
		names, err := os.ReadDir(fmt.Sprintf("%s/d%d", dir, i))
		ok(t, err)
		for _, n := range names {
			found[n.Name()]++
		}
	}
	for i := range hands {
		if name := fmt.Sprintf("f%d", i); found[name] != 1 {
			t.Errorf("%s is found %d times", name, found[name])
		}
	}
}

// concurrentFile lets everybody write a page of their own in one file.
func concurrentFile(t *testing.T, dir string) {
	path := dir + "/f"
	fd := open(t, path, unix.O_CREAT|unix.O_RDWR)
	together(t, func(i int) error {
		page := make([]byte, 4096)
		for n := range 50 {
			for j := range page {
				page[j] = byte(i + n)
			}
			if _, err := unix.Pwrite(fd, page, int64(i)*4096); err != nil {
				return err
			}
			back := make([]byte, 4096)
			if _, err := unix.Pread(fd, back, int64(i)*4096); err != nil {
				return err
			}
			if string(back) != string(page) {
				return fmt.Errorf("page %d reads other bytes than were written", i)
			}
		}
		return nil
	})
	if st := stat(t, path); st.Size != hands*4096 {
		t.Errorf("size is %d", st.Size)
	}
}
