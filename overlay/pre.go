package overlay

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"astrid/overlay/layer"
	"astrid/overlay/meta"
)

// What an operation replaces in the base is kept for the checkpoints, which are not
// to see it: as a layer of its own that lies directly above the base for them (see
// meta.CreatePre). What leaves the base is copied, so that it is nobody else's.

// Fate says what an operation is about to do to the base.
type Fate struct {
	// Goes is what leaves its path, with all below it that is not named itself: to the
	// path that it has in the end, or "" when that is not in the workspace.
	Goes map[string]string
	// Comes is what will be at a path in the end that something has come to.
	Comes map[string]layer.Fingerprint
	// Inside is what will be below the directories among those, by path.
	Inside map[string]layer.Fingerprint
	// Changes are paths of now whose attributes will be others; Times are directories
	// of which that is only the time.
	Changes, Times []string
}

// Preserve keeps what operation n is about to replace, if there is a checkpoint that
// shows it. It counts when Folded has reached n, and is durable on return.
func (o *Overlay) Preserve(n uint64, f Fate) error {
	if err := meta.RemovePre(o.dir, n); err != nil || len(o.Checkpoints()) == 0 {
		return err
	}
	if err := o.preserve(n, f); err != nil {
		err = errors.Join(err, o.Spare(n))
		return fmt.Errorf("keep for the checkpoints what operation %d replaces: %w", n, err)
	}
	return nil
}

// Spare forgets what was kept of an operation that has not come to be.
func (o *Overlay) Spare(n uint64) error {
	l, err := meta.LoadPre(o.dir, n)
	if err != nil { // none, or none that is whole
		return meta.RemovePre(o.dir, n)
	}
	named := map[uint64]bool{}
	meta.NamedBy([]*meta.Layer{l}, named)
	l.Close()
	if err := meta.RemovePre(o.dir, n); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.removeNamed(named)
}

func (o *Overlay) preserve(n uint64, f Fate) error {
	l, err := meta.CreatePre(o.dir, n)
	if err != nil {
		return err
	}
	defer l.Close()
	p := &preserving{o: o, f: f, to: l, links: map[layer.Key]*linked{}, dirs: map[string]uint64{}, cameFrom: map[string]string{}}
	if err := p.run(); err != nil {
		for _, id := range p.data {
			o.removeData(id)
		}
		return err
	}
	// Records that go back to a checkpoint will name these data files.
	o.gate.Lock()
	o.mu.Lock()
	err = o.seal()
	o.mu.Unlock()
	o.gate.Unlock()
	if err != nil {
		return err
	}
	if err := l.Trim(); err != nil {
		return err
	}
	if err := o.Syncfs(); err != nil {
		return err
	}
	return meta.KeepPre(o.dir, n)
}

// preserving is one Preserve under way. Paths are those of the base as it is, before
// the operation.
type preserving struct {
	o     *Overlay
	f     Fate
	to    *meta.Layer
	tx    meta.Tx
	links map[layer.Key]*linked // files with several names of which one leaves the workspace
	dirs  map[string]uint64     // directories that are bound: path to number
	// cameFrom is the inverse of f.Goes.
	cameFrom map[string]string
	data     []uint64 // data files that were made
}

func (p *preserving) run() error {
	for from, to := range p.f.Goes {
		if to != "" {
			p.tx.Moved(from, to)
			p.cameFrom[to] = from
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.dirs[""] = p.o.root.ino
	var root layer.Stat
	if err := p.o.statPath("", &root); err != nil {
		return err
	}
	p.bindRec("", p.o.root.ino, &root)
	for _, from := range slices.Sorted(maps.Keys(p.f.Goes)) {
		if err := p.leaves(from); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
	}
	if err := p.others(); err != nil {
		return err
	}
	for at, is := range p.f.Comes {
		if err := p.comes(at, is); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	for _, at := range p.f.Times {
		if err := p.changes(at, meta.OwnTimes); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	for _, at := range p.f.Changes {
		if err := p.changes(at, meta.OwnPerm|meta.OwnTimes|meta.OwnXattrs); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	p.o.mu.RLock()
	p.tx.Next(p.o.nextIno, p.o.nextDat, p.o.birth)
	p.o.mu.RUnlock()
	if err := p.to.Commit(&p.tx); err != nil {
		return err
	}
	return p.to.Sync()
}

// flush keeps records small.
func (p *preserving) flush() error {
	const batch = 256 << 10
	if p.tx.Len() < batch {
		return nil
	}
	defer p.tx.Reset()
	return p.to.Commit(&p.tx)
}

// fate is where what is at a path goes: dies tells that it leaves the workspace.
func (p *preserving) fate(at string) (to string, moved, dies bool) {
	for q := at; q != "" && q != "."; q = path.Dir(q) {
		if to, ok := p.f.Goes[q]; ok {
			if to == "" {
				return "", true, true
			}
			return to + strings.TrimPrefix(at, q), true, false
		}
	}
	return at, false, false
}

// number returns the number that the view calls a base object by.
func (p *preserving) number(st *layer.Stat) (uint64, error) {
	p.o.mu.Lock()
	defer p.o.mu.Unlock()
	key := p.o.key(st.Key)
	ino := p.o.number(st.Key, st)
	if p.o.settled(ino, key) {
		return ino, nil
	}
	return p.o.settle(key)
}

func (p *preserving) enter(dir uint64, name string, ino uint64, kind uint32) {
	p.o.mu.Lock()
	birth := p.o.birth
	p.o.birth++
	p.o.mu.Unlock()
	p.tx.Enter(dir, name, meta.Entry{Ino: ino, Kind: kind, Birth: birth})
}
