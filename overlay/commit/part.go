package commit

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// picks finds the hunks of the request; nil when it names none.
func (r *run) picks(list []change.Change) (map[*change.Change]*change.Pick, error) {
	switch {
	case len(r.req.Hunks) == 0:
		return nil, nil
	case len(r.req.Paths) > 0:
		return nil, fmt.Errorf("%w: hunks and paths together", change.ErrPattern)
	}
	return change.PickHunks(r.ctx, r.snap, list, r.req.Hunks, r.cfg.Cache)
}

// named are the paths that hunks are of. What only comes along is not named, and
// neither is anything of a repository: Request.Git is for that.
func named(picks map[*change.Change]*change.Pick) []string {
	paths := make([]string, 0, len(picks))
	for c, p := range picks {
		if !p.Along && !change.InGit(c.Path) {
			paths = append(paths, c.Path)
		}
	}
	slices.Sort(paths)
	return paths
}

// asks tells whether the request is about a change.
func (s *selection) asks(c *change.Change) bool {
	if s.picks != nil {
		return s.picks[c] != nil
	}
	return len(s.req.Paths) == 0 || s.asked.Change(c)
}

// idle returns the globs of the request that match nothing.
func (s *selection) idle(list []change.Change) []string {
	if s.picks != nil {
		return nil
	}
	return s.asked.Idle(list)
}

// partOf makes a file that is the base's but for what was picked of the view's. Its
// time is the commit's: neither side has such a file, and who goes by times must not
// take it for one of theirs.
func (s *stager) partOf(j *job, dirfd int, name string) error {
	base, err := s.ofBase(j)
	if err != nil {
		return err
	}
	src, err := j.c.Object.Open()
	if err != nil {
		return err
	}
	defer src.Close()
	view, err := readText(io.NewSectionReader(src, 0, src.Size()))
	if err != nil {
		return err
	}
	content, err := j.part.Content(base, view)
	if err != nil {
		return &ConflictError{[]Conflict{{j.c.Path, "it was changed in the workspace just now"}}}
	}
	dst, err := layer.Open(dirfd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(dst)
	if err := writeAll(dst, content); err != nil {
		return err
	}
	return s.finishPart(j)
}

// ofBase reads what the base has of a file.
func (s *stager) ofBase(j *job) ([]byte, error) {
	fd, err := s.d.open(j.c.BasePath, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), j.c.BasePath)
	defer f.Close()
	return readText(f)
}

// readText reads a file of which lines can be picked.
func readText(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, change.MaxLines+1))
	if err == nil && len(b) > change.MaxLines {
		err = unix.ESTALE
	}
	return b, err
}

// finishPart gives a file that is staged in part the attributes of the base's, or
// those of the view's when they were picked.
func (s *stager) finishPart(j *job) error {
	st := j.c.Base
	want := attrs{Mode: st.Mode &^ unix.S_IFMT, UID: st.UID, GID: st.GID}
	if j.part.Attributes {
		a := &j.c.Attr
		want = attrs{Mode: a.Mode &^ tree.KindMask, UID: a.UID, GID: a.GID}
		x, err := j.c.Object.Xattrs()
		if err != nil {
			return err
		}
		return s.dress(j, want, x, time.Unix(0, st.Atime), s.now)
	}
	fd, err := s.d.open(j.c.BasePath, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	x, err := layer.Xattrs(fd, "")
	if err != nil {
		return err
	}
	return s.dress(j, want, x, time.Unix(0, st.Atime), s.now)
}
