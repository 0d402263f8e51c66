package fs_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/fs/fstest"
)

// away serves a tree in another process, as a view server does, and returns
// where.
func away(b *testing.B) string {
	b.Helper()
	fstest.Need(b)
	dir := filepath.Join(b.TempDir(), "m")
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	cmd := fstest.Command("serve", dir)
	cmd.Env = append(cmd.Env, "GOMAXPROCS=1", "GOGC=400")
	c := start(b, cmd)
	b.Cleanup(func() {
		c.end(b)
		if left, err := fs.Mounts(dir); err != nil || len(left) > 0 {
			b.Errorf("mounts left: %v, %v", left, err)
		}
	})
	return dir
}

func BenchmarkAppend100(b *testing.B) {
	dir := away(b)
	fd, err := unix.Open(dir+"/f", unix.O_CREAT|unix.O_WRONLY|unix.O_APPEND|unix.O_CLOEXEC, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fd)
	line := make([]byte, 100)
	for b.Loop() {
		if _, err := unix.Write(fd, line); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreateUnlink1K(b *testing.B) {
	dir := away(b)
	data := make([]byte, 1024)
	n := 0
	for b.Loop() {
		n++
		name := dir + "/f" + strconv.Itoa(n)
		fd, err := unix.Open(name, unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := unix.Write(fd, data); err != nil {
			b.Fatal(err)
		}
		unix.Close(fd)
		if n%2 == 0 {
			if err := unix.Unlink(name); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkOpenReadCloseWarm(b *testing.B) {
	dir := away(b)
	if err := writes(dir+"/f", "some bytes", unix.O_CREAT); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 100)
	for b.Loop() {
		fd, err := unix.Open(dir+"/f", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := unix.Read(fd, buf); err != nil {
			b.Fatal(err)
		}
		unix.Close(fd)
	}
}

func BenchmarkStatfs(b *testing.B) {
	dir := away(b)
	var st unix.Statfs_t
	for b.Loop() {
		if err := unix.Statfs(dir, &st); err != nil {
			b.Fatal(err)
		}
	}
}
