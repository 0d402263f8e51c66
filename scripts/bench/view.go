package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
)

// view is Astrid's, through the real program, with a home of its own.
type view struct {
	bound
	base, home, astrid, called string
	options                    []string // of astrid up
	up                         bool
}

func (v *view) name() string { return v.called }

// call runs the program and returns what it prints.
func (v *view) call(ctx context.Context, args ...string) (string, error) {
	return output(ctx, "/", append([]string{"env", "ASTRID_HOME=" + v.home, v.astrid}, args...)...)
}

func (v *view) reset(ctx context.Context) error {
	if _, err := exec.LookPath(v.astrid); err != nil {
		return errors.New("there is no " + v.astrid + " (make build)")
	}
	return v.end(ctx)
}

func (v *view) mount(ctx context.Context) (string, error) {
	if err := os.MkdirAll(v.home, 0o700); err != nil {
		return "", err
	}
	out, err := v.call(ctx, append([]string{"up", "--session", "bench", v.base}, v.options...)...)
	if err != nil {
		return "", err
	}
	v.up = true
	v.from = strings.TrimSpace(out)
	return v.bind()
}

func (v *view) unmount(ctx context.Context) error {
	if err := v.unbind(); err != nil || !v.up {
		return err
	}
	_, err := v.call(ctx, "down", "--session", "bench")
	v.up = err != nil
	return err
}

// end forgets the session and all it holds.
func (v *view) end(ctx context.Context) error {
	if _, err := os.Stat(v.home); err != nil {
		return nil
	}
	if _, err := v.call(ctx, "up", "--session", "bench", v.base); err != nil {
		return err
	}
	_, err := v.call(ctx, "down", "--session", "bench", "--discard", "--yes")
	return err
}
