package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// bench is one run.
type bench struct {
	opt     options
	work    string // the scratch directory
	base    string // what lies below every system
	tar     string // the source tree as one file
	files   []string
	systems []system
	result  *result
}

func newBench(ctx context.Context, opt options) (*bench, error) {
	work, err := os.MkdirTemp(opt.dir, "astrid-bench")
	if err != nil {
		return nil, err
	}
	if work, err = filepath.EvalSymlinks(work); err != nil {
		return nil, err
	}
	b := &bench{opt: opt, work: work, base: filepath.Join(work, "base"), tar: filepath.Join(work, "source.tar")}
	if err := b.build(ctx); err != nil {
		_ = b.clean()
		return nil, fmt.Errorf("make the base: %w", err)
	}
	for _, s := range candidates(b) {
		if err := b.try(ctx, s); err != nil {
			b.say("%s is left out: %v", s.name(), err)
			continue
		}
		b.systems = append(b.systems, s)
	}
	if len(b.systems) == 0 {
		_ = b.clean()
		return nil, fmt.Errorf("nothing can be measured")
	}
	b.result = newResult(b)
	return b, nil
}

// try mounts a system once, to know whether it can be.
func (b *bench) try(ctx context.Context, s system) error {
	if err := s.reset(ctx); err != nil {
		return err
	}
	_, err := s.mount(ctx)
	if unmountErr := s.unmount(ctx); err == nil {
		err = unmountErr
	}
	return err
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

// measure runs all rounds.
func (b *bench) measure(ctx context.Context, rows []row) error {
	for round := range b.opt.rounds {
		for i := range b.systems {
			s := b.systems[(i+round)%len(b.systems)]
			b.say("round %d of %d: %s", round+1, b.opt.rounds, s.name())
			if err := b.onSystem(ctx, s, rows, round); err != nil {
				return fmt.Errorf("%s: %w", s.name(), err)
			}
		}
	}
	return nil
}

// onSystem runs all rows once on one system that starts anew.
func (b *bench) onSystem(ctx context.Context, s system, rows []row, round int) error {
	if err := s.reset(ctx); err != nil {
		return err
	}
	dir, err := s.mount(ctx)
	for _, r := range rows {
		if err == nil && r.fresh {
			if err = s.unmount(ctx); err == nil {
				dir, err = s.mount(ctx)
			}
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			break
		}
		b.writeBack()
		took, rowErr := r.take(ctx, &scene{bench: b, dir: dir})
		if rowErr != nil {
			b.say("%s: %s: %v", s.name(), r.name, rowErr)
			b.result.failed = true
			continue
		}
		b.result.add(r.name, s.name(), round, took)
	}
	if unmountErr := s.unmount(ctx); err == nil {
		err = unmountErr
	}
	return err
}

// writeBack leaves nothing dirty for the next row to pay for.
func (b *bench) writeBack() {
	fd, err := unix.Open(b.work, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		_ = unix.Syncfs(fd)
		_ = unix.Close(fd)
	}
}

// clean unmounts and removes everything. What is still mounted is not walked
// into: then the scratch directory is left, and named.
func (b *bench) clean() error {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	for _, s := range b.systems {
		if err := s.unmount(ctx); err != nil {
			b.say("%s: %v", s.name(), err)
		}
		if err := s.end(ctx); err != nil {
			b.say("%s: %v", s.name(), err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left, err := mountsBelow(b.work)
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return os.RemoveAll(b.work)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("still mounted: %q; %s is left behind", left, b.work)
		}
	}
}

// row is one line of the table.
type row struct {
	name  string
	fresh bool // on a mount that nobody has used
	// times is how often do runs in a row; the median counts. Rows that change
	// what they measure run once.
	times   int
	prepare func(context.Context, *scene) error // untimed, may be nil
	do      func(context.Context, *scene) error
}

// scene is where a row plays.
type scene struct {
	*bench
	dir string // the root of the tree on the system under test
}

func (s *scene) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

func (r row) take(ctx context.Context, s *scene) (time.Duration, error) {
	if r.prepare != nil {
		if err := r.prepare(ctx, s); err != nil {
			return 0, fmt.Errorf("prepare: %w", err)
		}
		s.writeBack()
	}
	var all []time.Duration
	for range max(r.times, 1) {
		start := time.Now()
		if err := r.do(ctx, s); err != nil {
			return 0, err
		}
		all = append(all, time.Since(start))
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}
