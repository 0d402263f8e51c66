package change

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"astrid/fs/tree"
)

// Digest is a SHA-256, in hex, over everything that a commit of the list would
// carry over: letters, paths, kinds, modes, owners, times of what is no
// directory, extended attributes, link groups and contents. Inode numbers and
// the time of asking play no part. A collapsed list has the digest of the whole.
func Digest(ctx context.Context, list []Change, cache *Cache) (string, error) {
	d := digest{h: sha256.New(), ctx: ctx, cache: cache}
	d.text("astrid changes 1")
	for _, c := range Expand(list) {
		if c.Op == Same {
			continue
		}
		if err := d.change(&c); err != nil {
			return "", fmt.Errorf("digest of %s: %w", Quote(c.Path), err)
		}
	}
	return hex.EncodeToString(d.h.Sum(nil)), nil
}

type digest struct {
	h     hash.Hash
	ctx   context.Context
	cache *Cache
}

func (d *digest) text(s string) {
	d.number(uint64(len(s)))
	_, _ = io.WriteString(d.h, s)
}

func (d *digest) number(n uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	d.h.Write(b[:])
}

func (d *digest) change(c *Change) error {
	d.text(c.Op.String())
	d.text(c.Path)
	d.text(c.From)
	d.text(c.Link)
	if c.Op == Deleted || c.Vanished {
		d.number(uint64(c.Kind))
		return nil
	}
	d.number(uint64(c.Attr.Mode))
	d.number(uint64(c.Attr.UID))
	d.number(uint64(c.Attr.GID))
	if c.Links {
		d.text("links")
	}
	if !c.IsDir() && (c.Content || c.Times) {
		d.number(uint64(c.Attr.Mtime.UnixNano()))
	}
	if c.Xattrs {
		if err := d.xattrs(c); err != nil {
			return err
		}
	}
	if c.Content {
		return d.content(c)
	}
	return nil
}

func (d *digest) xattrs(c *Change) error {
	m, err := c.Object.Xattrs()
	if err != nil {
		return err
	}
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.SortFunc(names, strings.Compare)
	d.number(uint64(len(names)))
	for _, name := range names {
		d.text(name)
		d.text(string(m[name]))
	}
	return nil
}

func (d *digest) content(c *Change) error {
	switch c.Kind {
	case tree.KindRegular:
		sum, err := d.cache.hashView(d.ctx, c.Object)
		d.h.Write(sum[:])
		return err
	case tree.KindSymlink:
		target, err := c.Object.Readlink()
		d.text(target)
		return err
	case tree.KindChar, tree.KindBlock:
		d.number(uint64(c.Attr.Rdev))
	}
	return nil
}
