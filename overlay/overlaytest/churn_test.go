package overlaytest

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	astridfs "astrid/fs"
	"astrid/overlay/check"
)

// partChurn makes, moves and removes names: its arguments are a directory, a number
// of operations and a seed.
const partChurn = "churn"

// TestEndureNames has several processes fight over the names of a few directories.
// Afterwards everything that is listed is there, and rm -rf removes it all.
func TestEndureNames(t *testing.T) { bothModes(t, endureNames) }

func endureNames(t *testing.T, mode string) {
	if err := astridfs.Preflight(); err != nil {
		t.Skipf("no FUSE mounts here: %v", err)
	}
	rounds, seed := endurance(t, 4)
	dice := rand.New(rand.NewPCG(seed, 2))
	root := t.TempDir()
	base, changes := filepath.Join(root, "base"), filepath.Join(root, "changes")
	for i := range 40 {
		dir := filepath.Join(base, churnName(i%10), churnName(i%7))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("f", i)), []byte("of the base"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before := census(t, base)
	for range rounds {
		m, err := newMounted(base, changes, filepath.Join(root, "mnt"), mode)
		if err != nil {
			t.Fatal(err)
		}
		all(t, workers, func(int) *exec.Cmd { return other(t, partChurn, m.mnt, 400, dice.Uint64()) })
		census(t, m.mnt)
		if dice.IntN(2) == 0 {
			removeAll(t, m.mnt)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		check.Test(t, changes)
		if t.Failed() {
			return
		}
	}
	if census(t, base) != before {
		t.Error("the base was changed")
	}
}

func churnName(i int) string { return string(rune('a' + i)) }

// census counts what is below a directory; everything that is listed must be there.
func census(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			_, err = d.Info()
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		n++
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

func removeAll(t *testing.T, dir string) {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-rf", "--"}
	for _, n := range names {
		args = append(args, filepath.Join(dir, n.Name()))
	}
	if out, err := exec.Command("rm", args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("rm -rf: %v: %s", err, out)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// raced are the errors of who comes second.
var raced = map[error]bool{
	nil: true, unix.ENOENT: true, unix.EEXIST: true, unix.ENOTEMPTY: true, unix.ENOTDIR: true,
	unix.EISDIR: true, unix.EINVAL: true, unix.ELOOP: true, unix.EPERM: true,
}

func churn() error {
	var dir string
	var n int
	var seed uint64
	if _, err := fmt.Sscan(os.Getenv(workEnv), &dir, &n, &seed); err != nil {
		return err
	}
	dice := rand.New(rand.NewPCG(seed, 3))
	place := func() string {
		p := dir
		for range 1 + dice.IntN(3) {
			p = filepath.Join(p, churnName(dice.IntN(10)))
		}
		return p
	}
	for range n {
		op, a, b := dice.IntN(9), place(), place()
		if err := churnOnce(op, a, b); !raced[err] {
			return fmt.Errorf("operation %d on %s and %s: %w", op, a, b, err)
		}
	}
	return nil
}

// churnOnce does one operation by plain system calls, whose errors are errnos.
func churnOnce(op int, a, b string) error {
	switch op {
	case 0, 1:
		return unix.Mkdir(a, 0o755)
	case 2:
		fd, err := unix.Open(a, unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		_, err = unix.Write(fd, []byte(a))
		return err
	case 3:
		return unix.Rename(a, b)
	case 4:
		return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	case 5:
		return unix.Unlink(a)
	case 6:
		return unix.Rmdir(a)
	case 7:
		return unix.Link(a, b)
	}
	return unix.Symlink(b, a)
}
