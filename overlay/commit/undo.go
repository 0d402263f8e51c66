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

// UndoRequest says which operation is to be taken back.
type UndoRequest struct {
	// Redo takes an undo back, else a commit is.
	Redo bool
	// Commit is the number of the commit that it is about; 0: of the last one
	// that was not undone or, with Redo, that was undone last.
	Commit uint64
	DryRun bool
	By     string // who asks, for the record
}

// UndoResult says what an undo did, or would do.
type UndoResult struct {
	Number    uint64     // of this operation; 0 of a dry run
	Commit    uint64     // the commit that it was about
	Message   string     // of that commit
	Changed   []What     // what it does to the workspace
	Conflicts []Conflict // of a dry run; Undo returns them as an error
}

// ErrNothing says that there is nothing of the kind to be taken back.
var ErrNothing = errors.New("nothing is kept that could be taken back")

// Undo takes a commit back, or an undo: the workspace has again, exactly, what
// that operation replaced; what it had brought is kept, so that this can be taken
// back too. The view follows the workspace. Nothing is done, and a *ConflictError
// names the paths, when somebody changed in the workspace what the operation left,
// or when the view has changes that build on it. ErrNothing, ErrBusy, ErrPending.
func Undo(ctx context.Context, o *overlay.Overlay, cfg Config, req UndoRequest) (UndoResult, error) {
	cfg = cfg.withDefaults()
	w, err := enter(o, cfg)
	if err != nil {
		return UndoResult{}, err
	}
	defer w.close()
	if err := atItsPlace(o); err != nil {
		return UndoResult{}, err
	}
	n, err := w.nextNumber(o)
	if err == nil && o.Frozen() != nil {
		err = ErrPending
	}
	if err != nil {
		return UndoResult{}, err
	}
	old, err := w.last(req)
	if err != nil {
		return UndoResult{}, err
	}
	u := &undoing{run: run{ctx: ctx, o: o, cfg: cfg, w: w, number: n}, req: req, old: old}
	return u.undo()
}

// last finds the operation to be taken back.
func (w *workspace) last(req UndoRequest) (state, error) {
	numbers, err := numbered(w.journal, undoPrefix)
	if err != nil {
		return state{}, err
	}
	for _, n := range slices.Backward(numbers) {
		s, err := readJournal(w.journal, journalName(undoPrefix, n))
		if err != nil {
			return state{}, fmt.Errorf("read the journal of operation %d: %w", n, err)
		}
		if s.plan == nil || s.plan.Time == 0 || (s.plan.Op == OpUndo) != req.Redo {
			continue
		}
		if req.Commit == 0 || s.plan.Commit == req.Commit {
			return s, nil
		}
	}
	return state{}, ErrNothing
}

// undoing is one undo or redo under way.
type undoing struct {
	run
	req UndoRequest
	old state
}

func (u *undoing) undo() (UndoResult, error) {
	old := u.old.plan
	res := UndoResult{Commit: old.Commit, Message: old.Message, Changed: inverse(old.What)}
	r := newReversal(u.ctx, u.w.d, old)
	if err := (&recovery{w: u.w}).sameBase(old); err != nil {
		return res, err
	}
	conflicts, err := r.verify()
	if err != nil {
		return res, err
	}
	more, same, err := u.inView(r)
	if err != nil {
		return res, err
	}
	conflicts = append(conflicts, more...)
	if u.req.DryRun {
		res.Conflicts = conflicts
		return res, nil
	}
	if len(conflicts) > 0 {
		return res, &ConflictError{List: conflicts}
	}
	if err := u.o.Discard(names(same, false)); err != nil {
		return res, err
	}
	u.cfg.Kill("undo: verified")
	if err := u.apply(r); err != nil {
		return res, err
	}
	res.Number = u.number
	return res, nil
}

// inView returns the changes of the view that build on what is taken back, and
// what it merely has records of, though it equals the workspace's.
func (u *undoing) inView(r *reversal) (list []Conflict, same []*change.Change, err error) {
	touched, moved := r.touched(), r.inodes()
	err = u.o.Still(func(s *overlay.Snapshot) error {
		list, same = nil, nil
		l, err := change.List(u.ctx, s, change.Options{All: true, Same: true, Cache: u.cfg.Cache})
		if err != nil {
			return err
		}
		for i := range l {
			switch c := &l[i]; {
			case c.Op == change.Same && !c.IsDir() && c.Base != nil && moved[c.Base.Ino]:
				same = append(same, c)
			case !touched.meets(c):
			case c.Op == change.Same:
				same = append(same, c)
			case r.goesOn(c):
			default:
				list = append(list, Conflict{c.Path, "the view has changed it since: commit or discard that first"})
			}
		}
		return nil
	})
	return list, same, err
}

// paths is a set of paths, each with all that lies below it.
type paths struct {
	at    map[string]bool // members
	above map[string]bool // directories that members are in
}

// touched are the paths of the workspace, before and after, that the steps touch.
func (r *reversal) touched() paths {
	t := paths{at: map[string]bool{}, above: map[string]bool{}}
	add := func(l ...Path) {
		for _, p := range l {
			if p != "" && !change.Below(string(p), stageRoot) {
				t.add(string(p))
			}
		}
	}
	for i, s := range r.old.Steps {
		if s.Do != doLink {
			add(s.From, s.To, r.now[i])
		}
	}
	for _, m := range r.old.Meta {
		if m.Kind != unix.S_IFDIR {
			add(m.Base, m.Path)
		}
	}
	return t
}

// inodes are the numbers of the objects that the steps moved: other names of one in
// the workspace are of the same object.
func (r *reversal) inodes() map[uint64]bool {
	m := map[uint64]bool{}
	for _, s := range r.old.Steps {
		m[s.Obj.Key.Ino] = true
		if s.Pre != nil {
			m[s.Pre.Key.Ino] = true
		}
	}
	return m
}

func (t paths) add(p string) {
	t.at[p] = true
	for q := change.Parent(p); q != change.Root && !t.above[q]; q = change.Parent(q) {
		t.above[q] = true
	}
}

func (t paths) has(p string) bool {
	for q := p; q != change.Root && q != ""; q = change.Parent(q) {
		if t.at[q] {
			return true
		}
	}
	return false
}

// meets tells whether a change of the view is of something in the set, or moves or
// removes a directory with something of it.
func (t paths) meets(c *change.Change) bool {
	for _, p := range []string{c.Path, c.From, c.BasePath, c.Place} {
		if t.has(p) {
			return true
		}
	}
	moves := c.Arrives() || c.Op == change.Deleted
	return moves && (t.above[c.Path] || t.above[c.From] || t.above[c.BasePath] || t.above[c.Place])
}

// apply makes the store of the old operation the staging directory, plans, and
// makes the steps.
func (u *undoing) apply(r *reversal) error {
	b, err := u.begin()
	if err != nil {
		return err
	}
	b.Of = r.old.Number
	j, err := createJournal(u.w.journal, b)
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	defer j.close()
	u.cfg.Kill("journal: begun")
	p := &plan{
		Number: u.number, Boot: bootID(), Base: b.Root, Stage: b.Stage, MadeDot: b.MadeDot,
		Message: r.old.Message, By: u.req.By, Time: u.cfg.Now().UnixNano(),
		Op: OpUndo, Of: r.old.Number, Commit: r.old.Commit, What: inverse(r.old.What),
	}
	if u.req.Redo {
		p.Op = OpRedo
	}
	err = u.prepare(r, p, b.Time)
	if err == nil {
		err = u.preserve(p)
	}
	if err == nil {
		if err = j.record(recPlan, p); err != nil {
			err = fmt.Errorf("write the journal: %w", err)
		}
	}
	if err != nil {
		return errors.Join(err, u.w.notBegun(u.cfg, &b), u.o.Spare(p.Number), j.drop())
	}
	u.cfg.Kill("journal: plan written")
	return u.execute(j, p)
}

// prepare takes the store and builds the plan.
func (u *undoing) prepare(r *reversal, p *plan, rootTime int64) error {
	if err := makeDot(u.w.d); err != nil {
		return err
	}
	if err := u.w.unshelve(u.cfg, r.old.Number, string(p.Stage)); err != nil {
		return fmt.Errorf("take what was replaced from its store: %w", err)
	}
	u.w.d.forget()
	u.cfg.Kill("undo: taken from the store")
	if err := u.w.relink(string(p.Stage), u.old.copies); err != nil {
		return err
	}
	u.cfg.Kill("undo: linked again")
	if err := u.w.d.sync(stageRoot); err != nil {
		return err
	}
	return r.build(p, rootTime, unix.Geteuid())
}

// relink makes pre-images that are copies names of the object again that they
// were, if that is in the workspace and has not changed.
func (w *workspace) relink(stage string, l []copied) error {
	if len(l) == 0 {
		return nil
	}
	names := map[layer.Key]string{}
	for _, c := range l {
		names[c.Key] = ""
	}
	err := w.d.walk(change.Root, func(p string, st *layer.Stat) (bool, error) {
		if name, ok := names[st.Key]; ok && name == "" && !isDir(st) {
			names[st.Key] = p
		}
		return p == stageRoot, nil
	})
	if err != nil {
		return fmt.Errorf("look for other names of what was replaced: %w", err)
	}
	for _, c := range l {
		if name := names[c.Key]; name != "" {
			if err := w.relinkOne(name, stage, change.Join(stage, string(c.Slot))); err != nil {
				return fmt.Errorf("%s: %w", change.Quote(name), err)
			}
		}
	}
	return nil
}

func (w *workspace) relinkOne(name, stage, slot string) error {
	there, err := w.d.stat(name)
	if err != nil {
		return err
	}
	copied, err := w.d.stat(slot)
	if err != nil || there == nil || copied == nil || !identOf(copied).like(there) {
		return err
	}
	tmp := change.Join(stage, detachName)
	if err := w.d.link(name, tmp); err != nil {
		return err
	}
	return w.d.replace(tmp, slot)
}

// like compares all of an object but its identity.
func (id ident) like(st *layer.Stat) bool {
	id.Key = st.Key
	return id.is(st)
}
