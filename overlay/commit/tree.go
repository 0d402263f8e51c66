package commit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"astrid/overlay/layer"
)

// treeDigest is a digest of what is below a directory: names, inodes and, of
// what is no directory, sizes and times. without tells what is not counted.
func treeDigest(d *disk, dir string, without func(p string) bool) (string, error) {
	h := sha256.New()
	err := d.walk(dir, func(p string, st *layer.Stat) (bool, error) {
		if without != nil && without(p) {
			return true, nil
		}
		size, mtime := st.Size, st.Mtime
		if isDir(st) {
			size, mtime = 0, 0
		}
		rel := p[len(dir)+1:]
		fmt.Fprintf(h, "%d %s %o %d %d %d %d\n", len(rel), rel, st.Mode&0o170000, st.Ino, st.Btime, size, mtime)
		return false, nil
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// expected digests a base directory that is about to be taken away and checks
// that the list of changes speaks of all that is in it.
func expected(d *disk, dir string, known map[string]bool, leaving func(p string) bool) (string, error) {
	var stranger string
	err := d.walk(dir, func(p string, _ *layer.Stat) (bool, error) {
		if leaving(p) {
			return true, nil
		}
		if !known[p] && stranger == "" {
			stranger = p
		}
		return false, nil
	})
	if err != nil {
		return "", err
	}
	if stranger != "" {
		return "", &ConflictError{[]Conflict{{stranger, "it appeared in the workspace in a directory that is to go"}}}
	}
	return treeDigest(d, dir, leaving)
}
