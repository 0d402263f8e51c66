package wasm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"astrid/kernel/fault"
)

// prepareCache makes dir, or sees that nobody else could have written machine
// code into it, and makes room.
func prepareCache(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fault.Wrap(fault.KindOf(err), err, "make the cache of compiled modules %s", dir)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "look at the cache of compiled modules %s", dir)
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	switch {
	case !info.IsDir():
		return fault.New(fault.Usage, "the cache of compiled modules %s is no directory: move it away", dir)
	case int(owner) != os.Geteuid() || info.Mode()&0o022 != 0:
		return fault.New(fault.Denied, "others may write to %s, which holds machine code: remove it, and it is made anew", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "close %s to others", dir)
	}
	if err := prune(dir, MaxCache); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "prune the cache of compiled modules %s", dir)
	}
	return nil
}

// prune removes the oldest files below dir until at most most bytes are left;
// -1: all. A
// file that somebody else removed meanwhile is no fault.
func prune(dir string, most int64) error {
	type file struct {
		path string
		info fs.FileInfo
	}
	var files []file
	var sum int64
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		files, sum = append(files, file{path, info}), sum+info.Size()
		return nil
	})
	slices.SortFunc(files, func(a, b file) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	for _, f := range files {
		if sum <= most {
			break
		}
		err = closing(err, os.Remove(f.path))
		sum -= f.info.Size()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
