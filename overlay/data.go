package overlay

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

func dataName(id uint64) string { return strconv.FormatUint(id, 16) }

// createData makes an empty data file and returns its number and a descriptor,
// which is the caller's. No record names it yet: a crash makes it garbage.
func (o *Overlay) createData() (id uint64, fd int, err error) {
	o.mu.Lock()
	id = o.nextDat
	o.nextDat++
	o.mu.Unlock()
	fd, err = o.retryEMFILE(func() (int, error) {
		return layer.Open(o.data, dataName(id), unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	})
	o.dataMade.Add(1)
	return id, fd, err
}

// openData returns a pinned descriptor of a data file.
func (o *Overlay) openData(id uint64) (*fdEntry, error) {
	k := fdKey{data: id}
	if e := o.fds.get(k); e != nil {
		return e, nil
	}
	fd, err := o.retryEMFILE(func() (int, error) { return layer.Open(o.data, dataName(id), unix.O_RDWR, 0) })
	if err != nil {
		return nil, err
	}
	return o.fds.add(k, fd), nil
}

func (o *Overlay) statData(id uint64, st *layer.Stat) error {
	if e := o.fds.get(fdKey{data: id}); e != nil {
		defer o.fds.put(e)
		return layer.Statx(e.fd, "", st)
	}
	return layer.Statx(o.data, dataName(id), st)
}

// removeData removes a data file that no record names any more.
func (o *Overlay) removeData(id uint64) {
	o.fds.drop(fdKey{data: id})
	if err := unix.Unlinkat(o.data, dataName(id), 0); err != nil && err != unix.ENOENT {
		o.cfg.Log.Warn("data file left", "id", id, "err", err)
	}
}

// removeUnnamedData removes data files that no record of any layer names, nor any
// checkpoint. Preconditions: o.mu is held for writing, or nothing else runs yet.
func (o *Overlay) removeUnnamedData() error {
	ids := map[uint64]bool{}
	meta.NamedBy(o.stack, ids)
	if err := o.namedByPoints(ids); err != nil {
		o.cfg.Log.Warn("data files are not tidied: what checkpoints need cannot be read", "err", err)
		return nil
	}
	named := make(map[string]bool, len(ids))
	for id := range ids {
		named[dataName(id)] = true
	}
	fd, err := layer.Open(o.data, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var garbage []string
	err = layer.Names(fd, func(name string, _ uint64, _ uint32) bool {
		if !named[name] {
			garbage = append(garbage, strings.Clone(name))
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, name := range garbage {
		if err := unix.Unlinkat(o.data, name, 0); err != nil && err != unix.ENOENT {
			return err
		}
	}
	return nil
}
