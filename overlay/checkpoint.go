package overlay

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"astrid/overlay/meta"
)

// Checkpoint is a moment of a view that can be looked at and gone back to.
type Checkpoint = meta.Checkpoint

// MaxCheckpoints bounds how many a view keeps.
const MaxCheckpoints = 1000

// autoPrefix begins the name of a checkpoint that nobody asked for.
const autoPrefix = "before-"

// Errors of checkpoints.
var (
	ErrNoCheckpoint = errors.New("there is no checkpoint of that name")
	ErrCheckpoints  = fmt.Errorf("a view keeps at most %d checkpoints; drop some", MaxCheckpoints)
)

// Checkpoint makes one of the view as it is now, under c.Name, or one that it finds;
// of c only Name, By, Note and Auto count. It survives SIGKILL when Checkpoint returns, a power cut
// after SyncCheckpoints. EEXIST when the name is taken, EBUSY during a freeze.
func (o *Overlay) Checkpoint(c Checkpoint) (Checkpoint, error) {
	if c.Name != "" {
		if err := meta.CheckName(c.Name); err != nil {
			return c, err
		}
	}
	o.still.Lock()
	defer o.still.Unlock()
	if o.frozenNow() {
		return c, fmt.Errorf("checkpoint: a commit is under way: %w", unix.EBUSY)
	}
	o.gate.Lock()
	defer o.gate.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.checkpoint(c)
}

// checkpoint is Checkpoint. Preconditions: o.still, o.gate and o.mu are held for writing.
func (o *Overlay) checkpoint(c Checkpoint) (Checkpoint, error) {
	switch {
	case len(o.stack) > 1:
		return c, fmt.Errorf("checkpoint: a commit is under way: %w", unix.EBUSY)
	case len(o.points) >= MaxCheckpoints:
		return c, ErrCheckpoints
	case o.top().Broken() != nil:
		return c, fmt.Errorf("checkpoint: %w: %w", unix.EROFS, o.top().Broken())
	}
	c.Seq = o.lastSeq + 1
	if c.Name == "" {
		c.Name = o.freeName(c)
	}
	if _, ok := o.point(c.Name); ok {
		return c, fmt.Errorf("checkpoint %s: %w", c.Name, unix.EEXIST)
	}
	if err := o.seal(); err != nil {
		return c, fmt.Errorf("checkpoint: %w", err)
	}
	c.Time, c.Folded, c.Epoch, c.End = o.now(), o.folded, o.top().Epoch, o.top().Size()
	if err := c.Place(o.dir); err != nil {
		return c, fmt.Errorf("checkpoint %s: %w", c.Name, err)
	}
	o.points, o.lastSeq = append(o.points, c), c.Seq
	return c, nil
}

// seal makes every data file there is one that nobody writes to in place.
// Preconditions: o.gate and o.mu are held for writing.
func (o *Overlay) seal() error {
	o.tx.Seal(o.nextDat)
	o.tx.Next(o.nextIno, o.nextDat, o.birth)
	if err := o.commit(); err != nil {
		return err
	}
	o.sealed = o.nextDat
	return nil
}

// freeName finds a name for a checkpoint. Preconditions: o.mu is held.
func (o *Overlay) freeName(c Checkpoint) string {
	prefix := "c"
	if c.Auto != "" {
		prefix = autoPrefix + c.Auto + "-"
	}
	for n := c.Seq; ; n++ {
		name := prefix + strconv.FormatUint(n, 10)
		if _, taken := o.point(name); !taken {
			return name
		}
	}
}

func (o *Overlay) point(name string) (Checkpoint, bool) {
	for _, c := range o.points {
		if c.Name == name {
			return c, true
		}
	}
	return Checkpoint{}, false
}

// SyncCheckpoints makes every checkpoint, and what it shows, survive a power cut.
func (o *Overlay) SyncCheckpoints() error { return o.Syncfs() }

// Checkpoints returns those that are kept, the oldest first.
func (o *Overlay) Checkpoints() []Checkpoint {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return slices.Clone(o.points)
}

// FindCheckpoint returns the one of a name; ErrNoCheckpoint.
func (o *Overlay) FindCheckpoint(name string) (Checkpoint, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if c, ok := o.point(name); ok {
		return c, nil
	}
	return Checkpoint{}, ErrNoCheckpoint
}

// DropCheckpoints forgets checkpoints, and gives the space back that only they need.
// Names that there are not are ErrNoCheckpoint, and nothing is done then. EBUSY during
// a freeze.
func (o *Overlay) DropCheckpoints(names ...string) error {
	o.still.Lock()
	defer o.still.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.stack) > 1 {
		return fmt.Errorf("a commit is under way: %w", unix.EBUSY)
	}
	for _, name := range names {
		if _, ok := o.point(name); !ok {
			return fmt.Errorf("%s: %w", name, ErrNoCheckpoint)
		}
	}
	was := map[uint64]bool{}
	if err := o.namedByPoints(was); err != nil {
		return err
	}
	for _, name := range names {
		c, ok := o.point(name)
		if !ok {
			continue // named twice
		}
		if err := c.Remove(o.dir); err != nil {
			return fmt.Errorf("drop %s: %w", name, err)
		}
		o.points = slices.DeleteFunc(o.points, func(x Checkpoint) bool { return x.Seq == c.Seq })
		o.forgetPast(c.Seq)
	}
	if err := o.removeGarbage(); err != nil {
		return err
	}
	return o.removeNamed(was)
}

// maxAuto bounds how many checkpoints are kept that nobody asked for.
const maxAuto = 50

// PruneCheckpoints forgets those that nobody asked for, if they were made before a
// time, in ns since 1970, or if there are too many. EBUSY during a freeze.
func (o *Overlay) PruneCheckpoints(before int64) error {
	var auto, old []string
	for _, c := range o.Checkpoints() {
		if c.Auto == "" {
			continue
		}
		if auto = append(auto, c.Name); c.Time < before {
			old = append(old, c.Name)
		}
	}
	if n := len(auto) - maxAuto; n > len(old) {
		old = auto[:n]
	}
	if len(old) == 0 {
		return nil
	}
	return o.DropCheckpoints(old...)
}

// removeNamed removes those of some data files that nothing names any more.
// Preconditions: o.mu is held for writing.
func (o *Overlay) removeNamed(was map[uint64]bool) error {
	named := map[uint64]bool{}
	meta.NamedBy(o.stack, named)
	if err := o.namedByPoints(named); err != nil {
		return err
	}
	for id := range was {
		if !named[id] {
			o.removeData(id)
		}
	}
	return nil
}

// loadCheckpoints reads what the directory has of them. One that a power cut has torn,
// or whose place in the log was lost with it, goes: nobody was promised it.
func (o *Overlay) loadCheckpoints() error {
	l, bad, err := meta.ReadCheckpoints(o.dir)
	if err != nil {
		return err
	}
	for _, c := range l {
		if err := o.reachable(c); err != nil {
			bad[c.File()] = err
			continue
		}
		o.points = append(o.points, c)
	}
	for name, err := range bad {
		if !errors.Is(err, meta.ErrFormat) {
			return err
		}
		o.cfg.Log.Warn("a checkpoint was lost in a power cut", "file", name, "err", err)
		if err := unix.Unlinkat(o.dir, name, 0); err != nil {
			return err
		}
	}
	slices.SortFunc(o.points, func(a, b Checkpoint) int { return cmp.Compare(a.Seq, b.Seq) })
	if n := len(o.points); n > 0 {
		o.lastSeq = o.points[n-1].Seq
	}
	return nil
}

// reachable looks whether the log is as long as the checkpoint says. That of the
// view itself is known; of another the first reader will tell.
func (o *Overlay) reachable(c Checkpoint) error {
	for _, l := range o.stack {
		if l.Epoch == c.Epoch && l.Size() < c.End {
			return fmt.Errorf("its log ends at %d, not at %d: %w", l.Size(), c.End, meta.ErrFormat)
		}
	}
	return nil
}

// removeGarbage removes logs that neither the view nor a checkpoint needs, and gives
// back what is reserved behind those that are kept. Preconditions: o.mu is held for
// writing, or nothing else runs yet.
func (o *Overlay) removeGarbage() error {
	kept := meta.Kept{Temps: o.root != nil} // else it is being opened
	for _, c := range o.points {
		if !slices.Contains(kept.Epochs, c.Epoch) {
			kept.Epochs = append(kept.Epochs, c.Epoch)
		}
		if kept.Pre == 0 || c.Folded+1 < kept.Pre {
			kept.Pre = c.Folded + 1
		}
	}
	err := meta.RemoveGarbage(o.dir, o.stack, kept)
	for _, epoch := range kept.Epochs {
		if epoch != o.top().Epoch {
			err = errors.Join(err, meta.TrimAt(o.dir, epoch))
		}
	}
	return err
}

// namedByPoints adds the data files that checkpoints name, and those of what
// operations replaced that such are not to see. Preconditions: as for removeGarbage.
func (o *Overlay) namedByPoints(named map[uint64]bool) error {
	ends := map[uint64][]int64{}
	for _, c := range o.points {
		ends[c.Epoch] = append(ends[c.Epoch], c.End)
	}
	for epoch, l := range ends {
		if err := meta.Named(o.dir, epoch, l, named); err != nil {
			return err
		}
	}
	pres, err := meta.Pres(o.dir)
	if err != nil {
		return err
	}
	for _, n := range pres {
		l, err := meta.LoadPre(o.dir, n)
		if err != nil {
			return err
		}
		meta.NamedBy([]*meta.Layer{l}, named)
		l.Close()
	}
	return nil
}
