package view

import (
	"context"
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
)

// lockPatience is how long a starting server waits for the lock: a kernel that
// probes holds it for an instant.
const lockPatience = 2 * time.Second

// takeLock takes the lock at path and writes this process's pid into it. The
// lock goes with the returned file.
func takeLock(ctx context.Context, path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flockPatiently(ctx, int(file.Fd())); err != nil {
		file.Close()
		return nil, err
	}
	if err := writePID(file); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func flockPatiently(ctx context.Context, fd int) error {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fault.New(fault.Busy, "another view server holds this session")
		}
	}
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}
