package commit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// conflicts returns what in the workspace stands in the way of the taken items.
// settled is when the last commit ended, in ns since 1970.
func (s *selection) conflicts(ctx context.Context, d *disk, settled int64) ([]Conflict, error) {
	lost := map[string]string{}
	for _, it := range s.items {
		c := it.c
		switch {
		case !c.IsDir() || c.Op == change.Deleted:
		case c.Vanished:
			lost[c.Path] = "its directory was moved or replaced in the workspace"
		case c.Op == change.Same && c.Appeared && c.Path != stageRoot:
			lost[c.Path] = "its directory was made in the workspace too"
		}
	}
	var out []Conflict
	units := map[*repository]bool{}
	for _, it := range s.items {
		if it.v != taken || it.c.Op == change.Same {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		u := it.unit
		if u != nil && !units[u] {
			units[u] = true
			if err := s.compareIndex(d, u); err != nil {
				return nil, fmt.Errorf("look at %s: %w", change.Quote(u.path), err)
			}
			more, err := u.moved(d)
			if err != nil {
				return nil, fmt.Errorf("look at %s: %w", change.Quote(u.path), err)
			}
			out = append(out, more...)
		}
		if u != nil && u.staged && it.c.BasePath == u.index(u.place()) && !it.c.Vanished {
			continue
		}
		why, err := conflict(d, it.c, lost, settled)
		if err != nil {
			return nil, fmt.Errorf("compare %s with the workspace: %w", change.Quote(it.c.Path), err)
		}
		if why != "" {
			out = append(out, Conflict{it.c.Path, why})
		}
	}
	return out, nil
}

// conflict tells why one change cannot be made, "" if it can.
func conflict(d *disk, c *change.Change, lost map[string]string, settled int64) (string, error) {
	for p := change.Parent(c.Path); p != change.Root; p = change.Parent(p) {
		if why := lost[p]; why != "" {
			return why, nil
		}
	}
	switch {
	case c.Vanished && c.Op == change.Renamed:
		return "it is not at " + change.Quote(c.From) + " any more", nil
	case c.Vanished:
		return "it was removed or replaced in the workspace", nil
	case c.Appeared && c.Path != stageRoot:
		return "something appeared there in the workspace", nil
	}
	if changedLater(c, settled) {
		if c.Op == change.Deleted {
			return "it was changed in the workspace after the view removed it", nil
		}
		return "it was changed in the workspace after the view replaced it", nil
	}
	if !c.Content || c.Base == nil || c.IsDir() {
		return "", nil
	}
	origin, stands := standsFor(c)
	if !stands || !origin.Copied {
		return "", nil
	}
	return edited(d, c, origin.Finger)
}

// changedLater tells whether a base object that the view removed or replaced is
// not what the view knew. Where that is not known it is a question of time; a
// ctime that our own last commit may have moved says nothing then, nor does that
// of a file with several names: one that comes or goes moves it.
func changedLater(c *change.Change, settled int64) bool {
	st := removed(c)
	if st == nil {
		return false
	}
	if c.Grave != nil {
		if known, same := c.Grave.Knew(st.Fingerprint()); known {
			return !same
		}
	}
	if c.Removed == 0 || isDir(st) {
		return false
	}
	if st.Mtime > c.Removed || st.Btime > c.Removed {
		return true
	}
	return st.Nlink == 1 && st.Ctime > max(c.Removed, settled)
}

// removed is the base object that a change takes away, nil for none. A directory
// that is made anew takes only away what it does not have.
func removed(c *change.Change) *layer.Stat {
	switch c.Op {
	case change.Renamed:
		return c.Over
	case change.Deleted, change.Typed:
		return c.Base
	}
	if _, stands := standsFor(c); stands || c.IsDir() {
		return nil
	}
	return c.Base
}

// lastCommit is when the last commit ended; 0 when there was none.
func lastCommit(cfg Config) int64 {
	fd, err := openDir(cfg.Journal)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	l, err := numbered(fd, undoPrefix)
	if err != nil || len(l) == 0 {
		return 0
	}
	var st layer.Stat
	if layer.Statx(fd, journalName(undoPrefix, l[len(l)-1]), &st) != nil {
		return 0
	}
	return st.Ctime
}

// edited compares the base file with what it was when the view took it. When
// only its inode or ctime moved, the bytes decide.
func edited(d *disk, c *change.Change, was layer.Fingerprint) (string, error) {
	now := c.Base
	if now.Size != was.Size || now.Mtime != was.Mtime {
		return "it was changed in the workspace too", nil
	}
	if now.Mode != was.Mode && c.Perm {
		return "its mode was changed in the workspace too", nil
	}
	if sameInode(now.Key, was.Key) && now.Ctime == was.Ctime {
		return "", nil
	}
	original, kept, err := c.Object.Ancestor()
	if err != nil {
		return "", err
	}
	if !kept {
		return "it was touched in the workspace, and the original was not kept to compare it with", nil
	}
	theirs, err := hashFile(d, c.BasePath)
	if err != nil {
		return "", err
	}
	if theirs != sha256.Sum256(original) {
		return "it was changed in the workspace too", nil
	}
	return "", nil
}

func hashFile(d *disk, p string) (sum [sha256.Size]byte, err error) {
	fd, err := d.open(p, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return sum, err
	}
	f := os.NewFile(uintptr(fd), p)
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil && !errors.Is(err, io.EOF) {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// sameInode compares identities within one workspace, whose device number may
// have changed with a boot.
func sameInode(a, b layer.Key) bool {
	a.Dev, b.Dev = 0, 0
	return a.Same(b)
}
