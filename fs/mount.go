package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
)

// Mount mounts t at dir, an existing directory, and starts to serve it. When it
// returns the mount answers. The tree may be mounted again after Wait.
func Mount(dir string, t tree.Tree, o Options) (*Server, error) {
	o = o.withDefaults()
	dir, err := resolve(dir)
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", dir, err)
	}
	fd, err := attach(dir, &o)
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", dir, err)
	}
	s := newServer(dir, fd, t, &o)
	if err := s.initialize(); err != nil {
		s.cancel()
		_ = unmount(dir, unix.MNT_DETACH)
		unix.Close(fd)
		return nil, fmt.Errorf("mount %s: %w", dir, err)
	}
	s.start()
	return s, nil
}

func newServer(dir string, fd int, t tree.Tree, o *Options) *Server {
	s := &Server{
		dir: dir, fd: fd, opens: o.Opens, opts: *o, log: o.Log,
		done:  make(chan struct{}),
		rouse: make(chan struct{}, 1),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.face = newFace(s.ctx, t, o)
	s.note = newNotifier(s)
	s.flight.init()
	return s
}

// resolve makes dir absolute and free of symlinks, as mountinfo will show it.
func resolve(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return dir, err
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return dir, err
	}
	// fusermount3 would mount over a file.
	if st, err := os.Stat(real); err == nil && !st.IsDir() {
		return dir, unix.ENOTDIR
	}
	return real, nil
}

// attach opens the device and mounts it: by mount(2) where that is allowed,
// else with the help of fusermount3.
func attach(dir string, o *Options) (int, error) {
	fd, err := attachDirect(dir, o)
	if err == nil || !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return fd, err
	}
	return attachHelper(dir, o)
}

// attachDirect mounts with mount(2).
func attachDirect(dir string, o *Options) (int, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: "/dev/fuse", Err: err}
	}
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV)
	if o.ReadOnly {
		flags |= unix.MS_RDONLY
	}
	data := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d,default_permissions,max_read=%d",
		fd, os.Geteuid(), os.Getegid(), o.MaxWrite)
	if o.AllowOther {
		data += ",allow_other"
	}
	if err := unix.Mount(o.FsName, dir, "fuse."+o.Subtype, flags, data); err != nil {
		unix.Close(fd)
		return -1, &os.SyscallError{Syscall: "mount", Err: err}
	}
	return fd, nil
}

// unmount takes the topmost mount at dir away.
func unmount(dir string, flags int) error {
	err := unix.Unmount(dir, flags|unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EPERM) {
		return unmountHelper(dir, flags&unix.MNT_DETACH != 0)
	}
	return err
}
