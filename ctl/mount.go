package ctl

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"astrid/fs"
	"astrid/kernel/fault"
)

// Server is a mounted control tree. Close it.
type Server struct {
	tree   *Tree
	face   *fs.Server
	cancel context.CancelFunc
}

// Mount mounts the control tree at dir. Mounts that killed kernels left there
// are detached first, without a look into them.
func Mount(dir string, c Config) (*Server, error) {
	dir, err := clearWay(dir)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "detach the control tree of a kernel that is gone")
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := newTree(ctx, c)
	m, err := t.build()
	if err != nil {
		cancel()
		return nil, fault.Wrap(fault.Internal, err, "build the control tree")
	}
	face, err := fs.Mount(dir, m, fs.Options{Opens: true, Subtype: "astrid-ctl", Log: t.config.Log})
	if err != nil {
		cancel()
		if why := fs.Preflight(); why != nil {
			err = fmt.Errorf("%w (%w)", why, err)
		}
		return nil, fault.Wrap(fault.Unsupported, err, "mount the control tree")
	}
	return &Server{tree: t, face: face, cancel: cancel}, nil
}

// maxStacked is how many mounts on one directory are thought possible.
const maxStacked = 64

// clearWay detaches what is mounted at dir, and returns its path as mountinfo has
// it: free of symbolic links, which only those above dir may be.
func clearWay(dir string) (string, error) {
	parent, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if err != nil {
		return dir, err
	}
	dir = filepath.Join(parent, filepath.Base(dir))
	for range maxStacked {
		mounts, err := fs.Mounts(dir)
		if err != nil || !slices.ContainsFunc(mounts, func(m fs.MountPoint) bool { return m.Dir == dir }) {
			return dir, err
		}
		if err := fs.DetachStale(dir); err != nil {
			return dir, err
		}
	}
	return dir, fmt.Errorf("more than %d mounts at %s", maxStacked, dir)
}

// Panics counts requests that ran into a defect.
func (s *Server) Panics() uint64 { return s.face.Panics() }

// Done is closed when the mount is gone, by Close or from outside.
func (s *Server) Done() <-chan struct{} { return s.face.Done() }

// lingerTime is how long Close waits for other mount namespaces to let go of the
// tree.
const lingerTime = 200 * time.Millisecond

// Close unmounts. Who has a control file open is served until it lets go or ctx
// ends; who merely stands in the tree is left standing in nothing, and so is a
// sandbox that has the tree among its mounts. The operations that writes began are
// cancelled when ctx ends.
func (s *Server) Close(ctx context.Context) error {
	defer s.cancel()
	patient, cancel := context.WithTimeout(ctx, lingerTime)
	defer cancel()
	err := s.face.Unmount(patient)
	var busy *fs.BusyError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return nil // gone from here; the rest ends with this process
	case !errors.As(err, &busy):
		return fault.Wrap(fault.KindOf(err), err, "unmount the control tree")
	}
	if err := s.face.Detach(); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "detach the control tree")
	}
	select {
	case <-s.face.Done():
	case <-ctx.Done():
		s.tree.config.Log.Info("the control tree is still in use", "by", busy.Error())
	}
	return nil
}
