package commit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/change"
	"astrid/overlay/layer"
)

const (
	keptFor = 24 * time.Hour
	// keptCopyMax bounds how much of one discard is copied where files cannot be
	// linked; larger files are named without their bytes.
	keptCopyMax = 1 << 30
	keptPrefix  = "discarded-"
	keptList    = "changes.json"
)

// keptRec is one line of the list beside the kept files.
type keptRec struct {
	Op     string
	Path   Path
	From   Path   `json:",omitempty"`
	Link   Path   `json:",omitempty"`
	Mode   uint32 // with the kind, as st_mode
	UID    uint32
	GID    uint32
	Rdev   uint32          `json:",omitempty"`
	Mtime  int64           // ns since 1970
	Target Path            `json:",omitempty"` // of a symbolic link
	Xattrs map[Path][]byte `json:",omitempty"`
	Data   string          `json:",omitempty"` // the file beside the list with the bytes
	Lost   string          `json:",omitempty"` // why there are none
}

// keeper keeps what a discard drops: the bytes as files, linked from the
// session's own where that can be, and a list that says what they were.
type keeper struct {
	ctx  context.Context
	dir  int
	n    int
	copy int64 // bytes that may still be copied
	list []keptRec
	data map[uint64]string // by object, for those with several names
}

// keep returns the directory made, "" when nothing is kept.
func keep(ctx context.Context, cfg Config, drop []*change.Change) (string, error) {
	if cfg.Kept == "" || len(drop) == 0 {
		return "", nil
	}
	root, err := openDir(cfg.Kept)
	if err != nil {
		return "", err
	}
	defer unix.Close(root)
	name := keptPrefix + strconv.FormatInt(cfg.Now().UnixNano(), 10)
	if err := unix.Mkdirat(root, name, 0o700); err != nil {
		return "", err
	}
	k := &keeper{ctx: ctx, copy: keptCopyMax, data: map[uint64]string{}}
	if k.dir, err = layer.Open(root, name, unix.O_RDONLY|unix.O_DIRECTORY, 0); err != nil {
		return "", err
	}
	defer unix.Close(k.dir)
	for _, c := range drop {
		if err := k.one(c); err != nil {
			d := newDisk(root)
			return "", errors.Join(fmt.Errorf("%s: %w", change.Quote(c.Path), err), d.remove(name))
		}
	}
	b, err := json.Marshal(k.list)
	if err == nil {
		err = layer.WriteFile(k.dir, keptList, b, 0o600)
	}
	if err != nil {
		return "", err
	}
	return strings.TrimRight(cfg.Kept, "/") + "/" + name, nil
}

func (k *keeper) one(c *change.Change) error {
	if err := k.ctx.Err(); err != nil {
		return err
	}
	if c.Op == change.Same {
		return nil
	}
	r := keptRec{Op: c.Op.String(), Path: Path(c.Path), From: Path(c.From), Link: Path(c.Link)}
	if c.Op != change.Deleted && !c.Vanished {
		a := &c.Attr
		r.Mode, r.UID, r.GID, r.Rdev, r.Mtime = a.Mode, a.UID, a.GID, a.Rdev, a.Mtime.UnixNano()
		x, err := c.Object.Xattrs()
		if err != nil {
			return err
		}
		r.Xattrs = journaled(x)
		if c.Content {
			if err := k.content(c, &r); err != nil {
				return err
			}
		}
	}
	k.list = append(k.list, r)
	return nil
}

func (k *keeper) content(c *change.Change, r *keptRec) error {
	switch c.Kind {
	case tree.KindSymlink:
		target, err := c.Object.Readlink()
		r.Target = Path(target)
		return err
	case tree.KindRegular:
	default:
		return nil
	}
	if name, ok := k.data[c.Object.Ino]; ok {
		r.Data = name
		return nil
	}
	f, err := c.Object.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	k.n++
	name := strconv.Itoa(k.n)
	if err := k.file(f, name); errors.Is(err, unix.EFBIG) {
		r.Lost = "too large to be copied"
		return nil
	} else if err != nil {
		return err
	}
	r.Data, k.data[c.Object.Ino] = name, name
	return nil
}

// source is an open content of the view.
type source interface {
	io.ReaderAt
	Size() int64
	Fd() int
}

func (k *keeper) file(f source, name string) error {
	if fd := f.Fd(); fd >= 0 {
		err := unix.Linkat(unix.AT_FDCWD, procFd(fd), k.dir, name, unix.AT_SYMLINK_FOLLOW)
		if err == nil {
			return nil
		}
	}
	if k.copy -= f.Size(); k.copy < 0 {
		k.copy += f.Size()
		return unix.EFBIG
	}
	dst, err := layer.Open(k.dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(dst)
	if fd := f.Fd(); fd >= 0 {
		return layer.Copy(dst, fd, f.Size())
	}
	s := &stager{ctx: k.ctx}
	return s.stream(dst, io.NewSectionReader(f, 0, f.Size()))
}

// pruneKept removes what was kept long enough.
func (w *workspace) pruneKept(cfg Config) {
	if cfg.Kept == "" {
		return
	}
	fd, err := openDir(cfg.Kept)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	d := newDisk(fd)
	defer d.forget()
	all, err := d.names(change.Root)
	if err != nil {
		return
	}
	for _, name := range all {
		at, err := strconv.ParseInt(strings.TrimPrefix(name, keptPrefix), 10, 64)
		if err != nil || !strings.HasPrefix(name, keptPrefix) || cfg.Now().Sub(time.Unix(0, at)) < keptFor {
			continue
		}
		if err := d.remove(name); err != nil {
			cfg.Log.Warn("discarded changes left", "dir", name, "err", err)
		}
	}
}

// statBytes adds the space of what a walk meets to sum.
func statBytes(sum *int64) func(string, *layer.Stat) (bool, error) {
	return func(_ string, st *layer.Stat) (bool, error) {
		*sum += st.Blocks * 512
		return false, nil
	}
}
