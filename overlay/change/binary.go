package change

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
)

// binary writes both contents as literals, the new one first; git applies the
// first and reverts with the second.
func (f *filePatch) binary(ctx context.Context, w *bufio.Writer, b *body) error {
	if _, err := w.WriteString("GIT binary patch\n"); err != nil {
		return err
	}
	if err := f.new.literal(ctx, w, b.newID); err != nil {
		return err
	}
	return f.old.literal(ctx, w, b.oldID)
}

// literal writes one content: its size, then zlib in base 85, then an empty
// line. What is written must still be the blob id.
func (s *side) literal(ctx context.Context, w *bufio.Writer, id string) error {
	var size int64
	if s != nil {
		size = s.size
	}
	fmt.Fprintf(w, "literal %d\n", size)
	lines := &base85{w: w}
	z := zlib.NewWriter(lines)
	if s != nil {
		if err := s.deflate(ctx, z, id); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	if err := lines.flush(); err != nil {
		return err
	}
	return w.WriteByte('\n')
}

func (s *side) deflate(ctx context.Context, z io.Writer, id string) error {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", s.size)
	if _, err := s.into(ctx, io.MultiWriter(z, h)); err != nil {
		return err
	}
	if hex.EncodeToString(h.Sum(nil)) != id {
		return errMoved
	}
	return nil
}

const (
	alphabet85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
	perLine    = 52 // bytes in one line
)

// base85 writes what it is given in lines as git does: a letter for the number
// of bytes, then five characters for each four of them.
type base85 struct {
	w   *bufio.Writer
	buf bytes.Buffer
}

func (b *base85) Write(p []byte) (int, error) {
	b.buf.Write(p)
	for b.buf.Len() >= perLine {
		if err := b.line(b.buf.Next(perLine)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (b *base85) flush() error {
	if b.buf.Len() == 0 {
		return nil
	}
	return b.line(b.buf.Next(perLine))
}

func (b *base85) line(p []byte) error {
	n := byte('A' + len(p) - 1)
	if len(p) > 26 {
		n = byte('a' + len(p) - 27)
	}
	if err := b.w.WriteByte(n); err != nil {
		return err
	}
	for len(p) > 0 {
		var word [4]byte
		p = p[copy(word[:], p):]
		v := uint32(word[0])<<24 | uint32(word[1])<<16 | uint32(word[2])<<8 | uint32(word[3])
		var out [5]byte
		for i := 4; i >= 0; i-- {
			out[i] = alphabet85[v%85]
			v /= 85
		}
		if _, err := b.w.Write(out[:]); err != nil {
			return err
		}
	}
	return b.w.WriteByte('\n')
}
