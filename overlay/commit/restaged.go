package commit

import (
	"bytes"

	"golang.org/x/sys/unix"

	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// isIndex tells whether a path is that of an index of git.
func isIndex(p string) bool {
	repo := change.Repository(p)
	return repo != "" && p == change.Join(repo, "index")
}

// staged is the digest of the entries of the index that is to be at a path and lies at
// another; nil of anything else.
func staged(d *disk, p, at string) []byte {
	if !isIndex(p) {
		return nil
	}
	dir, err := d.at(change.Parent(at))
	if err != nil {
		return nil
	}
	sum, ok := overlay.Staged(dir, change.Base(at))
	if !ok {
		return nil
	}
	return sum
}

// restaged tells whether what is at a path is the index that the operation left, written
// anew with the same entries: git does that when it looks at the files.
func (r *reversal) restaged(p Path, st *layer.Stat) bool {
	was := r.done[p].Staged
	if was == nil || st == nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return false
	}
	return bytes.Equal(was, staged(r.d, string(p), string(p)))
}
