package meta

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
)

const (
	prePrefix = "pre-"
	logSuffix = ".log"
)

func preName(n uint64) string { return prePrefix + strconv.FormatUint(n, 10) + logSuffix }

// CreatePre makes the layer of what operation n is about to replace in the base,
// which lies directly above it for those who are not to see that. It counts when
// KeepPre has given it its name and the operation has been made.
func CreatePre(dirfd int, n uint64) (*Layer, error) {
	return createAs(dirfd, preName(n)+layer.TempSuffix, n, 0)
}

// KeepPre gives the layer of operation n, which is whole and synced, its name.
func KeepPre(dirfd int, n uint64) error {
	err := unix.Renameat(dirfd, preName(n)+layer.TempSuffix, dirfd, preName(n))
	if err == nil {
		err = layer.SyncDir(dirfd)
	}
	return err
}

// LoadPre replays one, to be read only.
func LoadPre(dirfd int, n uint64) (*Layer, error) {
	f, err := openFile(dirfd, preName(n), unix.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("open what operation %d replaced: %w", n, err)
	}
	l, err := replay(f, n, 0)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("what operation %d replaced: %w", n, err)
	}
	return l, nil
}

// RemovePre removes one, if it is there.
func RemovePre(dirfd int, n uint64) error {
	for _, name := range []string{preName(n), preName(n) + layer.TempSuffix} {
		if err := unix.Unlinkat(dirfd, name, 0); err != nil && err != unix.ENOENT {
			return err
		}
	}
	return nil
}

// Pres returns the numbers of those that are there, in no order.
func Pres(dirfd int) (l []uint64, err error) {
	err = eachName(dirfd, func(name string) {
		digits, ok := strings.CutPrefix(strings.TrimSuffix(name, logSuffix), prePrefix)
		if n, err := strconv.ParseUint(digits, 10, 64); ok && err == nil && preName(n) == name {
			l = append(l, n)
		}
	})
	return l, err
}

func eachName(dirfd int, fn func(name string)) error {
	fd, err := layer.Open(dirfd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return layer.Names(fd, func(name string, _ uint64, _ uint32) bool {
		fn(strings.Clone(name))
		return true
	})
}
