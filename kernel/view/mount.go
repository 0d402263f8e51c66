package view

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"astrid/fs"
	"astrid/fs/tree"
	"astrid/kernel/fault"
)

// staleProbe is how long a mount that an earlier server left may take to prove
// that somebody serves it.
const staleProbe = 3 * time.Second

// lingerTime is how long a view that was detached under programs standing in
// it may take to end by itself.
const lingerTime = 200 * time.Millisecond

// clearWorkspace takes away what an earlier server of this session left mounted
// at dir. This server holds the session's lock, so that what is there is dead;
// shells may stand in it.
func clearWorkspace(dir string) error {
	health, err := fs.Stale(dir, staleProbe)
	if err != nil {
		return err
	}
	for health != fs.Unmounted {
		if health == fs.Alive {
			return fault.New(fault.Busy, "something else is mounted at %s and answers; unmount it (umount %s) and try again", dir, dir)
		}
		if err := fs.DetachStale(dir); err != nil {
			return fault.Wrap(fault.KindOf(err), err, "the dead view at %s could not be taken away", dir)
		}
		if health, err = fs.Stale(dir, staleProbe); err != nil {
			return err
		}
	}
	return nil
}

// served is the mount of the view.
type served struct {
	*fs.Server
}

// serveTree mounts t at dir.
func serveTree(dir string, t tree.Tree, opts fs.Options) (*served, error) {
	if err := fs.Preflight(); err != nil {
		return nil, fault.New(fault.Unsupported, "a view cannot be mounted here: %w", err)
	}
	server, err := fs.Mount(dir, t, opts)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "the view could not be mounted")
	}
	return &served{server}, nil
}

// Unmount ends the mount. Programs that only stand in it, and sandboxes that only
// have it among their mounts, are left where they are; those with files open make
// it fail with Busy unless force is set.
func (m *served) Unmount(ctx context.Context, force bool) error {
	patient, cancel := context.WithTimeout(ctx, lingerTime)
	defer cancel()
	err := m.Server.Unmount(patient)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil // the rest ends with this process
	}
	var busy *fs.BusyError
	if !errors.As(err, &busy) {
		return err
	}
	if busy.Opened() && !force {
		return fault.New(fault.Busy, "%w; let them finish, or use --force", busy)
	}
	if err := m.Detach(); err != nil {
		return err
	}
	timer := time.NewTimer(lingerTime)
	defer timer.Stop()
	select {
	case <-m.Done():
	case <-timer.C: // ends with this process
	}
	return nil
}

// Err tells, after Done, an unmount from a connection that failed: the latter
// leaves its mount behind.
func (m *served) Err() error {
	mounts, err := fs.Mounts(m.Dir())
	if err != nil {
		return err
	}
	for _, at := range mounts {
		if at.Dir == filepath.Clean(m.Dir()) && at.Major == 0 && at.Minor == m.Minor() {
			return fmt.Errorf("the connection of the view at %s ended although it is still mounted", m.Dir())
		}
	}
	return nil
}
