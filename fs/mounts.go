package fs

import (
	"fmt"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// MountPoint is one line of mountinfo.
type MountPoint struct {
	Dir          string // where it is mounted
	FSType       string // "fuse.astrid-view"
	Source       string // Options.FsName
	Major, Minor uint32 // device number of what is mounted
}

// fuse tells whether a server in user space is behind the mount.
func (m *MountPoint) fuse() bool { return m.FSType == "fuse" || strings.HasPrefix(m.FSType, "fuse.") }

// Mounts lists what is mounted at prefix or below it, in the order of mounting,
// from mountinfo: no mount is touched.
func Mounts(prefix string) ([]MountPoint, error) {
	return mountsOf("self", func(dir string) bool { return under(dir, prefix) })
}

// mountsOf lists mounts that a process sees.
func mountsOf(pid string, want func(dir string) bool) ([]MountPoint, error) {
	var found []MountPoint
	filter := func(i *mountinfo.Info) (skip, stop bool) {
		if want(i.Mountpoint) {
			found = append(found, MountPoint{
				Dir: i.Mountpoint, FSType: i.FSType, Source: i.Source,
				Major: uint32(i.Major), Minor: uint32(i.Minor),
			})
		}
		return true, false
	}
	f, err := openProc(pid + "/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	defer f.Close()
	if _, err := mountinfo.GetMountsFromReader(f, filter); err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	return found, nil
}

// mountAt returns the topmost mount at dir, or nil.
func mountAt(dir string) (*MountPoint, error) {
	all, err := mountsOf("self", func(d string) bool { return d == dir })
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[len(all)-1], nil
}

// under tells whether path is dir or lies below it.
func under(path, dir string) bool {
	if dir == "" || dir == "/" || path == dir {
		return true
	}
	return strings.HasPrefix(path, dir) && path[len(dir)] == '/'
}
