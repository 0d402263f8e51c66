package optest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// epoch is the moment at which everything in a Sessions happened.
func epoch() time.Time { return time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC) }

// Sessions implements op.Sessions. The zero value is empty and ready.
type Sessions struct {
	// Gate, when it is not nil, is waited for by Status before it answers.
	Gate chan struct{}
	// PatchText is what Patch writes.
	PatchText []byte

	mu   sync.Mutex
	all  map[string]*session // guarded by mu
	hits []string            // method and session of each call, guarded by mu
}

type session struct {
	points []wire.Checkpoint
	wire.Session
	changes []wire.Change
	commits uint64
}

var _ op.Sessions = (*Sessions)(nil)

// Add makes a session that has changed the given paths.
func (s *Sessions) Add(name string, changed ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]*session{}
	}
	n := &session{Session: wire.Session{Name: name, Base: "/base/" + name, Workspace: "/ws/" + name, State: "running", PID: 4242, Created: epoch(), Since: epoch()}}
	for _, path := range changed {
		c := wire.Change{Op: "A", Kind: "file", Mode: 0o644, Size: int64(len(path)), Held: strings.HasPrefix(path, "held")}
		c.Path, c.PathB64 = wire.SplitPath(path)
		n.changes = append(n.changes, c)
	}
	s.all[name] = n
}

// Calls returns the calls so far, "method session" each.
func (s *Sessions) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.hits)
}

// find is called by every operation. A session named after a fault code fails
// with that kind.
func (s *Sessions) find(method, name string) (*session, error) {
	s.hits = append(s.hits, method+" "+name)
	if code, ok := strings.CutPrefix(name, "fail-"); ok {
		return nil, fault.New(fault.FromCode(strings.ReplaceAll(code, "-", "_")), "%s of %s fails as it was asked to", method, name)
	}
	if n := s.all[name]; n != nil {
		return n, nil
	}
	return nil, fault.New(fault.NotFound, "there is no session %q", name)
}

// Up makes a session.
func (s *Sessions) Up(_ context.Context, req wire.Up) (wire.Session, error) {
	name := req.Session
	if name == "" {
		name = home.NameFor(req.Dir)
	}
	s.mu.Lock()
	n, err := s.find("up", name)
	s.mu.Unlock()
	if fault.Is(err, fault.NotFound) {
		s.Add(name)
		s.mu.Lock()
		defer s.mu.Unlock()
		n, err = s.all[name], nil
	}
	if err != nil {
		return wire.Session{}, err
	}
	n.State = "running"
	return n.Session, nil
}

// Down stops a session.
func (s *Sessions) Down(_ context.Context, req wire.DownRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.find("down", req.Session)
	if err == nil {
		n.State = "stopped"
	}
	return err
}

// List lists the sessions.
func (s *Sessions) List(context.Context) ([]wire.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []wire.Session{}
	for _, n := range s.all {
		list = append(list, n.Session)
	}
	slices.SortFunc(list, func(a, b wire.Session) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Remove forgets a session.
func (s *Sessions) Remove(_ context.Context, req wire.RemoveRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.find("rm", req.Session)
	if err == nil {
		delete(s.all, req.Session)
	}
	return err
}

// Status describes a session.
func (s *Sessions) Status(ctx context.Context, name string) (wire.Status, error) {
	if s.Gate != nil {
		select {
		case <-s.Gate:
		case <-ctx.Done():
			return wire.Status{}, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.find("status", name)
	if err != nil {
		return wire.Status{}, err
	}
	return wire.Status{Session: n.Session, Changes: wire.Counts{Added: len(n.changes)}, Digest: "d0", Commits: n.commits, Uptime: 1.5}, nil
}

// Changes lists the paths given to Add.
func (s *Sessions) Changes(_ context.Context, name string, req wire.ChangesRequest) (wire.ChangesReply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.find("changes", name)
	if err != nil {
		return wire.ChangesReply{}, err
	}
	return wire.ChangesReply{Changes: pick(n.changes, req.Paths), Digest: "d0"}, nil
}

func pick(all []wire.Change, paths []string) []wire.Change {
	picked := []wire.Change{}
	for _, c := range all {
		if len(paths) == 0 || slices.Contains(paths, c.Name()) {
			picked = append(picked, c)
		}
	}
	return picked
}

// Patch writes PatchText in two pieces.
func (s *Sessions) Patch(_ context.Context, name string, _ wire.PatchRequest, w io.Writer) error {
	s.mu.Lock()
	_, err := s.find("patch", name)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	half := len(s.PatchText) / 2
	if _, err := w.Write(s.PatchText[:half]); err != nil {
		return err
	}
	_, err = w.Write(s.PatchText[half:])
	return err
}

// Hunks is a whole one of each change.
func (s *Sessions) Hunks(_ context.Context, name string, _ wire.HunksRequest, w io.Writer) error {
	s.mu.Lock()
	n, err := s.find("hunks", name)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	for _, c := range n.changes {
		line, err := wire.Encode(wire.Hunk{ID: strings.Repeat("0", 40), Path: c.Path, PathB64: c.PathB64, Op: c.Op, What: "whole"})
		if err != nil {
			return err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// Brake has no limits before, and the wanted ones after.
func (s *Sessions) Brake(_ context.Context, name string, req wire.BrakeRequest) (wire.Brake, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.find("brake", name)
	limits, _ := req.Apply(wire.BrakeLimits{})
	return wire.Brake{Limits: limits}, err
}

// Commit applies the changes picked, but those that are held.
func (s *Sessions) Commit(_ context.Context, name string, req wire.CommitRequest) (wire.CommitReply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.find("commit", name)
	if err != nil {
		return wire.CommitReply{}, err
	}
	if req.If != "" && req.If != "d0" {
		return wire.CommitReply{}, fault.New(fault.Conflict, "the changes have moved from %s to d0: look again", req.If)
	}
	reply := wire.CommitReply{DryRun: req.DryRun, Digest: "d1"}
	for _, c := range pick(n.changes, req.Paths) {
		if c.Held && req.Git != "yes" {
			reply.Held = append(reply.Held, c)
			continue
		}
		reply.Applied = append(reply.Applied, c)
	}
	if !req.DryRun && len(reply.Applied) > 0 {
		n.commits++
		n.drop(reply.Applied)
		reply.Number = n.commits
	}
	return reply, nil
}

// drop takes changes out of the session.
func (n *session) drop(gone []wire.Change) {
	n.changes = slices.DeleteFunc(n.changes, func(c wire.Change) bool {
		return slices.ContainsFunc(gone, func(d wire.Change) bool { return d.Name() == c.Name() })
	})
}

// Undo takes the last commit back, of which nothing is known but its number.
func (s *Sessions) Undo(_ context.Context, name string, req wire.UndoRequest) (wire.UndoReply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.find("undo", name)
	if err == nil && n.commits == 0 {
		err = fault.New(fault.NotFound, "there is no commit to undo")
	}
	if err != nil {
		return wire.UndoReply{}, err
	}
	n.commits++
	return wire.UndoReply{Number: n.commits, Commit: n.commits - 1, Redo: req.Redo}, nil
}

// Checkpoint makes one that is only a name.
func (s *Sessions) Checkpoint(_ context.Context, name string, req wire.CheckpointRequest) (wire.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.find("checkpoint", name)
	if err != nil {
		return wire.Checkpoint{}, err
	}
	c := wire.Checkpoint{Name: cmp.Or(req.Name, fmt.Sprintf("c%d", len(n.points)+1)), Note: req.Note}
	n.points = append(n.points, c)
	return c, nil
}

// Checkpoints lists the names.
func (s *Sessions) Checkpoints(_ context.Context, name string) ([]wire.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.find("checkpoints", name)
	if err != nil {
		return nil, err
	}
	return slices.Clone(n.points), nil
}

// DropCheckpoints forgets names.
func (s *Sessions) DropCheckpoints(_ context.Context, name string, req wire.DropRequest) ([]wire.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.find("checkpoint.drop", name)
	if err != nil {
		return nil, err
	}
	n.points = slices.DeleteFunc(n.points, func(c wire.Checkpoint) bool { return slices.Contains(req.Names, c.Name) })
	return slices.Clone(n.points), nil
}

// Fork makes a session with the same changes.
func (s *Sessions) Fork(_ context.Context, name string, req wire.ForkRequest) (wire.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.find("fork", name)
	if err != nil {
		return wire.Session{}, err
	}
	name += "." + req.Name
	s.all[name] = &session{changes: slices.Clone(n.changes)}
	return wire.Session{Name: name, State: "running"}, nil
}

// Rollback goes nowhere.
func (s *Sessions) Rollback(_ context.Context, name string, req wire.RollbackRequest) (wire.RollbackReply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.find("rollback", name)
	if err == nil && !slices.ContainsFunc(n.points, func(c wire.Checkpoint) bool { return c.Name == req.To }) {
		err = fault.New(fault.NotFound, "there is no checkpoint %q", req.To)
	}
	return wire.RollbackReply{To: req.To, Kept: "before"}, err
}

// History is a line for each commit.
func (s *Sessions) History(_ context.Context, name string, _ wire.HistoryRequest) ([]wire.HistoryEntry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.find("history", name)
	var l []wire.HistoryEntry
	for i := n.commits; err == nil && i > 0; i-- {
		l = append(l, wire.HistoryEntry{Number: i, Commit: i, Op: "commit", State: "kept"})
	}
	return l, err
}

// Conflicts are none.
func (s *Sessions) Conflicts(_ context.Context, name string, _ wire.ConflictsRequest) ([]wire.ConflictInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.find("conflicts", name)
	return []wire.ConflictInfo{}, err
}

// Side writes nothing.
func (s *Sessions) Side(_ context.Context, name string, _ wire.SideRequest, _ io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.find("conflict.read", name)
	return err
}

// Resolve finds every conflict resolved.
func (s *Sessions) Resolve(_ context.Context, name string, _ wire.ResolveRequest) (wire.DiscardReply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.find("resolve", name)
	return wire.DiscardReply{}, err
}

// Discard drops the changes picked.
func (s *Sessions) Discard(_ context.Context, name string, req wire.DiscardRequest) (wire.DiscardReply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.find("discard", name)
	if err != nil {
		return wire.DiscardReply{}, err
	}
	dropped := pick(n.changes, req.Paths)
	n.drop(dropped)
	return wire.DiscardReply{Dropped: dropped, Kept: "before-discard-1"}, nil
}

// Recover finds nothing to do.
func (s *Sessions) Recover(_ context.Context, name string) (wire.RecoverReply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.find("recover", name)
	return wire.RecoverReply{Actions: []string{}}, err
}

// Kernel implements op.Kernel and remembers what it was told.
type Kernel struct {
	Stop     chan string // receives the reason of each Shutdown that fits
	Sessions op.Sessions
}

var _ op.Kernel = (*Kernel)(nil)

// Version names a fixed build.
func (k *Kernel) Version() wire.VersionReply {
	return wire.VersionReply{Version: wire.Version, Protocol: wire.Protocol, Build: "test", Go: "go"}
}

// Status lists the sessions and fixed numbers.
func (k *Kernel) Status(ctx context.Context) (wire.KernelStatus, error) {
	list, err := k.Sessions.List(ctx)
	return wire.KernelStatus{PID: 1, Version: wire.Version, Home: "/home", Started: epoch(), Uptime: 2, Sessions: list}, err
}

// Shutdown remembers the reason.
func (k *Kernel) Shutdown(reason string) {
	select {
	case k.Stop <- reason:
	default:
	}
}

// New makes a table over s and a Kernel. Users have no rights in it.
func New(s *Sessions) (*op.Table, *Kernel) {
	services, k := Of(s)
	return op.New(op.Config{Services: services}), k
}

// Of are the services that New makes its table of.
func Of(s op.Sessions) (op.Services, *Kernel) {
	k := &Kernel{Stop: make(chan string, 1), Sessions: s}
	rest := &Services{}
	return op.Services{
		Sessions: s, Kernel: k, Identity: Identity{rest}, Caps: Capabilities{rest}, Approvals: Approvals{rest},
		Audit: Audit{rest}, Bus: Bus{rest}, State: State{rest}, Capsules: Capsules{rest},
	}, k
}
