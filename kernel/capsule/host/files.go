package host

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
)

// within does something that may hang on a mount, and stops waiting for it when
// ctx ends.
func within(ctx context.Context, do func() ([]byte, error)) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		data, err := do()
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		return r.data, r.err
	case <-ctx.Done():
		return nil, fault.Wrap(fault.KindOf(ctx.Err()), ctx.Err(), "the file system does not answer")
	}
}

// in opens the root of a path for do and closes it after.
func (h *Host) in(ctx context.Context, text []byte, do func(place) ([]byte, error)) ([]byte, error) {
	return within(ctx, func() ([]byte, error) {
		p, err := h.at(ctx, string(text))
		if err != nil {
			return nil, err
		}
		defer p.close()
		return do(p)
	})
}

// on is in for an object that is there and may be read.
func (h *Host) on(ctx context.Context, text []byte, what string, do func(place, int) ([]byte, error)) ([]byte, error) {
	return h.in(ctx, text, func(p place) ([]byte, error) {
		fd, _, err := h.judge(h.Capsule.Capabilities.FSRead, what, p, false)
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		return do(p, fd)
	})
}

func (h *Host) fsExists(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	data, err := h.on(ctx, args[0], "look at", func(place, int) ([]byte, error) { return []byte("true"), nil })
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return data, err
}

func (h *Host) fsMkdir(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	return h.in(ctx, args[0], func(p place) ([]byte, error) {
		whole := p.name
		for i := range len(whole) + 1 {
			if i < len(whole) && whole[i] != '/' {
				continue
			}
			p.name = whole[:i]
			if err := h.mkdir(p); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
}

// mkdir makes one directory, unless it is there.
func (h *Host) mkdir(p place) error {
	if fd, err := p.open(p.name, unix.O_PATH|unix.O_DIRECTORY, 0); err == nil {
		return unix.Close(fd)
	}
	fd, last, err := h.judge(h.Capsule.Capabilities.FSWrite, "make", p, true)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Mkdirat(fd, last, 0o777); err != nil && !errors.Is(err, unix.EEXIST) {
		return fault.Wrap(fault.KindOf(err), err, "make the directory %.256q", p.name)
	}
	return nil
}

func (h *Host) fsReaddir(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	return h.on(ctx, args[0], "list", func(p place, fd int) ([]byte, error) {
		d, err := reopen(fd, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return nil, fault.Wrap(fault.KindOf(err), err, "list %.256q", p.name)
		}
		defer d.Close()
		names, err := d.Readdirnames(-1)
		if err != nil {
			return nil, fault.Wrap(fault.KindOf(err), err, "list %.256q", p.name)
		}
		if names == nil {
			names = []string{}
		}
		return encode(names)
	})
}

// reopen opens what an O_PATH descriptor is of, and nothing else.
func reopen(fd, flags int) (*os.File, error) {
	name := "/proc/self/fd/" + strconv.Itoa(fd)
	return os.OpenFile(name, flags, 0)
}

func (h *Host) fsStat(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	return h.in(ctx, args[0], func(p place) ([]byte, error) {
		if p.name == "." {
			return h.statRoot(p)
		}
		fd, last, err := h.judge(h.Capsule.Capabilities.FSRead, "look at", p, true)
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		var st unix.Stat_t
		if err := unix.Fstatat(fd, last, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return nil, fault.Wrap(fault.KindOf(err), err, "look at %.256q", p.name)
		}
		return stat(&st)
	})
}

func (h *Host) statRoot(p place) ([]byte, error) {
	fd, _, err := h.judge(h.Capsule.Capabilities.FSRead, "look at", p, false)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "look at the root")
	}
	return stat(&st)
}

func stat(st *unix.Stat_t) ([]byte, error) {
	return encode(struct {
		Size  int64 `json:"size"`
		IsDir bool  `json:"isDir"`
		MTime int64 `json:"mtime"`
	}{st.Size, st.Mode&unix.S_IFMT == unix.S_IFDIR, st.Mtim.Sec})
}

func (h *Host) fsUnlink(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	return h.in(ctx, args[0], func(p place) ([]byte, error) {
		if p.name == "." {
			return nil, fault.New(fault.Denied, "Cannot operate on capability root directly")
		}
		fd, last, err := h.judge(h.Capsule.Capabilities.FSWrite, "remove", p, true)
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		err = unix.Unlinkat(fd, last, 0)
		if errors.Is(err, unix.EISDIR) {
			err = unix.Unlinkat(fd, last, unix.AT_REMOVEDIR)
		}
		if err != nil {
			return nil, fault.Wrap(fault.KindOf(err), err, "remove %.256q", p.name)
		}
		return nil, nil
	})
}

func (h *Host) readFile(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	return h.on(ctx, args[0], "read", func(p place, fd int) ([]byte, error) {
		f, err := regular(fd, unix.O_RDONLY)
		if err != nil {
			return nil, fault.Wrap(fault.KindOf(err), err, "read %.256q", p.name)
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxPayload+1))
		switch {
		case err != nil:
			return nil, fault.Wrap(fault.KindOf(err), err, "read %.256q", p.name)
		case len(data) > maxPayload:
			return nil, fault.New(fault.Limit, "%.256q is larger than %d bytes", p.name, maxPayload)
		}
		return data, nil
	})
}

// regular reopens a regular file; a fifo or device could wait for ever.
func regular(fd, flags int) (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return nil, unix.EISDIR
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, unix.EOPNOTSUPP
	}
	return reopen(fd, flags)
}

func (h *Host) writeFile(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	return h.in(ctx, args[0], func(p place) ([]byte, error) {
		f, err := h.forWriting(p)
		if err != nil {
			return nil, err
		}
		_, err = f.Write(args[1])
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return nil, fault.Wrap(fault.KindOf(err), err, "write %.256q", p.name)
		}
		return nil, nil
	})
}

// forWriting opens a file empty, or makes it.
func (h *Host) forWriting(p place) (*os.File, error) {
	list := h.Capsule.Capabilities.FSWrite
	fd, _, err := h.judge(list, "write", p, false)
	if err == nil {
		defer unix.Close(fd)
		f, err := regular(fd, unix.O_WRONLY|unix.O_TRUNC)
		if err != nil {
			return nil, fault.Wrap(fault.KindOf(err), err, "write %.256q", p.name)
		}
		return f, nil
	}
	if !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	dir, last, err := h.judge(list, "write", p, true)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	made, err := unix.Openat(dir, last, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o666)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "write %.256q", p.name)
	}
	return os.NewFile(uintptr(made), p.name), nil
}
