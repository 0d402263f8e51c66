package store_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
)

func TestValuesExpireByTheGivenClock(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	s := storetest.Open(t, dir, c.Now)
	p := storetest.Space(t, s, "test", store.SpaceOptions{})
	wantKind(t, p.SetTTL("k", nil, 0), fault.Usage, "use a positive time")
	for _, key := range []string{"a", "b", "c"} {
		if err := p.SetTTL(key, []byte("v"), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	set(t, p, "b", "stays")
	if err := p.SetTTL("z", nil, math.MaxInt64); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, p, "z", "z")
	if _, err := p.Delete("z"); err != nil {
		t.Fatal(err)
	}
	if err := p.SetTTL("c", []byte("longer"), time.Hour); err != nil {
		t.Fatal(err)
	}
	c.advance(time.Minute - 1)
	wantKeys(t, p, "", "a b c")
	c.advance(1)
	wantKeys(t, p, "", "b c")
	_, err := p.Get("a")
	wantKind(t, err, fault.NotFound, "")
	if existed, err := p.Delete("a"); existed || err != nil {
		t.Errorf("deleted an expired key: %v, %v", existed, err)
	}
	storetest.Close(t, s)
	s = storetest.Open(t, dir, c.Now)
	p = storetest.Space(t, s, "test", store.SpaceOptions{})
	wantKeys(t, p, "", "b c")
	c.advance(time.Hour)
	wantKeys(t, p, "", "b")
	if swapped, err := p.CompareAndSwap("c", nil, []byte("anew")); !swapped || err != nil {
		t.Errorf("%v, %v", swapped, err)
	}
	wantUsage(t, p, int64(len("bstayscanew")))
}

func TestTheQuotaIsExact(t *testing.T) {
	c, dir := newClock(), t.TempDir()
	s := storetest.Open(t, dir, c.Now)
	o := store.SpaceOptions{Quota: 10}
	p := storetest.Space(t, s, "test", o)
	set(t, p, "k", "123456789")
	wantUsage(t, p, 10)
	wantKind(t, p.Set("k", []byte("1234567890")), fault.NoSpace, "holds 10 bytes and may hold 10")
	wantKind(t, p.Set("l", nil), fault.NoSpace, "")
	wantValue(t, p, "k", "123456789")
	set(t, p, "k", "1234")
	set(t, p, "l", "5678")
	storetest.Close(t, s)

	s = storetest.Open(t, dir, c.Now)
	p = storetest.Space(t, s, "test", o)
	wantUsage(t, p, 10)
	wantKind(t, p.Set("m", nil), fault.NoSpace, "")
	if err := p.SetTTL("l", []byte("5678"), time.Second); err != nil {
		t.Fatal(err)
	}
	c.advance(time.Second)
	set(t, p, "mm", "111") // what is past its time makes room
	wantKeys(t, p, "", "k mm")
	set(t, storetest.Space(t, s, "test", store.SpaceOptions{Quota: store.Unlimited}), "big", "no quota of its own")
}

func TestQuotaHammer(t *testing.T) {
	s, _ := fresh(t)
	const quota = 2000
	p := storetest.Space(t, s, "small", store.SpaceOptions{Quota: quota})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 60 {
				key := fmt.Sprint((w*7 + i) % 25)
				err := p.Set(key, pattern((w*31+i*17)%200))
				if err != nil && !fault.Is(err, fault.NoSpace) {
					t.Error(err)
				}
				if i%9 == 0 {
					if _, err := p.Delete(key); err != nil {
						t.Error(err)
					}
				}
				if n, err := p.Usage(); err != nil || n > quota {
					t.Errorf("the usage is %d, %v", n, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestTheStoreStopsGrowingBeforeTheDiskIsFull(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=88m"); err != nil {
		t.Skip("needs a disk of its own:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	s := storetest.Open(t, filepath.Join(disk, "db"), nil)
	p := storetest.Space(t, s, "test", store.SpaceOptions{})
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = p.Set(fmt.Sprint(n), pattern(1<<20))
	}
	wantKind(t, err, fault.NoSpace, "make room")
	if n < 5 {
		t.Errorf("refused number %d", n)
	}
	if existed, err := p.Delete("0"); !existed || err != nil {
		t.Errorf("delete: %v, %v", existed, err)
	}
	wantValue(t, p, "1", string(pattern(1<<20)))
}

func TestWithoutADescriptorLeftWritesAreSyncedAllTheSame(t *testing.T) {
	s := storetest.Open(t, t.TempDir(), nil)
	p := storetest.Space(t, s, "test", store.SpaceOptions{Sync: true})
	set(t, p, "before", "a")
	withoutDescriptors(t, func() {
		set(t, p, "meanwhile", "b")
		if err := s.Sync(); err != nil {
			t.Error(err)
		}
	})
	set(t, p, "after", "c")
	wantKeys(t, p, "", "after before meanwhile")
}

// withoutDescriptors runs fn while this process can open no file.
func withoutDescriptors(t *testing.T, fn func()) {
	t.Helper()
	var usual unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: usual.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &usual); err != nil {
			t.Error(err)
		}
	}()
	if f, err := os.Open(os.DevNull); err == nil {
		_ = f.Close()
		t.Error("there is a descriptor left")
	}
	fn()
}

func TestValuesAtTheBoundAndOnePastIt(t *testing.T) {
	dir := t.TempDir()
	s := storetest.Open(t, dir, nil)
	p := storetest.Space(t, s, "test", store.SpaceOptions{})
	for _, n := range []int{0, 1, 4095, 4096, 4097, 1 << 20, store.MaxValue} {
		if err := p.Set(strconv.Itoa(n), pattern(n)); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	wantKind(t, p.Set("big", pattern(store.MaxValue+1)), fault.Limit, "the limit is 10485760")
	storetest.Close(t, s)
	s = storetest.Open(t, dir, nil)
	p = storetest.Space(t, s, "test", store.SpaceOptions{})
	for _, n := range []int{0, 1, 4095, 4096, 4097, 1 << 20, store.MaxValue} {
		if got, err := p.Get(strconv.Itoa(n)); err != nil || !bytes.Equal(got, pattern(n)) {
			t.Errorf("%d bytes came back as %d, %v", n, len(got), err)
		}
	}
}
