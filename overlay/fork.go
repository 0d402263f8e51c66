package overlay

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// Forked is the name of the checkpoint with which a fork begins.
const Forked = "forked"

// Fork makes dir, which must not be there yet and lie on the file system of the
// changes, the directory of changes of another view of the same base: it shows what
// this one shows, or showed at a checkpoint if one is named, and has a checkpoint of
// that, Forked. Content is shared: neither writes to a data file of the other. It is
// durable on return. ErrNoCheckpoint; EBUSY while a commit is under way.
func (o *Overlay) Fork(dir, checkpoint string) error {
	err := o.fork(dir, checkpoint)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil && !errors.Is(err, ErrNoCheckpoint) {
		err = fmt.Errorf("fork: %w", err)
	}
	return err
}

func (o *Overlay) fork(dir, checkpoint string) error {
	p, err := o.draftFor(checkpoint)
	if err != nil {
		return err
	}
	defer p.close()
	if err := unix.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		return err
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := o.shareData(fd, p.Draft); err != nil {
		return err
	}
	return p.begin(fd, o.now())
}

// draftFor returns all that a fork begins with; what is in it is written to in place
// by nobody any more.
func (o *Overlay) draftFor(checkpoint string) (*past, error) {
	o.still.Lock()
	defer o.still.Unlock()
	o.gate.Lock()
	defer o.gate.Unlock()
	o.hold.mu.RLock()
	defer o.hold.mu.RUnlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.stack) > 1 {
		return nil, fmt.Errorf("a commit is under way: %w", unix.EBUSY)
	}
	var p *past
	var err error
	if c, ok := o.point(checkpoint); ok {
		p, err = o.recall(c, o.folded)
	} else if checkpoint != "" {
		return nil, ErrNoCheckpoint
	} else if err = o.seal(); err == nil {
		p, err = o.here()
	}
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(p.Recs, func(_ uint64, x meta.Source) bool { return !x.IsDir() && x.Nlink <= 0 })
	p.LastFold, p.Sealed = 0, o.nextDat
	p.NextIno, p.NextData, p.Birth = max(p.NextIno, o.nextIno), max(p.NextData, o.nextDat), max(p.Birth, o.birth)
	return p, nil
}

// here is the view as it is now, read anew: the log goes on. Preconditions: o.mu is
// held for writing; nothing is frozen.
func (o *Overlay) here() (*past, error) {
	l, err := meta.LoadAt(o.dir, o.top().Epoch, o.top().Size())
	if err != nil {
		return nil, err
	}
	return &past{Draft: meta.Sum(l), logs: []*meta.Layer{l}}, nil
}

// shareData gives the data files of a draft names in the directory of a fork.
func (o *Overlay) shareData(dir int, d *meta.Draft) error {
	to, err := layer.OpenDir(dir, "data")
	if err != nil {
		return err
	}
	defer unix.Close(to)
	ids := map[uint64]bool{}
	for _, x := range d.Recs {
		if x.Where == meta.Data {
			ids[x.DataID] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		if err := unix.Linkat(o.data, dataName(id), to, dataName(id), 0); err != nil {
			return fmt.Errorf("share data file %x: %w", id, err)
		}
	}
	return nil
}

// begin writes the first layer of a fork, and its first checkpoint.
func (p *past) begin(dir int, now int64) error {
	l, err := p.Write(dir, 1, 0)
	if err != nil {
		return err
	}
	defer l.Close()
	c := Checkpoint{Seq: 1, Name: Forked, Time: now, Epoch: 1, End: l.Size()}
	if err := c.Place(dir); err != nil {
		return err
	}
	if err := meta.SetHead(dir, 1); err != nil {
		return err
	}
	fd, err := layer.Open(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Syncfs(fd)
}
