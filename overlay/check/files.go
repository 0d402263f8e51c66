package check

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

const (
	dataDir   = "data"
	logSuffix = ".log"
	chunkSize = 64 << 10
)

// files looks at what lies in the directory: modes, tails, and what nothing
// leads to.
func (c *checker) files() error {
	var st layer.Stat
	if err := layer.Statx(c.dir, "", &st); err != nil {
		return err
	}
	if st.Mode&0o077 != 0 {
		c.find("the session's directory has mode %04o: others may look into it", st.Mode&0o7777)
	}
	inChain := map[string]*meta.Layer{}
	for _, l := range c.stack {
		inChain[strconv.FormatUint(l.Epoch, 10)+logSuffix] = l
	}
	var failed error
	err := each(c.dir, func(name string, st *layer.Stat) {
		l := inChain[name]
		switch {
		case l != nil:
			c.private("log "+name, st)
			failed = errors.Join(failed, c.tail(name, l, st.Size))
		case name == "HEAD":
			c.private(name, st)
		case c.kept[name]:
			c.private(name, st)
		case strings.HasSuffix(name, logSuffix):
			c.leftover("nothing leads to %q", name)
		case strings.HasSuffix(name, layer.TempSuffix):
			c.leftover("%q is a temporary file", name)
		}
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	c.data, err = layer.OpenDir(c.dir, dataDir)
	if errors.Is(err, unix.ENOENT) && len(c.stack) == 0 {
		return nil
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		c.find("there is no directory %q", dataDir)
		return nil
	}
	return err
}

// private checks that a file is the view server's alone, under one name.
func (c *checker) private(what string, st *layer.Stat) {
	if st.Mode != unix.S_IFREG|0o600 {
		c.find("%s has mode %06o, not that of a private file", what, st.Mode)
	}
	if st.Nlink != 1 {
		c.find("%s has %d names", what, st.Nlink)
	}
}

// tail checks that behind the last whole record there is nothing but zeros.
func (c *checker) tail(name string, l *meta.Layer, size int64) error {
	fd, err := layer.Open(c.dir, name, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	buf := make([]byte, chunkSize)
	for off := l.Size(); off < size; {
		n, err := unix.Pread(fd, buf, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if n == 0 {
			break
		}
		for i, b := range buf[:n] {
			if b != 0 {
				c.leftover("log %s is torn: its last whole record ends at %d, and there is something at %d", name, l.Size(), off+int64(i))
				return nil
			}
		}
		off += int64(n)
	}
	return nil
}

// dataFiles checks that a data file is one object's, in all layers.
func (c *checker) dataFiles() {
	owner := map[uint64]uint64{}
	for _, l := range c.stack {
		for ino, x := range l.Recs {
			if x.Where != meta.Data {
				continue
			}
			if o, ok := owner[x.DataID]; ok && o != ino {
				c.find("data file %x belongs to object %d and to object %d", x.DataID, o, ino)
			}
			owner[x.DataID] = ino
			c.dataFile(x.DataID, ino)
		}
	}
	c.DataFiles = len(owner)
	for id := range c.named {
		if _, told := owner[id]; !told && c.data >= 0 {
			var st layer.Stat
			if err := layer.Statx(c.data, strconv.FormatUint(id, 16), &st); err != nil {
				c.find("data file %x, which a checkpoint needs: %v", id, err)
			}
		}
	}
}

// sealed is the number below which no data file is written to in place.
func (c *checker) sealed() (n uint64) {
	for _, l := range c.stack {
		n = max(n, l.Sealed)
	}
	return n
}

func (c *checker) dataFile(id, ino uint64) {
	if c.data < 0 {
		return // told already
	}
	var st layer.Stat
	if err := layer.Statx(c.data, strconv.FormatUint(id, 16), &st); err != nil {
		c.find("data file %x of object %d: %v", id, ino, err)
		return
	}
	if id < c.sealed() {
		st.Nlink = 1 // forks have it under names of their own, and nobody writes to it
	}
	c.private(fmt.Sprintf("data file %x of object %d", id, ino), &st)
}

// listData tells of data files that no record names.
func (c *checker) listData() error {
	if c.data < 0 {
		return nil
	}
	defer unix.Close(c.data)
	named := map[string]bool{}
	for _, l := range c.stack {
		for _, x := range l.Recs {
			if x.Where == meta.Data {
				named[strconv.FormatUint(x.DataID, 16)] = true
			}
		}
	}
	for id := range c.named {
		named[strconv.FormatUint(id, 16)] = true
	}
	return each(c.data, func(name string, _ *layer.Stat) {
		if !named[name] {
			c.leftover("no record names the data file %q", name)
		}
	})
}
