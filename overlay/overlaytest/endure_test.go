package overlaytest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/overlay/check"
)

// roundsEnv is how many rounds the tests of endurance have, seedEnv what repeats one.
const (
	roundsEnv = "ASTRID_ENDURE"
	seedEnv   = "ASTRID_ENDURE_SEED"
)

// endurance returns rounds and seed, and says the latter.
func endurance(t *testing.T, rounds int) (int, uint64) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	for env, set := range map[string]func(uint64){
		roundsEnv: func(n uint64) { rounds = int(n) }, seedEnv: func(n uint64) { seed = n },
	} {
		if s := os.Getenv(env); s != "" {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				t.Fatalf("%s=%q is no number", env, s)
			}
			set(n)
		}
	}
	t.Logf("%d rounds; %s=%d repeats them", rounds, seedEnv, seed)
	return rounds, seed
}

// The workers of one file, and how much of it each has.
const (
	workers = 4
	stripe  = 300_000
	turns   = 60 // operations of a worker in a round
)

// partWork is a worker: its arguments are a view's file, a plain one, a number and
// a seed.
const partWork = "work"

// workEnv holds the arguments of a part that is no driver.
const workEnv = "ASTRID_OVERLAYTEST_WORK"

// other starts this binary for a part.
func other(t *testing.T, part string, args ...any) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = childEnviron(part, "", "", workEnv+"="+strings.TrimSpace(fmt.Sprintln(args...)))
	return cmd
}

// all runs a part in several processes at once, each with its own seed.
func all(t *testing.T, n int, part func(i int) *exec.Cmd) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		cmd := part(i)
		wg.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("process %d: %v: %s", i, err, bytes.TrimSpace(out))
			}
		})
	}
	wg.Wait()
}

// TestEndureFile has several processes change their parts of one file by every way
// there is, in a view and in a plain file, while it is copied up, frozen and cut.
func TestEndureFile(t *testing.T) { bothModes(t, endureFile) }

func bothModes(t *testing.T, test func(t *testing.T, mode string)) {
	t.Run("writethrough", func(t *testing.T) { test(t, "") })
	t.Run("writeback", func(t *testing.T) { test(t, writeback) })
}

func endureFile(t *testing.T, mode string) {
	if err := fs.Preflight(); err != nil {
		t.Skipf("no FUSE mounts here: %v", err)
	}
	rounds, seed := endurance(t, 8)
	dice := rand.New(rand.NewPCG(seed, 0))
	root := t.TempDir()
	base, plain := filepath.Join(root, "base"), filepath.Join(root, "plain")
	content := make([]byte, workers*stripe)
	for i := range content {
		content[i] = byte(dice.Uint32())
	}
	for _, err := range []error{os.Mkdir(base, 0o755), os.WriteFile(base+"/f", content, 0o644), os.WriteFile(plain, content, 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	changes := filepath.Join(root, "changes")
	m, err := newMounted(base, changes, filepath.Join(root, "mnt"), mode)
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	defer func() {
		if !closed {
			m.kill()
		}
	}()
	for round := range rounds {
		all(t, workers, func(i int) *exec.Cmd { return other(t, partWork, m.mnt+"/f", plain, i, dice.Uint64()) })
		sameBytes(t, m.mnt+"/f", plain)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
		between(t, m, dice, plain)
	}
	closed = true
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	check.Test(t, changes)
	if was, err := os.ReadFile(base + "/f"); err != nil || !bytes.Equal(was, content) {
		t.Errorf("the base was changed: %v", err)
	}
}

// between does what nobody may do to a file that others map: it cuts or extends it,
// and freezes, thaws or mounts the view anew.
func between(t *testing.T, m *mounted, dice *rand.Rand, plain string) {
	t.Helper()
	size := dice.Int64N(workers * stripe)
	if dice.IntN(3) == 0 {
		size = dice.Int64N(100) // and so into the log
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	switch dice.IntN(4) {
	case 0:
		must(m.tell("freeze"))
	case 1:
		must(m.tell("thaw"))
	case 2:
		must(m.Close())
		must(m.start())
	case 3:
		m.kill() // what is closed is safe
		must(m.start())
	}
	if dice.IntN(2) == 0 {
		must(os.Truncate(m.mnt+"/f", size))
		must(os.Truncate(plain, size))
	}
	sameBytes(t, m.mnt+"/f", plain)
}

func sameBytes(t *testing.T, view, plain string) {
	t.Helper()
	a, err := os.ReadFile(view)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("the view's file has %d bytes, the plain one %d; they differ at %d", len(a), len(b), differ(a, b))
	}
}

func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// worker changes one stripe of two files alike.
type worker struct {
	dice   *rand.Rand
	fds    [2]int
	lo, hi int64
}

func work() error {
	var view, plain string
	var number int
	var seed uint64
	if _, err := fmt.Sscan(os.Getenv(workEnv), &view, &plain, &number, &seed); err != nil {
		return err
	}
	w := &worker{dice: rand.New(rand.NewPCG(seed, 1)), lo: int64(number) * stripe, hi: int64(number+1) * stripe}
	for i, path := range []string{view, plain} {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		w.fds[i] = fd
	}
	for turn := range turns {
		if err := w.turn(); err != nil {
			return fmt.Errorf("turn %d: %w", turn, err)
		}
	}
	if err := w.compare(w.lo, w.hi); err != nil {
		return err
	}
	return errors.Join(unix.Close(w.fds[0]), unix.Close(w.fds[1]))
}

// span is a part of the stripe.
func (w *worker) span() (off, n int64) {
	off = w.lo + w.dice.Int64N(stripe-1)
	most := min(w.hi-off, 1<<uint(w.dice.IntN(18)))
	return off, 1 + w.dice.Int64N(most)
}

// within tells whether both files reach to end; they only grow while workers work.
func (w *worker) within(end int64) bool {
	for _, fd := range w.fds {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) != nil || st.Size < end {
			return false
		}
	}
	return true
}

func (w *worker) turn() error {
	off, n := w.span()
	switch w.dice.IntN(9) {
	case 0, 1, 2:
		data := w.bytes(n)
		return w.both(func(fd int) error { return writeFully(fd, data, off) })
	case 3:
		return w.mapped(off, n)
	case 4:
		return w.both(func(fd int) error {
			return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
		})
	case 5:
		return w.both(func(fd int) error { return unix.Fallocate(fd, 0, off, n) })
	case 6:
		return w.copied(off, n)
	case 7:
		return w.both(func(fd int) error { return unix.Fdatasync(fd) })
	}
	return w.compare(off, off+n)
}

func (w *worker) bytes(n int64) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.dice.Uint32())
	}
	return b
}

func (w *worker) both(do func(fd int) error) error {
	for _, fd := range w.fds {
		if err := do(fd); err != nil {
			return err
		}
	}
	return nil
}

func writeFully(fd int, p []byte, off int64) error {
	for len(p) > 0 {
		n, err := unix.Pwrite(fd, p, off)
		if err != nil && err != unix.EINTR {
			return err
		}
		p, off = p[max(n, 0):], off+int64(max(n, 0))
	}
	return nil
}

// mapped writes through a shared mapping.
func (w *worker) mapped(off, n int64) error {
	if !w.within(off + n) {
		return nil
	}
	data, page := w.bytes(n), off&^4095
	return w.both(func(fd int) error {
		m, err := unix.Mmap(fd, page, int(off+n-page), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		copy(m[off-page:], data)
		return unix.Munmap(m)
	})
}

// copied copies within the stripe.
func (w *worker) copied(off, n int64) error {
	to, room := w.span()
	n = min(n, room)
	if off < to+n && to < off+n || !w.within(off+n) || !w.within(to+n) {
		return nil
	}
	return w.both(func(fd int) error {
		for from, at, left := off, to, n; left > 0; {
			m, err := unix.CopyFileRange(fd, &from, fd, &at, int(left), 0)
			if err != nil || m == 0 {
				return errors.Join(err, fmt.Errorf("%d bytes were not copied", left))
			}
			left -= int64(m)
		}
		return nil
	})
}

// compare reads a part of both files.
func (w *worker) compare(lo, hi int64) error {
	if !w.within(hi) {
		return nil
	}
	a, b := make([]byte, hi-lo), make([]byte, hi-lo)
	if err := errors.Join(readFully(w.fds[0], a, lo), readFully(w.fds[1], b, lo)); err != nil {
		return err
	}
	if !bytes.Equal(a, b) {
		return fmt.Errorf("from %d to %d: the files differ at %d", lo, hi, lo+int64(differ(a, b)))
	}
	return nil
}

func readFully(fd int, p []byte, off int64) error {
	for len(p) > 0 {
		n, err := unix.Pread(fd, p, off)
		if err != nil && err != unix.EINTR {
			return err
		}
		if n == 0 {
			return fmt.Errorf("the file ends at %d", off)
		}
		p, off = p[max(n, 0):], off+int64(max(n, 0))
	}
	return nil
}
