package view

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
	"astrid/overlay"
	"astrid/overlay/layer"
)

// known refuses a path that neither the view nor its base has: a slip of the pen
// must not pass for «nothing to do». Globs may match nothing.
func (e *overlaid) known(paths []string) error {
	for _, p := range paths {
		clean := path.Clean(p)
		if strings.ContainsAny(p, `*?[{\`) || clean == "." {
			continue
		}
		there, err := e.inView(clean)
		if err != nil {
			return err
		}
		if !there && !e.inBase(clean) {
			return fault.New(fault.NotFound, "neither the view nor the workspace has %q; astrid changes lists what there is", p)
		}
	}
	return nil
}

func (e *overlaid) inView(p string) (there bool, err error) {
	err = e.tree.Still(func(s *overlay.Snapshot) error {
		x := s.Root()
		there = true
		for name := range strings.SplitSeq(p, "/") {
			if x, there, err = x.Lookup(name); err != nil || !there {
				return err
			}
		}
		return nil
	})
	return there, err
}

func (e *overlaid) inBase(p string) bool {
	fd, err := layer.OpenPath(e.tree.BaseFd(), path.Dir(p), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var st layer.Stat
	return layer.Statx(fd, path.Base(p), &st) == nil
}
