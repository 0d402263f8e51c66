package commit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/change"
	"astrid/overlay/layer"
)

const (
	// stageRoot is where everything of ours in a workspace lies.
	stageRoot = ".astrid"
	// undoRoot holds pre-images in the workspace.
	undoRoot = stageRoot + "/undo"
	// syncEach is up to how many objects are synced one by one; beyond that the
	// whole file system is.
	syncEach = 64
)

// stageName finds a name for the staging directory that is free: one of another
// home may be there.
func stageName(d *disk, n uint64) (string, error) {
	name := stageRoot + "/" + journalPrefix + strconv.FormatUint(n, 10)
	for i := 0; i < 1000; i++ {
		p := name
		if i > 0 {
			p += "-" + strconv.Itoa(i)
		}
		st, err := d.stat(p)
		if err != nil {
			return "", err
		}
		if st == nil {
			return p, nil
		}
	}
	return "", unix.EEXIST
}

// makeDot makes sure that there is a directory for ours in the workspace.
func makeDot(d *disk) error {
	err := unix.Mkdirat(d.root, stageRoot, 0o700)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("make %s in the workspace: %w", stageRoot, err)
	}
	st, err := d.stat(stageRoot)
	if err != nil {
		return err
	}
	if st == nil || !isDir(st) {
		return fmt.Errorf("%s in the workspace is no directory: %w", stageRoot, unix.ENOTDIR)
	}
	return nil
}

// unmakeDot takes it away again when nothing is in it.
func unmakeDot(d *disk) {
	d.forget()
	_ = unix.Unlinkat(d.root, undoRoot, unix.AT_REMOVEDIR)
	_ = unix.Unlinkat(d.root, stageRoot, unix.AT_REMOVEDIR)
}

// stager prepares objects.
type stager struct {
	ctx  context.Context
	d    *disk
	kill func(string)
	now  time.Time // of what is staged in part
}

// run does all jobs of a layout: parents come before what is in them. Nothing
// of it is visible outside the staging directory.
func (s *stager) run(l *layout) error {
	if err := s.d.mkdir(l.stage, 0o700); err != nil {
		return fmt.Errorf("make %s in the workspace: %w", l.stage, err)
	}
	s.kill("stage: directory made")
	for _, j := range l.jobs {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		if err := s.make(j); err != nil {
			return fmt.Errorf("prepare %s: %w", change.Quote(j.c.Path), err)
		}
		s.kill("stage: object made")
	}
	for _, j := range slices.Backward(l.jobs) {
		if !j.c.IsDir() {
			continue
		}
		if err := s.finish(j); err != nil {
			return fmt.Errorf("prepare %s: %w", change.Quote(j.c.Path), err)
		}
	}
	if err := s.sync(l); err != nil {
		return fmt.Errorf("write %s out: %w", l.stage, err)
	}
	for _, j := range l.jobs {
		st, err := s.d.stat(j.slot)
		if err != nil {
			return err
		}
		if st == nil {
			return fmt.Errorf("%s is gone: %w", j.slot, unix.ESTALE)
		}
		j.st = *st
	}
	s.kill("stage: done")
	return nil
}

func (d *disk) mkdir(p string, mode uint32) error {
	fd, err := d.at(change.Parent(p))
	if err != nil {
		return err
	}
	return unix.Mkdirat(fd, change.Base(p), mode)
}

func (s *stager) make(j *job) error {
	if j.link != "" {
		return s.d.link(j.link, j.slot)
	}
	fd, err := s.d.at(change.Parent(j.slot))
	if err != nil {
		return err
	}
	name := change.Base(j.slot)
	switch j.c.Kind {
	case tree.KindDir:
		return unix.Mkdirat(fd, name, 0o700)
	case tree.KindRegular:
		if j.part != nil {
			return s.partOf(j, fd, name)
		}
		if err := s.file(j, fd, name); err != nil {
			return err
		}
	case tree.KindSymlink:
		target, err := j.c.Object.Readlink()
		if err != nil {
			return err
		}
		if err := unix.Symlinkat(target, fd, name); err != nil {
			return err
		}
	default:
		if err := unix.Mknodat(fd, name, uint32(j.c.Kind)|0o600, int(j.c.Attr.Rdev)); err != nil {
			return err
		}
	}
	return s.finish(j)
}

// file makes a file with the content of the view's.
func (s *stager) file(j *job, dirfd int, name string) error {
	src, err := j.c.Object.Open()
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := layer.Open(dirfd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(dst)
	if fd := src.Fd(); fd >= 0 {
		err = layer.Copy(dst, fd, src.Size())
	} else {
		err = s.stream(dst, io.NewSectionReader(src, 0, src.Size()))
	}
	if err != nil {
		return err
	}
	var st layer.Stat
	if err := layer.Statx(dst, "", &st); err != nil {
		return err
	}
	if st.Size != src.Size() {
		return fmt.Errorf("it changed while it was copied: %w", unix.ESTALE)
	}
	return nil
}

func (s *stager) stream(dst int, r io.Reader) error {
	buf := make([]byte, 128<<10)
	for {
		n, err := r.Read(buf)
		if werr := writeAll(dst, buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.ctx.Err(); err != nil {
			return err
		}
	}
}

// finish gives a staged object its attributes.
func (s *stager) finish(j *job) error {
	x, err := j.c.Object.Xattrs()
	if err != nil {
		return err
	}
	a := &j.c.Attr
	want := attrs{Mode: a.Mode &^ tree.KindMask, UID: a.UID, GID: a.GID}
	if j.shut() {
		want.Mode |= 0o700
	}
	return s.dress(j, want, x, a.Atime, a.Mtime)
}

// dress gives a staged object these attributes.
func (s *stager) dress(j *job, want attrs, x map[string][]byte, atime, mtime time.Time) error {
	fd, err := s.d.open(j.slot, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := setPerm(fd, uint32(j.c.Kind), want); err != nil {
		return err
	}
	if err := setXattrs(fd, x); err != nil {
		return err
	}
	return layer.Utimes(fd, atime.UnixNano(), mtime.UnixNano())
}

// shut tells whether a staged directory must stay open until it has arrived and
// everything in it: only root may move a directory that cannot be written to.
func (j *job) shut() bool {
	const need = 0o300
	return j.c.IsDir() && j.c.Attr.Mode&need != need && unix.Geteuid() != 0
}

// sync makes what was staged survive a power cut.
func (s *stager) sync(l *layout) error {
	if len(l.jobs) > syncEach {
		fd, err := s.d.open(l.stage, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Syncfs(fd)
	}
	for _, j := range l.jobs {
		if j.c.Kind != tree.KindRegular && !j.c.IsDir() || j.link != "" {
			continue
		}
		if err := s.syncOne(j); err != nil {
			return err
		}
	}
	if err := s.d.sync(l.stage); err != nil {
		return err
	}
	return s.d.sync(stageRoot)
}

func (s *stager) syncOne(j *job) error {
	fd, err := s.d.open(j.slot, unix.O_RDONLY|unix.O_NONBLOCK)
	if errors.Is(err, unix.EACCES) { // its mode does not let us read it: then everything
		if fd, err = s.d.open(stageRoot, unix.O_RDONLY|unix.O_DIRECTORY); err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Syncfs(fd)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fsync(fd)
}

// setPerm sets owner and mode of an object opened with O_PATH, in the order in
// which the kernel does not clear set-id bits again.
func setPerm(fd int, kind uint32, want attrs) error {
	var st layer.Stat
	if err := layer.Statx(fd, "", &st); err != nil {
		return err
	}
	if st.UID != want.UID || st.GID != want.GID {
		if err := unix.Fchownat(fd, "", int(want.UID), int(want.GID), unix.AT_EMPTY_PATH); err != nil {
			return fmt.Errorf("set its owner to %d:%d: %w", want.UID, want.GID, err)
		}
	}
	if kind == unix.S_IFLNK {
		return nil
	}
	if err := unix.Chmod(procFd(fd), want.Mode&0o7777); err != nil {
		return fmt.Errorf("set its mode to %o: %w", want.Mode&0o7777, err)
	}
	return nil
}

func procFd(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// setXattrs makes the extended attributes of an object exactly those wanted.
func setXattrs(fd int, want map[string][]byte) error {
	have, err := layer.Xattrs(fd, "")
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[name]; ok {
			continue
		}
		if err := layer.Removexattr(fd, "", name); err != nil && !errors.Is(err, unix.ENODATA) {
			return fmt.Errorf("remove its attribute %s: %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if v, ok := have[name]; ok && bytes.Equal(v, want[name]) {
			continue
		}
		if err := layer.Setxattr(fd, "", name, want[name], 0); err != nil {
			return fmt.Errorf("set its attribute %s: %w", name, err)
		}
	}
	return nil
}
