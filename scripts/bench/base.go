package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	smallFiles = 2000 // files of 4 KiB that are appended to
	readFiles  = 10000
	chmodShare = 8 // the file whose mode changes is this much smaller than the big one
)

// build makes the base: the source tree, generated files, a git repository.
func (b *bench) build(ctx context.Context) error {
	if b.opt.source == "" {
		root, err := output(ctx, b.work, "go", "env", "GOROOT")
		if err != nil {
			return err
		}
		b.opt.source = filepath.Join(strings.TrimSpace(root), "src")
	}
	b.say("base: a copy of %s in %s", b.opt.source, b.base)
	steps := [][]string{
		{"cp", "-R", "--preserve=timestamps", b.opt.source, b.base},
		{"chmod", "-R", "u+w", b.base},
		{"tar", "-C", b.base, "-cf", b.tar, "."},
	}
	for _, argv := range steps {
		if _, err := output(ctx, b.work, argv...); err != nil {
			return err
		}
	}
	if err := b.generate(); err != nil {
		return err
	}
	if err := b.repository(ctx); err != nil {
		return err
	}
	b.writeBack()
	return b.list()
}

// generate adds what a source tree does not have. Files are dated back: git
// takes files that are as new as its index for changed ones.
func (b *bench) generate() error {
	old := time.Now().Add(-24 * time.Hour)
	write := func(size int64, parts ...string) error {
		path := filepath.Join(append([]string{b.base}, parts...)...)
		return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), fill(path, size), os.Chtimes(path, old, old))
	}
	for i := range smallFiles {
		if err := write(4<<10, "bench", "small", fmt.Sprintf("%04d", i)); err != nil {
			return err
		}
	}
	big := int64(b.opt.big) << 20
	return errors.Join(write(big, "bench", "big.bin"), write(big/chmodShare, "bench", "mode.bin"))
}

// fill writes size random bytes.
func fill(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	source := rand.NewChaCha8([32]byte{})
	buf := make([]byte, min(size, 1<<20))
	for left := size; left > 0 && err == nil; left -= int64(len(buf)) {
		buf = buf[:min(left, int64(len(buf)))]
		_, _ = source.Read(buf)
		_, err = f.Write(buf)
	}
	return errors.Join(err, f.Close())
}

// repository makes the base a git repository. git is told to know files by size
// and time alone, or every copy of the base would look changed to it.
func (b *bench) repository(ctx context.Context) error {
	steps := [][]string{
		{"git", "init", "--quiet"},
		{"git", "config", "core.checkStat", "minimal"},
		{"git", "config", "core.trustctime", "false"},
		{"git", "config", "gc.auto", "0"},
	}
	for _, argv := range steps {
		if _, err := output(ctx, b.base, argv...); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(b.base, ".git", "info", "exclude"), []byte("*.bin\n/bench/made\n"), 0o644); err != nil {
		return err
	}
	if _, err := output(ctx, b.base, "git", "add", "--all"); err != nil {
		return err
	}
	_, err := output(ctx, b.base, "git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "--quiet", "--message", "base")
	return err
}

// list remembers the path of every file of the source tree.
func (b *bench) list() error {
	return filepath.WalkDir(b.base, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (e.Name() == ".git" || e.Name() == "bench"):
			return filepath.SkipDir
		case e.Type().IsRegular():
			rel, err := filepath.Rel(b.base, path)
			b.files = append(b.files, rel)
			return err
		}
		return nil
	})
}

// output runs a command in dir and returns what it prints.
func output(ctx context.Context, dir string, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}
