package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Going back and sideways: what commits, undos, checkpoints, rollbacks and forks cost,
// and what copying the same files costs.

func backRows() []kernelRow {
	var rows []kernelRow
	for _, n := range []int{1, 100, 10_000} {
		rows = append(rows, kernelRow{
			name: fmt.Sprintf("back: commit of %d changed files; undo of it; cp -a of the same and sync; rsync -a and sync", n),
			unit: seconds, long: true, do: commits(n),
		})
	}
	return append(rows,
		kernelRow{name: "back: with 10,000 changes: checkpoint; first look into it; its patch", unit: seconds, long: true, do: checkpoints},
		kernelRow{name: "back: rollback of 1,000 changed files; fork of them", unit: seconds, long: true, do: rollbacks})
}

// backed is a workspace of small files with a view.
type backed struct {
	*station
	c    *client
	n    int
	base string
	view string
	name string
}

// back makes one with n files, and calls f when each of them has been changed in the
// view and everything is on the disk.
func (s *station) back(ctx context.Context, n int, f func(*backed) error) error {
	return s.with(ctx, func(c *client) (err error) {
		b := &backed{station: s, c: c, n: n, name: fmt.Sprintf("back%d", n), base: filepath.Join(s.dir, fmt.Sprintf("back%d", n))}
		if err := b.fill(b.base, "as it was\n"); err != nil {
			return err
		}
		defer os.RemoveAll(b.base)
		var up struct {
			Workspace string `json:"workspace"`
		}
		if err := c.call("up", map[string]any{"dir": b.base, "session": b.name}, &up); err != nil {
			return err
		}
		defer func() {
			_ = c.call("down", map[string]any{"session": b.name, "discard": true}, nil)
			_ = c.call("rm", map[string]any{"session": b.name, "force": true}, nil)
		}()
		b.view = up.Workspace
		if err := b.change("changed\n"); err != nil {
			return err
		}
		return f(b)
	})
}

// fill makes files of about 1 KiB each, a hundred to a directory.
func (b *backed) fill(dir, line string) error {
	text := make([]byte, 0, 1100)
	for len(text) < 1024 {
		text = append(text, line...)
	}
	for i := range b.n {
		p := filepath.Join(dir, fmt.Sprint(i/100), fmt.Sprint(i))
		if i%100 == 0 {
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(p, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// change writes to each file in the view.
func (b *backed) change(line string) error {
	if err := b.fill(b.view, line); err != nil {
		return err
	}
	return b.sync()
}

func (b *backed) sync() error {
	_, err := output(context.Background(), "/", "sync")
	return err
}

// call measures one operation.
func (b *backed) call(method string, request map[string]any) (float64, error) {
	request["session"] = b.name
	began := time.Now()
	err := b.c.call(method, request, nil)
	return time.Since(began).Seconds(), err
}

func commits(n int) func(context.Context, *station) ([]float64, error) {
	return func(ctx context.Context, s *station) (values []float64, err error) {
		err = s.back(ctx, n, func(b *backed) error {
			for _, method := range []string{"commit", "undo"} {
				took, err := b.call(method, map[string]any{})
				if err != nil {
					return err
				}
				values = append(values, took)
			}
			for _, program := range [][]string{{"cp", "-a"}, {"rsync", "-a"}} {
				took, err := b.copied(ctx, program)
				if err != nil {
					return err
				}
				values = append(values, took)
			}
			return nil
		})
		return values, err
	}
}

// copied measures a program that copies as many changed files over the old ones.
func (b *backed) copied(ctx context.Context, program []string) (float64, error) {
	from, to := filepath.Join(b.dir, "from"), filepath.Join(b.dir, "to")
	defer os.RemoveAll(from)
	defer os.RemoveAll(to)
	if err := b.fill(to, "as it was\n"); err != nil {
		return 0, err
	}
	if err := b.fill(from, "changed\n"); err != nil {
		return 0, err
	}
	if err := b.sync(); err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := output(ctx, "/", append(program, from+"/.", to)...); err != nil {
		return 0, err
	}
	_, err := output(ctx, "/", "sync", "-f", to)
	return time.Since(began).Seconds(), err
}

func checkpoints(ctx context.Context, s *station) (values []float64, err error) {
	err = s.back(ctx, 10_000, func(b *backed) error {
		took, err := b.call("checkpoint", map[string]any{"name": "c"})
		if err != nil {
			return err
		}
		began := time.Now()
		if _, err := os.ReadFile(filepath.Join(filepath.Dir(b.view), "at/c/0/0")); err != nil {
			return err
		}
		look := time.Since(began).Seconds()
		began = time.Now()
		err = s.run(ctx, "--session", b.name, "diff", "--stat")
		values = []float64{took, look, time.Since(began).Seconds()}
		return err
	})
	return values, err
}

func rollbacks(ctx context.Context, s *station) (values []float64, err error) {
	err = s.back(ctx, 1000, func(b *backed) error {
		if _, err := b.call("checkpoint", map[string]any{"name": "c"}); err != nil {
			return err
		}
		if err := b.change("again\n"); err != nil {
			return err
		}
		back, err := b.call("rollback", map[string]any{"to": "c"})
		if err != nil {
			return err
		}
		fork, err := b.call("fork", map[string]any{"name": "f"})
		values = []float64{back, fork}
		_ = b.c.call("down", map[string]any{"session": b.name + ".f", "discard": true}, nil)
		_ = b.c.call("rm", map[string]any{"session": b.name + ".f", "force": true}, nil)
		return err
	})
	return values, err
}
