package host

import (
	"context"
	"errors"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
)

// place is where a path of a guest leads: below an open root.
type place struct {
	root   int    // descriptor of the root; the caller of at closes it
	global bool   // the root is that of global://
	name   string // relative to it, clean; "." is the root itself
}

func (p place) close() { _ = unix.Close(p.root) }

// at finds the root that a guest's path is meant for.
func (h *Host) at(ctx context.Context, text string) (place, error) {
	dir := h.Shared
	rest, global := strings.CutPrefix(text, "global://")
	if global && dir == "" {
		return place{}, fault.New(fault.NotFound, "global:// scheme is not available: no shared/ directory is configured")
	}
	if !global {
		caller := CallerOf(ctx)
		mount, _, err := h.Workspace(caller.Session)
		if err != nil {
			return place{}, err
		}
		dir, rest = mount, text
	}
	if strings.ContainsRune(rest, 0) {
		return place{}, fault.New(fault.Usage, "a path contains a null byte")
	}
	rest = path.Clean(strings.TrimLeft(rest, "/"))
	if rest == ".." || strings.HasPrefix(rest, "../") {
		return place{}, fault.New(fault.Denied, "path escapes root boundary: %.256q", text)
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return place{}, fault.Wrap(fault.KindOf(err), err, "open the root of %.256q", text)
	}
	return place{fd, global, rest}, nil
}

// open opens a name beneath the root; links within it are followed, links out of
// it are not.
func (p place) open(name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat2(p.root, name, &unix.OpenHow{
			Flags: uint64(flags | unix.O_CLOEXEC), Mode: uint64(mode), Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
		})
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) { // a rename raced
			return fd, err
		}
	}
}

// real is the path below the root of what a descriptor is of.
func (p place) real(fd int) (string, error) {
	root, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(p.root))
	if err != nil {
		return "", err
	}
	full, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return "", err
	}
	if full == root {
		return ".", nil
	}
	rest, below := strings.CutPrefix(full, strings.TrimSuffix(root, "/")+"/")
	if !below {
		return "", unix.EXDEV
	}
	return rest, nil
}

// permits tells whether a list of the manifest allows what is at a path below
// the root.
func permits(list []string, p place, real string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		rest, global := strings.CutPrefix(entry, "global://")
		if global != p.global {
			return false
		}
		if !global {
			if entry == "*" {
				return true
			}
			rest = strings.TrimPrefix(entry, "workspace://")
		}
		prefix := path.Clean("/" + rest)
		return prefix == "/" || "/"+real == prefix || strings.HasPrefix("/"+real, prefix+"/")
	})
}

// judge resolves a name to an open object and refuses what the list does not
// allow. With parent it is the directory that is opened and judged as holding
// the last name, for what does not exist yet or is to be removed.
func (h *Host) judge(list []string, what string, p place, parent bool) (fd int, last string, err error) {
	if len(list) == 0 {
		return -1, "", h.denied(what, p.name)
	}
	name, last := p.name, ""
	if parent {
		name, last = path.Split(p.name)
		if name == "" {
			name = "."
		}
	}
	fd, err = p.open(name, unix.O_PATH, 0)
	switch {
	case errors.Is(err, unix.EXDEV):
		return -1, "", fault.New(fault.Denied, "path escapes root boundary: %.256q", p.name)
	case err != nil && !permits(list, p, p.name): // that it is not there is not told either
		return -1, "", h.denied(what, p.name)
	case err != nil:
		return -1, "", fault.Wrap(fault.KindOf(err), err, "%s %.256q", what, p.name)
	}
	real, err := p.real(fd)
	if err == nil && !permits(list, p, path.Join(real, last)) {
		err = h.denied(what, path.Join(real, last))
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, "", err
	}
	return fd, last, nil
}

func (h *Host) denied(what, name string) error {
	return fault.New(fault.Denied, "capsule '%s' may not %s %.256q: its manifest does not ask for that", h.Capsule.Package.Name, what, name)
}
