package change

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"

	"astrid/overlay"
)

// Patch writes a patch in git's format which, applied by git apply to a copy of
// the base, makes the files and symbolic links of the list what they are in the
// view. See the package comment for what such a patch cannot say. Each file of up
// to maxText bytes on both sides is a text diff unless it has a NUL; others are
// binary literals, streamed. The list may be collapsed or filtered.
func Patch(ctx context.Context, w io.Writer, s *overlay.Snapshot, list []Change) error {
	b := newBase(s.Base())
	defer b.close()
	x, err := newSides(ctx, s, b, Expand(list))
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, bufSize)
	for _, f := range x.files() {
		if err := f.write(ctx, out); err != nil {
			return fmt.Errorf("patch of %s: %w", Quote(f.path()), err)
		}
	}
	return out.Flush()
}

// filePatch is one file in a patch. old or new is nil when there is none.
type filePatch struct {
	oldPath, newPath string
	old, new         *side
}

func (f *filePatch) path() string {
	if f.new != nil {
		return f.newPath
	}
	return f.oldPath
}

// files pairs the two sides. A rename is written as one only where its source
// is not there afterwards and its target was not there before; git cannot say
// the rest (swaps, moves over something) but as other contents.
func (x *sides) files() []filePatch {
	renames, taken := map[string]string{}, map[string]bool{}
	paths := make([]string, 0, len(x.old)+len(x.new))
	for p := range x.new {
		paths = append(paths, p)
	}
	slices.SortFunc(paths, Compare)
	for _, p := range paths {
		from := x.from[p]
		if from == "" || x.old[p] != nil || x.old[from] == nil || x.new[from] != nil || taken[from] {
			continue
		}
		// A rename of a symbolic link does not say that it is one, and git then
		// refuses what comes to be below its old name.
		if x.old[from].mode == gitSymlink || x.new[p].mode == gitSymlink {
			continue
		}
		renames[p], taken[from] = from, true
	}
	for p := range x.old {
		if x.new[p] == nil {
			paths = append(paths, p)
		}
	}
	slices.SortFunc(paths, Compare)
	var out []filePatch
	for _, p := range paths {
		if !taken[p] {
			out = append(out, x.file(p, renames[p])...)
		}
	}
	return out
}

func (x *sides) file(p, from string) []filePatch {
	o, n := x.old[p], x.new[p]
	if from != "" {
		return []filePatch{{oldPath: from, newPath: p, old: x.old[from], new: n}}
	}
	if o == nil || n == nil {
		return []filePatch{{oldPath: p, newPath: p, old: o, new: n}}
	}
	if o.mode&^0o777 != n.mode&^0o777 {
		return []filePatch{{oldPath: p, newPath: p, old: o}, {oldPath: p, newPath: p, new: n}}
	}
	if n.same == o.same && n.same != "" && o.mode == n.mode {
		return nil
	}
	return []filePatch{{oldPath: p, newPath: p, old: o, new: n}}
}

func (f *filePatch) write(ctx context.Context, w *bufio.Writer) error {
	body, err := f.body(ctx)
	if err != nil {
		return err
	}
	if f.oldPath == f.newPath && f.old != nil && f.new != nil && f.old.mode == f.new.mode && body.same() {
		return nil
	}
	f.header(w, body)
	if body.same() {
		return nil
	}
	fmt.Fprintf(w, "index %s..%s", body.oldID, body.newID)
	if f.old != nil && f.new != nil && f.old.mode == f.new.mode {
		fmt.Fprintf(w, " %06o", f.new.mode)
	}
	fmt.Fprintln(w)
	if body.binary {
		return f.binary(ctx, w, body)
	}
	if len(body.hunks) > 0 {
		fmt.Fprintf(w, "--- %s\n", sideName("a/", f.oldPath, f.old))
		fmt.Fprintf(w, "+++ %s\n", sideName("b/", f.newPath, f.new))
	}
	_, err = w.Write(body.hunks)
	return err
}

func sideName(prefix, p string, s *side) string {
	if s == nil {
		return "/dev/null"
	}
	return quoteSpace(prefix + p)
}

func (f *filePatch) header(w io.Writer, b *body) {
	fmt.Fprintf(w, "diff --git %s %s\n", quoteSpace("a/"+f.oldPath), quoteSpace("b/"+f.newPath))
	switch {
	case f.old == nil:
		fmt.Fprintf(w, "new file mode %06o\n", f.new.mode)
	case f.new == nil:
		fmt.Fprintf(w, "deleted file mode %06o\n", f.old.mode)
	case f.old.mode != f.new.mode:
		fmt.Fprintf(w, "old mode %06o\nnew mode %06o\n", f.old.mode, f.new.mode)
	}
	if f.oldPath != f.newPath {
		fmt.Fprintf(w, "similarity index %d%%\n", b.similarity())
		fmt.Fprintf(w, "rename from %s\nrename to %s\n", quoteSpace(f.oldPath), quoteSpace(f.newPath))
	}
}
