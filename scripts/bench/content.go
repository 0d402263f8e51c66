package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"golang.org/x/sys/unix"
)

// Rows about content.

const (
	blockSize   = 128 << 10
	appends     = 50000
	randomSize  = 64 << 20
	randomTimes = 20000
)

// with opens a file for the time of a function.
func with(path string, flags int, do func(fd int) error) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	return errors.Join(do(fd), unix.Close(fd))
}

// drain reads to the end.
func drain(fd int, buf []byte) error {
	for {
		n, err := unix.Read(fd, buf)
		if n <= 0 {
			return err
		}
	}
}

func readAll(_ context.Context, s *scene) error {
	buf := make([]byte, blockSize)
	for _, f := range s.files[:min(readFiles, len(s.files))] {
		if err := with(s.path(f), unix.O_RDONLY, func(fd int) error { return drain(fd, buf) }); err != nil {
			return err
		}
	}
	return nil
}

func readBig(_ context.Context, s *scene) error {
	buf := make([]byte, blockSize)
	return with(s.path("bench", "big.bin"), unix.O_RDONLY, func(fd int) error { return drain(fd, buf) })
}

func copyUp(_ context.Context, s *scene) error {
	for i := range smallFiles {
		if err := with(s.path("bench", "small", fmt.Sprintf("%04d", i)), unix.O_WRONLY|unix.O_APPEND, writeOne); err != nil {
			return err
		}
	}
	return nil
}

func writeOne(fd int) error {
	_, err := unix.Write(fd, []byte{'x'})
	return err
}

func writeByte(_ context.Context, s *scene) error {
	return with(s.path("bench", "big.bin"), unix.O_WRONLY, writeOne)
}

func writeBig(_ context.Context, s *scene) error {
	return with(s.path("bench", "made", "written"), unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, func(fd int) error {
		return errors.Join(writeBlocks(fd, s.opt.big<<20), unix.Fsync(fd))
	})
}

func writeBlocks(fd, size int) error {
	buf := make([]byte, blockSize)
	for range size / blockSize {
		if _, err := unix.Write(fd, buf); err != nil {
			return err
		}
	}
	return nil
}

func appendLines(_ context.Context, s *scene) error {
	line := make([]byte, 100)
	return with(s.path("bench", "made", "log"), unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND, func(fd int) error {
		for range appends {
			if _, err := unix.Write(fd, line); err != nil {
				return err
			}
		}
		return nil
	})
}

// randomFile makes the file that writeRandom writes into.
func randomFile(ctx context.Context, s *scene) error {
	if err := forget("made", "random")(ctx, s); err != nil {
		return err
	}
	return with(s.path("bench", "made", "random"), unix.O_WRONLY|unix.O_CREAT, func(fd int) error {
		return writeBlocks(fd, randomSize)
	})
}

func writeRandom(_ context.Context, s *scene) error {
	buf := make([]byte, 4<<10)
	dice := rand.New(rand.NewPCG(1, 2))
	return with(s.path("bench", "made", "random"), unix.O_WRONLY, func(fd int) error {
		for range randomTimes {
			if _, err := unix.Pwrite(fd, buf, dice.Int64N(randomSize/int64(len(buf)))*int64(len(buf))); err != nil {
				return err
			}
		}
		return nil
	})
}
