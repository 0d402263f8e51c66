package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// system is one of the things that are compared.
type system interface {
	name() string
	// reset makes it show the base, unchanged. It is not mounted then.
	reset(context.Context) error
	// mount returns the root of the tree.
	mount(context.Context) (string, error)
	// unmount keeps what was changed. It does nothing when nothing is mounted.
	unmount(context.Context) error
	// end stops what outlives an unmount.
	end(context.Context) error
}

const (
	nameNative  = "native"
	nameOverlay = "overlayfs"
	nameFuse    = "fuse-overlayfs"
	nameView    = "view"
	nameCollect = "view --writeback"
)

func candidates(b *bench) []system {
	at := filepath.Join(b.work, "at")
	return []system{
		&native{bound: bound{at: at, from: filepath.Join(b.work, "native")}, base: b.base},
		&layered{at: at, base: b.base, data: filepath.Join(b.work, "overlayfs"), with: mountOverlay, called: nameOverlay},
		&layered{at: at, base: b.base, data: filepath.Join(b.work, "fuse"), with: mountFuseOverlay, called: nameFuse},
		&view{bound: bound{at: at}, base: b.base, home: filepath.Join(b.work, "home"), astrid: b.opt.astrid, called: nameView},
		&view{bound: bound{at: at}, base: b.base, home: filepath.Join(b.work, "home"), astrid: b.opt.astrid, called: nameCollect,
			options: []string{"--writeback"}},
	}
}

// bound is a directory that is shown at another path too, so that no system has
// the shorter one. An ordinary user sees it where it is.
type bound struct {
	at, from string
	is       bool
}

func (b *bound) bind() (string, error) {
	if os.Geteuid() != 0 {
		return b.from, nil
	}
	if err := os.MkdirAll(b.at, 0o755); err != nil {
		return "", err
	}
	if err := unix.Mount(b.from, b.at, "", unix.MS_BIND, ""); err != nil {
		return "", fmt.Errorf("bind %s to %s: %w", b.from, b.at, err)
	}
	b.is = true
	return b.at, nil
}

func (b *bound) unbind() error {
	if !b.is {
		return nil
	}
	if err := unix.Unmount(b.at, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", b.at, err)
	}
	b.is = false
	return nil
}

// native is a plain copy.
type native struct {
	bound
	base string
}

func (*native) name() string { return nameNative }

func (n *native) reset(ctx context.Context) error {
	if err := os.RemoveAll(n.from); err != nil {
		return err
	}
	_, err := output(ctx, "/", "cp", "-a", n.base, n.from)
	return err
}

func (n *native) mount(context.Context) (string, error) { return n.bind() }
func (n *native) unmount(context.Context) error         { return n.unbind() }
func (n *native) end(context.Context) error             { return nil }

// layered is a file system with a lower and an upper directory.
type layered struct {
	called         string
	at, base, data string
	with           func(ctx context.Context, at, options string) error
	is             bool
}

func (l *layered) name() string              { return l.called }
func (l *layered) end(context.Context) error { return nil }

func (l *layered) reset(context.Context) error {
	return errors.Join(os.RemoveAll(l.data),
		os.MkdirAll(filepath.Join(l.data, "upper"), 0o755), os.MkdirAll(filepath.Join(l.data, "work"), 0o755))
}

func (l *layered) mount(ctx context.Context) (string, error) {
	if err := os.MkdirAll(l.at, 0o755); err != nil {
		return "", err
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%[2]s/upper,workdir=%[2]s/work", l.base, l.data)
	if err := l.with(ctx, l.at, options); err != nil {
		return "", err
	}
	l.is = true
	return l.at, nil
}

func (l *layered) unmount(ctx context.Context) error {
	if !l.is {
		return nil
	}
	err := unix.Unmount(l.at, 0)
	if errors.Is(err, unix.EPERM) {
		_, err = output(ctx, "/", "fusermount3", "-u", l.at)
	}
	l.is = err != nil
	return err
}

func mountOverlay(_ context.Context, at, options string) error {
	err := unix.Mount("overlay", at, "overlay", 0, options)
	if errors.Is(err, unix.EPERM) {
		return errors.New("mounting it takes root")
	}
	if errors.Is(err, unix.EINVAL) {
		return errors.New("this kernel refuses it here (EINVAL); --dir must be on a file system that is no overlay itself")
	}
	return err
}

func mountFuseOverlay(ctx context.Context, at, options string) error {
	if _, err := exec.LookPath("fuse-overlayfs"); err != nil {
		return errors.New("it is not installed (scripts/setup)")
	}
	_, err := output(ctx, "/", "fuse-overlayfs", "-o", options, at)
	return err
}

// mountsBelow lists the mount points under dir.
func mountsBelow(dir string) ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			found = append(found, fields[4])
		}
	}
	return found, nil
}
