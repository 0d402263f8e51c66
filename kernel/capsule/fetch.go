package capsule

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
)

// MaxArchive is the size of the largest archive, packed.
const MaxArchive = 50 << 20

// fetch copies a capsule's files into an empty directory.
func fetch(ctx context.Context, source, into string) error {
	st, err := os.Stat(source)
	switch {
	case err != nil:
		return fault.Wrap(fault.KindOf(err), err, "read the source")
	case st.IsDir():
		return copyTree(ctx, source, into)
	case st.Mode().IsRegular() && st.Size() <= MaxArchive:
		return unpack(ctx, source, into)
	}
	return fault.New(fault.Usage, "the source %.256q is neither a directory nor an archive of at most %d bytes", source, MaxArchive)
}

// room is how much more a capsule may hold.
type room struct {
	files int
	bytes int64
}

func (r *room) take(size int64) error {
	r.files--
	r.bytes -= size
	if r.files < 0 || r.bytes < 0 {
		return fault.New(fault.Limit, "a capsule may hold %d files and %d bytes, and this one holds more", MaxFiles, MaxBytes)
	}
	return nil
}

// leftOut tells whether a directory is no part of a capsule: a repository, what
// cargo builds, and the links to programs that npm makes. What a program in
// JavaScript is made of, node_modules and dist, is.
func leftOut(name string) bool {
	return name == "target" || filepath.Base(name) == ".git" || strings.HasSuffix(name, "node_modules/.bin")
}

func copyTree(ctx context.Context, source, into string) error {
	left := room{MaxFiles, MaxBytes}
	return filepath.WalkDir(source, func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fault.Wrap(fault.KindOf(err), err, "read the source")
		}
		name, err := filepath.Rel(source, path)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "read the source")
		}
		switch {
		case e.IsDir() && leftOut(name):
			return filepath.SkipDir
		case e.IsDir():
			return makeDir(into, name)
		case name == metaName || name == envName:
			return nil
		case !e.Type().IsRegular():
			return fault.New(fault.Usage, "%s is neither a file nor a directory: a capsule holds nothing else", name)
		}
		f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			return fault.Wrap(fault.KindOf(err), err, "read the source")
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return fault.Wrap(fault.KindOf(err), err, "read the source")
		}
		return makeFile(into, name, f, st.Size(), st.Mode(), &left)
	})
}

func makeDir(into, name string) error {
	if err := os.MkdirAll(filepath.Join(into, name), 0o755); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "copy the capsule")
	}
	return nil
}

// makeFile writes one file of a capsule, which must not be there yet.
func makeFile(into, name string, from io.Reader, size int64, mode fs.FileMode, left *room) error {
	if err := left.take(size); err != nil {
		return err
	}
	if err := makeDir(into, filepath.Dir(name)); err != nil {
		return err
	}
	to, err := os.OpenFile(filepath.Join(into, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o644|mode&0o111)
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "copy the capsule")
	}
	_, err = io.CopyN(to, from, size)
	if err == nil {
		err = to.Sync()
	}
	if closeErr := to.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "copy %s", name)
	}
	return nil
}

// unpack reads a tar archive, packed with gzip.
func unpack(ctx context.Context, source, into string) error {
	f, err := os.Open(source)
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "read the archive")
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return fault.Wrap(fault.Usage, err, "the source is no capsule archive")
	}
	left := room{MaxFiles, MaxBytes}
	archive := tar.NewReader(unzipped)
	for {
		if err := ctx.Err(); err != nil {
			return fault.Wrap(fault.KindOf(err), err, "read the archive")
		}
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fault.Wrap(fault.Usage, err, "the archive is broken")
		}
		if err := unpackOne(archive, h, into, &left); err != nil {
			return err
		}
	}
}

func unpackOne(from io.Reader, h *tar.Header, into string, left *room) error {
	name := filepath.Clean(strings.TrimSuffix(h.Name, "/"))
	if !filepath.IsLocal(h.Name) || strings.ContainsRune(h.Name, 0) {
		return fault.New(fault.Usage, "the archive holds %.256q, which does not lie below the capsule", h.Name)
	}
	switch {
	case h.Typeflag == tar.TypeXGlobalHeader || name == metaName || name == envName:
		return nil
	case h.Typeflag == tar.TypeDir:
		if err := left.take(0); err != nil {
			return err
		}
		return makeDir(into, name)
	case h.Typeflag == tar.TypeReg:
		return makeFile(into, name, from, h.Size, h.FileInfo().Mode(), left)
	}
	return fault.New(fault.Usage, "the archive holds %.256q, which is neither a file nor a directory", h.Name)
}
