package change

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay"
)

// What a Hunk is of.
const (
	WhatLines      = "lines"      // some lines of a text file
	WhatAttributes = "attributes" // mode, owner and extended attributes of a file whose lines changed too
	WhatWhole      = "whole"      // everything of a path
)

// maxShown bounds, in bytes, what a Hunk of a whole path shows of it.
const maxShown = 64 << 10

// ErrNoHunk says that there is no such hunk, or not any more.
var ErrNoHunk = errors.New("there is no such hunk: what it is of was changed or committed since, or it is no hunk at all; list them again")

// ErrHunkID says that something cannot be the ID of a hunk.
var ErrHunkID = errors.New("it is not the ID of a hunk")

// Hunk is a part of the changes that can be committed by itself. Its ID says the path
// and, with 128 bits of a SHA-256, the content: it stays when other hunks of the file
// are committed or lines elsewhere move, and there is none when the content is another.
type Hunk struct {
	ID   string
	Path string
	From string // of an R
	Op   Op
	What string
	// Old and New are the lines of the base and of the view.
	Old, New Span
	// Text is the hunk as in a patch, with the lines around it. Of a whole path it is
	// the patch, at most maxShown bytes of it, and nothing where git's format has none.
	Text []byte
	// Parts are the runs of changed lines, when there are several: each is a hunk too.
	Parts []Hunk
}

// Span is a run of lines: N of them, after the first At.
type Span struct{ At, N int }

func (s Span) end() int { return s.At + s.N }

// Hunks calls each for every hunk of a list (of Options.All, without Same) in order
// that want agrees to, by the changes it is of; nil: all. A deleted directory is one
// hunk with all that was in it, as is everything of one .git directory; a new
// directory with something in it is none, since it comes with that.
func Hunks(ctx context.Context, s *overlay.Snapshot, list []Change, cache *Cache, want func(*Change) bool, each func(Hunk) error) error {
	h := &hunker{ctx: ctx, s: s, cache: cache, base: newBase(s.Base())}
	defer h.base.close()
	for _, u := range unitsOf(list) {
		if want != nil && !slices.ContainsFunc(u, want) {
			continue
		}
		hunks, err := h.unit(u)
		if err != nil {
			return fmt.Errorf("hunks of %s: %w", Quote(u[0].Path), err)
		}
		for _, x := range hunks {
			if err := each(x); err != nil {
				return err
			}
		}
	}
	return nil
}

// unitsOf sorts the changes into what can only be taken together, by the first.
func unitsOf(list []Change) [][]*Change {
	var out [][]*Change
	at := map[string]int{} // repository -> index in out
	gone, last := Root, -1 // the last deleted directory, and its index
	for i := range list {
		c := &list[i]
		if c.Op == Same {
			continue
		}
		repo := Repository(c.Path)
		if repo == c.Path && !c.IsDir() {
			repo = ""
		}
		switch n, seen := at[repo]; {
		case c.Op == Deleted && last >= 0 && Below(c.BasePath, gone):
			out[last] = append(out[last], c)
		case repo != "" && seen:
			out[n] = append(out[n], c)
		case c.Op == Added && c.IsDir() && repo == "" && holds(c, list[i+1:]):
		default:
			if repo != "" {
				at[repo] = len(out)
			}
			if c.Op == Deleted && c.IsDir() {
				gone, last = c.BasePath, len(out)
			}
			out = append(out, []*Change{c})
		}
	}
	return out
}

// holds tells whether something of the list, which goes on after a directory, is in it.
func holds(dir *Change, list []Change) bool {
	for i := range list {
		if list[i].Op != Same {
			return Below(list[i].Path, dir.Path)
		}
	}
	return false
}

type hunker struct {
	ctx   context.Context
	s     *overlay.Snapshot
	cache *Cache
	base  *base
}

// unit returns the hunks of one unit.
func (h *hunker) unit(u []*Change) ([]Hunk, error) {
	if len(u) == 1 && h.byLines(u[0]) {
		list, _, err := h.lines(u[0])
		if len(list) > 0 || err != nil {
			return list, err
		}
	}
	return h.whole(u)
}

// byLines tells whether a change is of a file of which some lines can be taken.
func (h *hunker) byLines(c *Change) bool {
	if c.Op != Modified || !c.Content || c.Kind != tree.KindRegular || c.Base == nil || c.Base.Mode&unix.S_IFMT != unix.S_IFREG {
		return false
	}
	if c.Links || c.Link != "" || c.Vanished || c.Appeared || c.Base.Nlink != 1 || c.Attr.Nlink != 1 || InGit(c.Path) {
		return false
	}
	own, _, _, _ := c.Object.Changed()
	return own && max(c.Base.Size, int64(c.Attr.Size)) <= maxText
}

// lines returns the hunks of a text file and its lines in the base and in the view;
// none of a file that is no text.
func (h *hunker) lines(c *Change) ([]Hunk, *splice, error) {
	x, err := newSides(h.ctx, h.s, h.base, []Change{*c})
	if err != nil {
		return nil, nil, err
	}
	f := filePatch{oldPath: c.BasePath, newPath: c.Path, old: x.old[c.BasePath], new: x.new[c.Path]}
	old, err := f.old.read(h.ctx)
	if err != nil {
		return nil, nil, err
	}
	mine, err := f.new.read(h.ctx)
	if err != nil {
		return nil, nil, err
	}
	if bytes.IndexByte(old, 0) >= 0 || bytes.IndexByte(mine, 0) >= 0 {
		return nil, nil, nil
	}
	b := &body{}
	b.text(old, mine)
	list, err := parseHunks(b.hunks)
	if err != nil {
		return nil, nil, err
	}
	nameHunks(c, list)
	if c.Perm || c.Xattrs {
		one, err := h.attributes(c)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, one)
	}
	return list, &splice{base: sha256.Sum256(old)}, nil
}

// whole returns the one hunk of a unit.
func (h *hunker) whole(u []*Change) ([]Hunk, error) {
	c := u[0]
	all := make([]Change, len(u))
	for i := range u {
		all[i] = *u[i]
	}
	sum, err := Digest(h.ctx, all, h.cache)
	if err != nil {
		return nil, err
	}
	x := Hunk{Path: c.Path, From: c.From, Op: c.Op, What: WhatWhole}
	if repo := Repository(c.Path); repo != "" && len(u) > 1 && c.Path != repo {
		x.Path, x.From, x.Op = repo, "", Modified
	}
	x.ID = hunkID(x.Path, WhatWhole, []byte(sum))
	w := &capped{left: maxShown}
	if err := Patch(h.ctx, w, h.s, all); err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	x.Text = w.Bytes()
	return []Hunk{x}, nil
}

func (h *hunker) attributes(c *Change) (Hunk, error) {
	d := digest{h: sha256.New(), ctx: h.ctx, cache: h.cache}
	for _, n := range []uint32{c.Base.Mode, c.Base.UID, c.Base.GID, c.Attr.Mode, c.Attr.UID, c.Attr.GID} {
		d.number(uint64(n))
	}
	if err := d.xattrs(c); err != nil {
		return Hunk{}, err
	}
	x := Hunk{Path: c.Path, Op: c.Op, What: WhatAttributes, ID: hunkID(c.Path, WhatAttributes, d.h.Sum(nil))}
	if old, mine := gitMode(c.Base.Mode), gitMode(c.Attr.Mode); old != mine {
		x.Text = fmt.Appendf(nil, "old mode %06o\nnew mode %06o\n", old, mine)
	}
	return x, nil
}

// pathID is the part of a hunk's ID that says the path.
func pathID(p string) string {
	sum := sha256.Sum256([]byte(p))
	return hex.EncodeToString(sum[:4])
}

func hunkID(p, what string, content []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s %s ", len(p), p, what)
	h.Write(content)
	return pathID(p) + hex.EncodeToString(h.Sum(nil)[:16])
}

// nameHunks gives the hunks of a file their names, those that say the same by their
// order.
func nameHunks(c *Change, list []Hunk) {
	seen := map[string]int{}
	for i := range list {
		x := &list[i]
		x.Path, x.Op, x.What = c.Path, c.Op, WhatLines
		said := string(x.Text[bytes.IndexByte(x.Text, '\n')+1:])
		seen[said]++
		content := strconv.AppendInt([]byte(said), int64(seen[said]), 10)
		x.ID = hunkID(c.Path, WhatLines, content)
		for j := range x.Parts {
			p := &x.Parts[j]
			p.Path, p.Op, p.What = c.Path, c.Op, WhatLines
			p.ID = hunkID(c.Path, "part", strconv.AppendInt([]byte(x.ID+" "), int64(j), 10))
		}
	}
}

// errEnough ends the writing of a text of which enough is there.
var errEnough = errors.New("enough")

// capped takes what is written up to a bound.
type capped struct {
	bytes.Buffer
	left int
}

func (w *capped) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	w.Buffer.Write(p[:n])
	if n < len(p) {
		return n, errEnough
	}
	return n, nil
}
