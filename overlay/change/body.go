package change

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/rogpeppe/go-internal/diff"
)

// maxText is the largest file, in bytes, that a patch shows line by line.
const maxText = 4 << 20

const noBlob = "0000000000000000000000000000000000000000"

// body is what a patch says of the content of one file.
type body struct {
	oldID, newID   string // names of git's blobs
	binary         bool
	hunks          []byte
	added, deleted int
	lines          int // of both sides
	short          bool
}

func (b *body) same() bool { return b.short || b.oldID == b.newID }

// similarity is a percentage, as git prints it of a rename.
func (b *body) similarity() int {
	if b.same() {
		return 100
	}
	if b.lines == 0 {
		return 50
	}
	return 100 - min(99, max(1, 100*(b.added+b.deleted)/b.lines))
}

func (f *filePatch) body(ctx context.Context) (*body, error) {
	if f.old != nil && f.new != nil && f.old.same != "" && f.old.same == f.new.same {
		return &body{short: true}, nil
	}
	if f.size() > maxText {
		return f.large(ctx)
	}
	old, err := f.old.read(ctx)
	if err != nil {
		return nil, err
	}
	mine, err := f.new.read(ctx)
	if err != nil {
		return nil, err
	}
	b := &body{oldID: blobOf(f.old, old), newID: blobOf(f.new, mine)}
	if bytes.IndexByte(old, 0) >= 0 || bytes.IndexByte(mine, 0) >= 0 {
		b.binary = true
		return b, nil
	}
	b.text(old, mine)
	return b, nil
}

func (f *filePatch) size() (n int64) {
	for _, s := range []*side{f.old, f.new} {
		if s != nil {
			n = max(n, s.size)
		}
	}
	return n
}

// large names the blobs of files that are not held in memory.
func (f *filePatch) large(ctx context.Context) (b *body, err error) {
	b = &body{binary: true, oldID: noBlob, newID: noBlob}
	if f.old != nil {
		if b.oldID, err = f.old.blob(ctx); err != nil {
			return nil, err
		}
	}
	if f.new != nil {
		b.newID, err = f.new.blob(ctx)
	}
	return b, err
}

// text fills in the hunks.
func (b *body) text(old, mine []byte) {
	d := diff.Diff("a", old, "b", mine)
	for range 3 { // its own three lines of header
		if i := bytes.IndexByte(d, '\n'); i >= 0 {
			d = d[i+1:]
		}
	}
	b.hunks = d
	b.lines = bytes.Count(old, []byte{'\n'}) + bytes.Count(mine, []byte{'\n'})
	for line := range bytes.Lines(d) {
		switch line[0] {
		case '+':
			b.added++
		case '-':
			b.deleted++
		}
	}
}

// read returns the whole content; nothing for an absent side.
func (s *side) read(ctx context.Context) ([]byte, error) {
	if s == nil {
		return nil, nil
	}
	r, err := s.open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var buf bytes.Buffer
	if err := stream(ctx, &buf, io.LimitReader(r, maxText+1)); err != nil {
		return nil, err
	}
	if buf.Len() > maxText {
		return nil, errMoved
	}
	return buf.Bytes(), nil
}

func blobOf(s *side, content []byte) string {
	if s == nil {
		return noBlob
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(content))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}

// blob names the git blob of a side without holding it in memory.
func (s *side) blob(ctx context.Context) (string, error) {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", s.size)
	n, err := s.into(ctx, h)
	if err == nil && n != s.size {
		err = errMoved
	}
	return hex.EncodeToString(h.Sum(nil)), err
}

// into streams the content of a side.
func (s *side) into(ctx context.Context, w io.Writer) (int64, error) {
	r, err := s.open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	c := &counter{w: w}
	err = stream(ctx, c, r)
	return c.n, err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
