package overlay

import (
	"crypto/sha256"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/gitindex"
	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// A commit of a repository wants to know what was staged in the workspace when
// the view began to change it. The record of a .git directory keeps that as its
// original: the digest of the entries of its index.

// keepStaged adds it to the record of the base directory at a place, if it is a
// repository with an index that can be read. Preconditions: o.mu is held for
// writing.
func (o *Overlay) keepStaged(x *meta.Rec, at *loc) {
	if !x.IsDir() || at.up == nil || !strings.EqualFold(at.name, ".git") {
		return
	}
	dir, err := o.dirfd(at)
	if err != nil {
		return
	}
	defer o.fds.put(dir)
	sum, ok := Staged(dir.fd, "index")
	if !ok {
		return
	}
	x.HasHash, x.Hash = true, sha256.Sum256(sum)
	if !o.hasBlob(x.Hash) {
		o.tx.Blob(x.Hash, sum)
	}
}

// forgetStaged drops it where a commit has brought another index, or may have.
func (f *fold) forgetStaged() {
	for _, x := range f.d.Recs {
		if !x.IsDir() || !x.HasHash {
			continue
		}
		for p := range f.at {
			if strings.HasPrefix(p, x.Base.Path+"/") {
				x.HasHash = false
			}
		}
	}
}

// Staged returns the digest of an index of git in a directory; false when there
// is none that can be compared.
func Staged(dir int, name string) ([]byte, bool) {
	fd, err := layer.Open(dir, name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, false
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	var st layer.Stat
	if layer.Statx(fd, "", &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > gitindex.MaxSize {
		return nil, false
	}
	b := make([]byte, st.Size)
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, false
	}
	sum, err := gitindex.Digest(b)
	return sum[:], err == nil
}
