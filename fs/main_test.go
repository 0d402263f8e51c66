package fs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/fs/fstest"
	"astrid/fs/mem"
	"astrid/fs/tree"
)

func TestMain(m *testing.M) {
	fstest.Main(m, fstest.Tasks{
		"serve":     serveTask,
		"stand":     standTask,
		"open":      openTask,
		"mount":     mountTask,
		"unmounted": notMountedTask,
		"dirty":     dirtyTask,
	})
}

// ready tells the parent that a task is where it shall be, and waits for its end.
func ready() error {
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// serveTask serves a tree of one file until it is killed.
func serveTask(args []string) error {
	s, err := fs.Mount(args[0], newMem(), fs.Options{FsName: "stale"})
	if err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	return s.Unmount(context.Background())
}

func standTask(args []string) error {
	if err := os.Chdir(args[0]); err != nil {
		return err
	}
	return ready()
}

func openTask(args []string) error {
	f, err := os.OpenFile(args[0], os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	return ready()
}

const (
	dirtyFiles = 1000
	dirtyBytes = 64 << 10
)

// dirtyTask dirties many mapped files and writes nothing back.
func dirtyTask(args []string) error {
	for i := range dirtyFiles {
		fd, err := unix.Open(fmt.Sprintf("%s/f%d", args[0], i), unix.O_CREAT|unix.O_RDWR, 0o644)
		if err != nil {
			return err
		}
		if err := unix.Ftruncate(fd, dirtyBytes); err != nil {
			return err
		}
		m, err := unix.Mmap(fd, 0, dirtyBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		unix.Close(fd)
		for j := range m {
			m[j] = 'D'
		}
	}
	return ready()
}

// mountTask mounts, uses and unmounts by way of a child, as a user would.
func mountTask(args []string) error {
	s, err := fs.Mount(args[0], mem.New(mem.Options{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}), fs.Options{})
	if err != nil {
		return err
	}
	out, err := exec.Command("/bin/sh", "-c", "echo hi > "+args[0]+"/f && cat "+args[0]+"/f").CombinedOutput()
	if err != nil || string(out) != "hi\n" {
		return fmt.Errorf("using it: %v %s", err, out)
	}
	hold := exec.Command("/bin/sh", "-c", "exec 3<"+args[0]+"/f; echo ready; read x")
	in, err := hold.StdinPipe()
	if err != nil {
		return err
	}
	said, err := hold.StdoutPipe()
	if err != nil {
		return err
	}
	if err := hold.Start(); err != nil {
		return err
	}
	if _, err := said.Read(make([]byte, 10)); err != nil {
		return err
	}
	var busy *fs.BusyError
	if err := s.Unmount(context.Background()); !errors.As(err, &busy) || !busy.Opened() {
		return fmt.Errorf("unmounting while it is in use: %v", err)
	}
	in.Close()
	_ = hold.Wait()
	return s.Unmount(context.Background())
}

// notMountedTask wants a mount to be refused with certain words.
func notMountedTask(args []string) error {
	err := fs.Preflight()
	if err == nil {
		_, err = fs.Mount(args[0], newMem(), fs.Options{AllowOther: len(args) > 2})
	}
	if err == nil || !strings.Contains(err.Error(), args[1]) {
		return fmt.Errorf("mounting says: %v", err)
	}
	return nil
}

// child is a task that runs until the test ends it.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// start runs a task and returns when it is ready.
func start(t testing.TB, cmd *exec.Cmd) *child {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Fatalf("task says %q, %v", line, err)
	}
	return &child{cmd, in}
}

// end lets a task finish.
func (c *child) end(t testing.TB) {
	t.Helper()
	c.in.Close()
	if err := c.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// kill ends a task at once.
func (c *child) kill(t testing.TB) {
	t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	_ = c.cmd.Wait()
	c.in.Close()
}

// eventually waits for something that the kernel does in its own time.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("it never happened: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newMem() *mem.Tree { return mem.New(mine(mem.Options{TTL: time.Hour})) }

// mine makes whoever runs the test the owner of the root.
func mine(o mem.Options) mem.Options {
	o.UID, o.GID = uint32(os.Getuid()), uint32(os.Getgid())
	return o
}

// reads returns a file's bytes, by plain system calls.
func reads(t *testing.T, path string) string {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	defer unix.Close(fd)
	var all strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, buf)
		if err != nil {
			t.Fatalf("read %s: %v", path, err)
		}
		if n == 0 {
			return all.String()
		}
		all.Write(buf[:n])
	}
}

// writes writes a string in one call to a file that exists, and returns the
// error of write(2) or else of close(2).
func writes(path, s string, flags int) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC|flags, 0o644)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte(s))
	return errors.Join(err, unix.Close(fd))
}

func statErr(path string) error {
	var st unix.Stat_t
	return unix.Lstat(path, &st)
}

// hooked is a tree whose root does odd things at odd names.
type hooked struct {
	*mem.Tree
	root   hookedDir
	statfs func() // called at each Statfs
}

type hookedDir struct {
	tree.Dir
	lookup func(name string) error // called before the lookup; its error is the answer
	write  atomic.Pointer[func()]  // called before a write to a file made here
}

func newHooked() *hooked {
	t := newMem()
	return &hooked{Tree: t, root: hookedDir{Dir: t.Root()}}
}

func (h *hooked) Root() tree.Dir { return &h.root }

func (h *hooked) Statfs(s *tree.Statfs) error {
	if h.statfs != nil {
		h.statfs()
	}
	return h.Tree.Statfs(s)
}

func (d *hookedDir) Lookup(name string, out *tree.Entry) (tree.Node, error) {
	if d.lookup != nil {
		if err := d.lookup(name); err != nil {
			return nil, err
		}
	}
	return d.Dir.Lookup(name, out)
}

func (d *hookedDir) Mknod(c *tree.Caller, name string, mode, rdev uint32, out *tree.Entry) (tree.Node, error) {
	n, err := d.Dir.Mknod(c, name, mode, rdev, out)
	if f, ok := n.(tree.File); ok {
		return &hookedFile{f, d}, err
	}
	return n, err
}

type hookedFile struct {
	tree.File
	dir *hookedDir
}

func (f *hookedFile) WriteAt(c *tree.Caller, p []byte, off int64, atEnd, kill bool) (int, error) {
	if hook := f.dir.write.Load(); hook != nil {
		(*hook)()
	}
	return f.File.WriteAt(c, p, off, atEnd, kill)
}
