package commit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"astrid/overlay"
	"astrid/overlay/change"
	"astrid/overlay/layer"
)

// Commit brings the changes that req selects to the base: all of them or none.
// While it runs, writers go on in the view; what they write is not part of it.
// It returns a *ConflictError or a *DigestError when nothing was applied for
// that reason, and ErrBusy or ErrPending. A Result with Number 0 and no error
// says that there was nothing to be done.
func Commit(ctx context.Context, o *overlay.Overlay, cfg Config, req Request) (Result, error) {
	cfg = cfg.withDefaults()
	w, err := enter(o, cfg)
	if err != nil {
		return Result{}, err
	}
	defer w.close()
	if err := atItsPlace(o); err != nil {
		return Result{}, err
	}
	n, err := w.nextNumber(o)
	if err != nil {
		return Result{}, err
	}
	s, err := o.Freeze()
	if err != nil {
		return Result{}, err
	}
	cfg.Kill("frozen")
	r := &run{ctx: ctx, o: o, cfg: cfg, w: w, snap: s, number: n, req: req}
	res, err := r.commit()
	if !r.folded && !r.pending {
		if terr := o.Thaw(s); terr != nil {
			return res, errors.Join(err, terr)
		}
	}
	if err != nil {
		return res, err
	}
	err = o.Still(func(s *overlay.Snapshot) (err error) {
		res.Digest, err = digestOf(ctx, s, cfg)
		return err
	})
	return res, err
}

// Preview says what Commit would do with the view as it is now.
func Preview(ctx context.Context, o *overlay.Overlay, cfg Config, req Request) (Result, error) {
	cfg = cfg.withDefaults()
	var res Result
	err := o.Still(func(s *overlay.Snapshot) (err error) {
		res, err = preview(ctx, o, s, cfg, req)
		return err
	})
	return res, err
}

func preview(ctx context.Context, o *overlay.Overlay, s *overlay.Snapshot, cfg Config, req Request) (Result, error) {
	d := newDisk(o.BaseFd())
	defer d.forget()
	r := &run{ctx: ctx, o: o, cfg: cfg, w: &workspace{d: d}, snap: s, req: req}
	res, sel, err := r.choose()
	if err != nil {
		return res, err
	}
	res.Conflicts, err = sel.conflicts(ctx, d, lastCommit(r.cfg))
	res.Outside = append(sel.notes, newLayout("", sel).notes...)
	return res, err
}

func digestOf(ctx context.Context, s *overlay.Snapshot, cfg Config) (string, error) {
	list, err := change.List(ctx, s, change.Options{All: true, Cache: cfg.Cache})
	if err != nil {
		return "", err
	}
	return change.Digest(ctx, list, cfg.Cache)
}

// atItsPlace refuses to write into a directory that the owner does not see as
// the workspace any more: another one, or none, has its path now.
func atItsPlace(o *overlay.Overlay) error {
	var held, there layer.Stat
	if err := layer.Statx(o.BaseFd(), "", &held); err != nil {
		return err
	}
	err := layer.Statx(unix.AT_FDCWD, o.BasePath(), &there)
	if err != nil && !missing(err) {
		return err
	}
	if err != nil || held.Key != there.Key {
		return &ConflictError{[]Conflict{{change.Root, "the workspace is not at " + change.Quote(o.BasePath()) + " any more"}}}
	}
	return nil
}

// nextNumber returns the number of the next commit. ErrPending when an earlier
// one has not ended.
func (w *workspace) nextNumber(o *overlay.Overlay) (uint64, error) {
	pending, err := numbered(w.journal, journalPrefix)
	if err != nil {
		return 0, err
	}
	if len(pending) > 0 {
		return 0, ErrPending
	}
	n := o.Folded()
	for _, prefix := range []string{undoPrefix, leftPrefix} {
		l, err := numbered(w.journal, prefix)
		if err != nil {
			return 0, err
		}
		if len(l) > 0 {
			n = max(n, l[len(l)-1])
		}
	}
	return n + 1, nil
}

// run is one commit under way.
type run struct {
	ctx    context.Context
	o      *overlay.Overlay
	cfg    Config
	w      *workspace
	snap   *overlay.Snapshot
	number uint64
	req    Request

	folded bool // the freeze has ended
	// pending says that only recovery can tell how this ends: the freeze stays.
	pending bool
}

// choose lists the changes and decides which are taken.
func (r *run) choose() (Result, *selection, error) {
	var res Result
	list, err := change.List(r.ctx, r.snap, change.Options{All: true, Same: true, Cache: r.cfg.Cache})
	if err != nil {
		return res, nil, err
	}
	if res.Digest, err = change.Digest(r.ctx, list, r.cfg.Cache); err != nil {
		return res, nil, err
	}
	if r.req.If != "" && r.req.If != res.Digest {
		return res, nil, &DigestError{Want: r.req.If, Have: res.Digest}
	}
	picks, err := r.picks(list)
	if err != nil {
		return res, nil, err
	}
	sel, err := choose(r.ctx, r.cfg, r.w.d, list, r.req, picks)
	if err != nil {
		return res, nil, err
	}
	res.Applied, res.Held, res.Skipped = sel.split()
	return res, sel, nil
}

// split sorts the changes by what becomes of them.
func (s *selection) split() (applied, heldBack, left []change.Change) {
	for _, it := range s.items {
		c := *it.c
		if c.Op == change.Same {
			continue
		}
		switch {
		case it.v == taken:
			if it.part != nil {
				c.Note = fmt.Sprintf("%d of %d hunks", it.part.Taken, it.part.Of)
			}
			applied = append(applied, c)
		case !it.wanted:
		case it.v == held:
			c.Note = it.why
			heldBack = append(heldBack, c)
		case it.v == skipped:
			c.Note = it.why
			left = append(left, c)
		}
	}
	return applied, heldBack, left
}

func (r *run) commit() (Result, error) {
	res, sel, err := r.choose()
	if err != nil {
		return res, err
	}
	res.Outside = sel.notes
	if len(res.Applied) == 0 {
		return res, nil
	}
	conflicts, err := sel.conflicts(r.ctx, r.w.d, lastCommit(r.cfg))
	if err != nil {
		return res, err
	}
	if len(conflicts) > 0 {
		return res, &ConflictError{List: conflicts}
	}
	r.cfg.Kill("chosen")
	notes, err := r.apply(sel)
	res.Outside = append(res.Outside, notes...)
	if err != nil {
		res.Applied = nil
		return res, err
	}
	res.Number = r.number
	return res, nil
}

// apply stages, writes the plan down, makes the steps and ends the commit.
func (r *run) apply(sel *selection) (notes []string, err error) {
	b, err := r.begin()
	if err != nil {
		return nil, err
	}
	j, err := createJournal(r.w.journal, b)
	if err != nil {
		return nil, fmt.Errorf("write the journal: %w", err)
	}
	defer j.close()
	r.cfg.Kill("journal: begun")
	p := &plan{
		Number: r.number, Boot: bootID(), Base: b.Root, Stage: b.Stage, MadeDot: b.MadeDot,
		Message: r.req.Message, By: r.req.By, Time: r.cfg.Now().UnixNano(), Commit: r.number, What: what(sel),
	}
	l := newLayout(string(b.Stage), sel)
	err = r.prepare(sel, l, p, b.Time)
	if err == nil {
		err = r.preserve(p)
	}
	if err != nil {
		return nil, errors.Join(err, r.w.notBegun(r.cfg, &b), r.o.Spare(p.Number), j.drop())
	}
	if err := j.record(recPlan, p); err != nil {
		return nil, errors.Join(fmt.Errorf("write the journal: %w", err), r.w.notBegun(r.cfg, &b), r.o.Spare(p.Number), j.drop())
	}
	r.cfg.Kill("journal: plan written")
	if err := r.execute(j, p); err != nil {
		return nil, err
	}
	return l.notes, nil
}

// begin says what is about to be made in the workspace.
func (r *run) begin() (b begin, err error) {
	root, err := r.w.d.stat(change.Root)
	if err != nil {
		return b, err
	}
	dot, err := r.w.d.stat(stageRoot)
	if err != nil {
		return b, err
	}
	stage, err := stageName(r.w.d, r.number)
	if root == nil {
		err = unix.ESTALE
	}
	if err != nil {
		return b, err
	}
	return begin{Number: r.number, Stage: Path(stage), MadeDot: dot == nil, Root: root.Key, Time: root.Mtime}, nil
}

// prepare stages and builds the plan. rootTime is the time of the root before
// any of ours came there.
func (r *run) prepare(sel *selection, l *layout, p *plan, rootTime int64) error {
	if err := room(r.w.lock, l.bytes()); err != nil {
		return err
	}
	if err := makeDot(r.w.d); err != nil {
		return err
	}
	if err := exclude(r.w.d, sel); err != nil {
		return fmt.Errorf("enter %s in .git/info/exclude: %w", stageRoot, err)
	}
	st := &stager{ctx: r.ctx, d: r.w.d, kill: r.cfg.Kill, now: r.cfg.Now()}
	if err := st.run(l); err != nil {
		return err
	}
	p.Bytes = l.content()
	b := &builder{d: r.w.d, l: l, s: sel, snap: r.snap, p: p, euid: unix.Geteuid()}
	if err := b.build(); err != nil {
		return err
	}
	p.rootTime(rootTime)
	return nil
}

// rootTime corrects what is planned for the root by the time that it had before
// any of ours came there.
func (p *plan) rootTime(was int64) {
	for i := range p.Times {
		if t := &p.Times[i]; t.Base == change.Root {
			if t.After == t.Before {
				t.After = was
			}
			t.Before = was
		}
	}
}

// execute makes the steps, or takes them back.
func (r *run) execute(j *journal, p *plan) error {
	a := &applier{d: r.w.d, p: p, kill: r.cfg.Kill}
	release := r.o.Hold()
	defer release()
	r.pending = true
	if err := a.forward(0); err != nil {
		return r.retreat(j, a, err)
	}
	r.cfg.Kill("apply: synced")
	if err := j.record(recApplied, nil); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	r.cfg.Kill("journal: applied")
	c := &closing{w: r.w, o: r.o, cfg: r.cfg, j: j, p: p}
	if err := c.fold(r.snap); err != nil {
		return err
	}
	r.folded = true
	release()
	return c.store()
}

// retreat takes back what was made of a commit that cannot be finished.
func (r *run) retreat(j *journal, a *applier, cause error) error {
	next, _, err := a.survey()
	if err != nil {
		return errors.Join(cause, err)
	}
	a.back(next)
	if err := j.record(recBack, nil); err != nil {
		return errors.Join(cause, err)
	}
	r.pending = false
	err = r.w.undone(r.o, r.cfg, j, a.p, a.left)
	var m *mismatch
	if errors.As(cause, &m) {
		list := []Conflict{{m.path, m.why}}
		for _, why := range a.left {
			list = append(list, Conflict{m.path, why})
		}
		cause = &ConflictError{List: slices.Clip(list)}
	}
	return errors.Join(cause, err)
}
