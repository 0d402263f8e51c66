package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Rows about names and attributes.

const (
	manyFiles = 10000
	manyDirs  = 2000
)

func statAll(_ context.Context, s *scene) error {
	var st unix.Stat_t
	for _, f := range s.files {
		if err := unix.Lstat(s.path(f), &st); err != nil {
			return fmt.Errorf("lstat %s: %w", f, err)
		}
	}
	return nil
}

// forget removes what an earlier row left at bench/parts, and makes the
// directory above.
func forget(parts ...string) func(context.Context, *scene) error {
	return func(ctx context.Context, s *scene) error {
		return errors.Join(os.RemoveAll(s.path(append([]string{"bench"}, parts...)...)), made(ctx, s))
	}
}

// made makes the directory in which rows make things.
func made(_ context.Context, s *scene) error { return os.MkdirAll(s.path("bench", "made"), 0o755) }

// many is the path of one of many files, of the generation a or b.
func many(s *scene, generation string, i int) string {
	return s.path("bench", "made", fmt.Sprintf("%s%05d", generation, i))
}

func create(_ context.Context, s *scene) error { return createMany(s, "a") }

func createMany(s *scene, generation string) error {
	data := make([]byte, 1<<10)
	for i := range manyFiles {
		fd, err := unix.Open(many(s, generation, i), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return err
		}
		_, err = unix.Write(fd, data)
		if err := errors.Join(err, unix.Close(fd)); err != nil {
			return err
		}
	}
	return nil
}

// filled makes many files of a generation, unless an earlier row left them.
func filled(generation string) func(context.Context, *scene) error {
	return func(ctx context.Context, s *scene) error {
		if err := made(ctx, s); err != nil {
			return err
		}
		_, err := os.Lstat(many(s, generation, 0))
		if errors.Is(err, fs.ErrNotExist) {
			return createMany(s, generation)
		}
		return err
	}
}

func rename(_ context.Context, s *scene) error {
	for i := range manyFiles {
		if err := unix.Rename(many(s, "a", i), many(s, "b", i)); err != nil {
			return err
		}
	}
	return nil
}

func unlink(_ context.Context, s *scene) error {
	for i := range manyFiles {
		if err := unix.Unlink(many(s, "b", i)); err != nil {
			return err
		}
	}
	return nil
}

func directories(_ context.Context, s *scene) error {
	for i := range manyDirs {
		if err := unix.Mkdir(many(s, "d", i), 0o755); err != nil {
			return err
		}
	}
	for i := range manyDirs {
		if err := unix.Rmdir(many(s, "d", i)); err != nil {
			return err
		}
	}
	return nil
}

func emptyTree(_ context.Context, s *scene) error {
	return errors.Join(os.RemoveAll(s.path("bench", "made", "tree")), os.MkdirAll(s.path("bench", "made", "tree"), 0o755))
}

func untar(ctx context.Context, s *scene) error {
	return program("tar", "-C", "bench/made/tree", "-xf", s.tar)(ctx, s)
}

// untarred makes the tree, unless an earlier row left it.
func untarred(ctx context.Context, s *scene) error {
	if _, err := os.Lstat(s.path("bench", "made", "tree")); err == nil {
		return nil
	}
	return errors.Join(emptyTree(ctx, s), untar(ctx, s))
}

func removeTree(ctx context.Context, s *scene) error {
	return program("rm", "-rf", "bench/made/tree")(ctx, s)
}

func chmod(_ context.Context, s *scene) error {
	return unix.Chmod(s.path("bench", "mode.bin"), 0o600)
}
