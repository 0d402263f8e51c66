package fs_test

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/fs/fstest"
	"astrid/fs/mem"
	"astrid/fs/tree"
)

// feed is a file whose reads wait for events.
type feed struct {
	events  chan string
	entered chan struct{}
	open    sync.WaitGroup
}

func (f *feed) Open(*tree.Caller, uint32) (tree.Handle, error) {
	f.open.Add(1)
	return (*feedHandle)(f), nil
}

type feedHandle feed

func (f *feedHandle) Read(ctx context.Context, p []byte, _ int64) (int, error) {
	f.entered <- struct{}{}
	select {
	case e := <-f.events:
		return copy(p, e), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (f *feedHandle) Write(context.Context, []byte, int64) (int, error) { return 0, syscall.EBADF }
func (f *feedHandle) Flush(context.Context) error                       { return nil }
func (f *feedHandle) Release()                                          { f.open.Done() }

func TestControlBlockingRead(t *testing.T) {
	f := &feed{events: make(chan string), entered: make(chan struct{}, 100)}
	dir, _ := control(t, map[string]mem.Item{
		"events.follow": mem.Func(f.Open),
		"version":       constant("v1\n"),
	})
	// Several followers wait, and the tree answers others all the same.
	const followers = 20
	var cats []*exec.Cmd
	for range followers {
		cmd := exec.Command("cat", dir+"/events.follow")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cats = append(cats, cmd)
		<-f.entered
	}
	if got := reads(t, dir+"/version"); got != "v1\n" {
		t.Errorf("reads %q", got)
	}
	f.events <- "one event\n"
	<-f.entered // it went back for the next
	for _, cmd := range cats {
		// SIGTERM makes the kernel interrupt the read.
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}
	for _, cmd := range cats {
		_ = cmd.Wait()
	}
	f.open.Wait() // every handle was released
}

// TestControlKilledReader kills a reader that waits.
func TestControlKilledReader(t *testing.T) {
	f := &feed{events: make(chan string), entered: make(chan struct{}, 1)}
	dir, _ := control(t, map[string]mem.Item{"events.follow": mem.Func(f.Open)})
	cmd := exec.Command("cat", dir+"/events.follow")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-f.entered
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	f.open.Wait()
}

// TestControlAbort breaks the connection under a reader that waits, as umount -f
// does: everything ends by itself.
func TestControlAbort(t *testing.T) {
	f := &feed{events: make(chan string), entered: make(chan struct{}, 1)}
	m := mem.New(mine(mem.Options{Fixed: true}))
	if err := m.Attach("events.follow", mem.Func(f.Open)); err != nil {
		t.Fatal(err)
	}
	s := fstest.Serve(t, m, fs.Options{Opens: true})
	cmd := exec.Command("cat", s.Dir()+"/events.follow")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-f.entered
	if err := unix.Unmount(s.Dir(), unix.MNT_FORCE); err != nil && err != unix.EBUSY && err != unix.EPERM {
		t.Fatal(err)
	} else if err == unix.EPERM {
		t.Log("only root may break a connection")
		_ = cmd.Process.Kill()
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the reader saw no error")
	}
	f.open.Wait()
	if os.Geteuid() == 0 {
		s.Wait()
	}
}
