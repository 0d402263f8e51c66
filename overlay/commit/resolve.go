package commit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// Side is one of the versions of a path in conflict.
type Side string

// The sides.
const (
	Mine     Side = "mine"   // the view's
	Theirs   Side = "theirs" // the workspace's
	Ancestor Side = "base"   // what the view's change began with
)

// Version describes one side.
type Version struct {
	There bool
	Mode  uint32 // with the kind, as st_mode; not of an Ancestor
	Size  int64
}

// Dispute is a conflict and what is there of it.
type Dispute struct {
	Conflict
	// Place is the path in the workspace, which differs in a moved directory.
	Place                  string
	Mine, Theirs, Ancestor Version
	// State names the workspace's side as it is now: it changes with every edit.
	State string
}

// ErrNoConflict says that a path is in no conflict.
var ErrNoConflict = errors.New("it is in no conflict with the workspace")

// ErrNotResolved says that a conflict is of a kind that no side can be kept of.
var ErrNotResolved = errors.New("this conflict cannot be resolved by keeping one side")

// Disputes lists the conflicts that a commit of these paths would meet; none: of
// everything.
func Disputes(ctx context.Context, o *overlay.Overlay, cfg Config, paths []string) (list []Dispute, err error) {
	cfg = cfg.withDefaults()
	err = o.Still(func(s *overlay.Snapshot) error {
		list, err = disputes(ctx, o, s, cfg, paths)
		return err
	})
	return list, err
}

func disputes(ctx context.Context, o *overlay.Overlay, s *overlay.Snapshot, cfg Config, paths []string) ([]Dispute, error) {
	d := newDisk(o.BaseFd())
	defer d.forget()
	r := &run{ctx: ctx, o: o, cfg: cfg, w: &workspace{d: d}, snap: s, req: Request{Paths: paths}}
	_, sel, err := r.choose()
	if err != nil {
		return nil, err
	}
	conflicts, err := sel.conflicts(ctx, d, lastCommit(cfg))
	if err != nil {
		return nil, err
	}
	at := map[string]*change.Change{}
	for _, it := range sel.items {
		if it.v == taken && it.c.Op != change.Same {
			at[it.c.Path] = it.c
		}
	}
	var list []Dispute
	for _, c := range conflicts {
		x := Dispute{Conflict: c, Place: c.Path}
		if c := at[c.Path]; c != nil {
			if err := x.describe(d, c); err != nil {
				return nil, fmt.Errorf("look at %s: %w", change.Quote(c.Path), err)
			}
		}
		list = append(list, x)
	}
	return list, nil
}

// describe fills in the sides.
func (x *Dispute) describe(d *disk, c *change.Change) error {
	if place := placeOf(c); place != "" {
		x.Place = place
	}
	st, err := d.stat(x.Place)
	if err != nil {
		return err
	}
	x.State = stateOf(st)
	if st != nil {
		x.Theirs = Version{There: true, Mode: st.Mode, Size: st.Size}
	}
	if c.Op == change.Deleted {
		return nil
	}
	x.Mine = Version{There: true, Mode: c.Attr.Mode, Size: int64(c.Attr.Size)}
	original, kept, err := c.Object.Ancestor()
	if kept {
		x.Ancestor = Version{There: true, Size: int64(len(original))}
	}
	return err
}

// placeOf is where the workspace has its side of a change.
func placeOf(c *change.Change) string {
	if c.Op == change.Renamed && c.Over != nil || c.BasePath == "" {
		return c.Place
	}
	return c.BasePath
}

// stateOf names a state of a base object.
func stateOf(st *layer.Stat) string {
	if st == nil {
		return "none"
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %d %d %d %d", st.Ino, st.Btime, st.Size, st.Mtime, st.Ctime, st.Mode))
	return hex.EncodeToString(sum[:8])
}

// ReadSide writes one side of a regular file to w: fs.ErrNotExist when there is
// none.
func ReadSide(ctx context.Context, o *overlay.Overlay, cfg Config, path string, side Side, w io.Writer) error {
	cfg = cfg.withDefaults()
	return o.Still(func(s *overlay.Snapshot) error {
		list, err := change.List(ctx, s, change.Options{All: true, Same: true, Cache: cfg.Cache})
		if err != nil {
			return err
		}
		for i := range list {
			if list[i].Path == path {
				return readSide(o, &list[i], side, w)
			}
		}
		return fmt.Errorf("%s: %w", change.Quote(path), ErrNoConflict)
	})
}

func readSide(o *overlay.Overlay, c *change.Change, side Side, w io.Writer) error {
	switch side {
	case Ancestor:
		if c.Op == change.Deleted {
			return os.ErrNotExist
		}
		b, kept, err := c.Object.Ancestor()
		if err == nil && !kept {
			err = os.ErrNotExist
		}
		if err == nil {
			_, err = w.Write(b)
		}
		return err
	case Mine:
		if c.Op == change.Deleted || c.Kind != tree.KindRegular {
			return os.ErrNotExist
		}
		f, err := c.Object.Open()
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, io.NewSectionReader(f, 0, f.Size()))
		return err
	case Theirs:
		return readTheirs(o, c, w)
	}
	return fmt.Errorf("%q is no side of a conflict: %w", side, unix.EINVAL)
}

func readTheirs(o *overlay.Overlay, c *change.Change, w io.Writer) error {
	d := newDisk(o.BaseFd())
	defer d.forget()
	fd, err := d.open(placeOf(c), unix.O_RDONLY|unix.O_NONBLOCK)
	if missing(err) {
		return os.ErrNotExist
	}
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), c.Path)
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return errors.Join(err, os.ErrNotExist)
	}
	_, err = io.Copy(w, f)
	return err
}

// Resolution says how conflicts are to end.
type Resolution struct {
	Paths []string // those of conflicts, each as Disputes names it
	Keep  Side     // Mine or Theirs
	// State, when not empty, is what the workspace's side of the one path must
	// still be: Dispute.State.
	State string
}

// Resolve ends conflicts: with Mine the view's change stays, and builds on what
// the workspace has now; with Theirs the change is dropped, and kept for a day like
// what Discard drops. It returns what is dropped and where that is kept.
// ErrNoConflict, ErrNotResolved, ErrBusy, ErrPending; a *ConflictError when the
// workspace's side is not in the state that was asked for. Conflicts before the
// one that cannot be resolved are.
func Resolve(ctx context.Context, o *overlay.Overlay, cfg Config, req Resolution) (dropped []change.Change, kept string, err error) {
	cfg = cfg.withDefaults()
	w, err := enter(o, cfg)
	if err != nil {
		return nil, "", err
	}
	defer w.close()
	if _, err := w.nextNumber(o); err != nil {
		return nil, "", err
	}
	list, err := everyDispute(ctx, o, cfg, req.Paths)
	if err != nil {
		return nil, "", err
	}
	for _, p := range req.Paths {
		if err := among(list, p, req.State); err != nil {
			return nil, "", err
		}
	}
	if req.Keep == Theirs {
		return w.discard(ctx, o, cfg, literal(req.Paths), nil)
	}
	for _, p := range req.Paths {
		if err := o.Adopt(p); errors.Is(err, overlay.ErrNotAdopted) || errors.Is(err, unix.ENOENT) {
			return nil, "", fmt.Errorf("%s: %w", change.Quote(p), ErrNotResolved)
		} else if err != nil {
			return nil, "", err
		}
	}
	if list, err = everyDispute(ctx, o, cfg, req.Paths); err != nil {
		return nil, "", err
	}
	for _, p := range req.Paths {
		if among(list, p, "") == nil {
			return nil, "", fmt.Errorf("%s: %w", change.Quote(p), ErrNotResolved)
		}
	}
	return nil, "", nil
}

// everyDispute lists the conflicts of a commit of everything, and those of paths
// that are only committed when they are named.
func everyDispute(ctx context.Context, o *overlay.Overlay, cfg Config, named []string) ([]Dispute, error) {
	list, err := Disputes(ctx, o, cfg, nil)
	if err != nil {
		return nil, err
	}
	more, err := Disputes(ctx, o, cfg, literal(named))
	return append(list, more...), err
}

// among checks that a path is in a conflict, and in the state that was seen.
func among(list []Dispute, p, state string) error {
	for _, x := range list {
		if x.Path != p {
			continue
		}
		if state != "" && x.State != state {
			return &ConflictError{[]Conflict{{p, "the workspace's side was changed just now: look again"}}}
		}
		return nil
	}
	return fmt.Errorf("%s: %w", change.Quote(p), ErrNoConflict)
}

// literal makes patterns of paths that match only these.
func literal(paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		var b strings.Builder
		for _, r := range []byte(p) {
			if strings.IndexByte(`*?[]{}\`, r) >= 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(r)
		}
		out[i] = b.String()
	}
	return out
}
