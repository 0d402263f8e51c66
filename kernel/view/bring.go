package view

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
	"astrid/overlay"
)

// engine is the overlay of this session in the words of the wire.
type engine interface {
	Status(context.Context) (wire.Status, error)
	// Count is how many paths differ from the base.
	Count(context.Context) (int, error)
	Changes(context.Context, wire.ChangesRequest) (wire.ChangesReply, error)
	Patch(context.Context, wire.PatchRequest, io.Writer) error
	Hunks(context.Context, wire.HunksRequest, io.Writer) error
	Commit(context.Context, wire.CommitRequest) (wire.CommitReply, error)
	Undo(context.Context, wire.UndoRequest) (wire.UndoReply, error)
	History(context.Context, wire.HistoryRequest) ([]wire.HistoryEntry, error)
	Conflicts(context.Context, wire.ConflictsRequest) ([]wire.ConflictInfo, error)
	Side(context.Context, wire.SideRequest, io.Writer) error
	Resolve(context.Context, wire.ResolveRequest) (wire.DiscardReply, error)
	Discard(context.Context, wire.DiscardRequest) (wire.DiscardReply, error)
	Recover(context.Context) (wire.RecoverReply, error)
	Checkpoint(context.Context, wire.CheckpointRequest) (wire.Checkpoint, error)
	Checkpoints(context.Context) ([]wire.Checkpoint, error)
	DropCheckpoints(context.Context, wire.DropRequest) ([]wire.Checkpoint, error)
	Rollback(context.Context, wire.RollbackRequest) (wire.RollbackReply, error)
	// Fork prepares what a fork begins with in a directory that is not there yet.
	Fork(ctx context.Context, dir string, req wire.ForkRequest) error
	Brake() wire.Brake
	SetBrake(b wire.Brake, tell func(why string))
	// Signatures say who made the changes; Signed is another number after each.
	Signatures() []overlay.Signature
	SetSignatures([]overlay.Signature)
	Signed() uint64
	// OnEdit has fn hear of each path of the base at which something is done.
	OnEdit(fn func(path string))
	Sync() error
	Close() error
}

// mount is the FUSE connection of the view.
type mount interface {
	// Drain returns when every request that the machine handed over before the
	// call has been answered.
	Drain(context.Context) error
	// Settle returns when the machine has been told of everything that changed
	// before the call.
	Settle(context.Context) error
	// Unmount ends the mount, lazily when programs only stand in it. Open
	// files make it fail with Busy unless force is set.
	Unmount(ctx context.Context, force bool) error
	// Done is closed when the connection has ended, for whatever reason.
	Done() <-chan struct{}
	// Err is why, after Done; nil for an unmount.
	Err() error
	// Panics counts requests that met a defect and were answered EIO.
	Panics() uint64
}

// bring opens the overlay, finishes what a killed server left, and mounts the
// view. It closes ready in any case.
func (s *server) bring(ctx context.Context) (err error) {
	defer func() {
		s.bringErr = err
		s.since = time.Now()
		close(s.ready)
	}()
	base, err := openBase(s.record)
	if err != nil {
		return err
	}
	defer base.Close()
	eng, err := s.openEngine(ctx)
	if err != nil {
		return asFault(err)
	}
	recovered, err := recoverPatiently(ctx, eng)
	if err == nil {
		s.loadAuthors(eng)
		err = s.loadBrake(eng)
	}
	if err != nil {
		eng.Close()
		return asFault(err)
	}
	for _, action := range recovered.Actions {
		s.log.Info("recovery", "action", action)
	}
	// As late as possible: between the old mount and the new one programs would
	// write to the bare mount point.
	err = errors.Join(clearWorkspace(s.workspace()), clearWorkspace(s.cfg.Home.Checkpoints(s.record.Name)))
	if err == nil {
		err = s.rescueStrays()
	}
	if err == nil {
		s.mount, err = s.openMount(ctx, eng)
	}
	if err != nil {
		eng.Close()
		return asFault(err)
	}
	s.engine = eng
	s.showPasts(eng)
	s.dropForks()
	return nil
}

// recoverTime is how long a view that is brought up waits for a commit of
// another session on the same workspace.
const recoverTime = 60 * time.Second

// recoverPatiently puts right what a killed server left in the workspace.
func recoverPatiently(ctx context.Context, eng engine) (wire.RecoverReply, error) {
	ctx, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		reply, err := eng.Recover(ctx)
		if !fault.Is(err, fault.Busy) {
			return reply, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return reply, err
		}
	}
}

// openBase opens the workspace and checks that it is the directory that the
// session was made on: the changes of one tree must never meet another.
func openBase(record wire.SessionRecord) (*os.File, error) {
	base, err := os.OpenFile(record.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err,
			"the workspace of session %s cannot be opened; bring it back, or drop the session with astrid down --discard", record.Name)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(base.Fd()), &st); err != nil {
		base.Close()
		return nil, fault.Wrap(fault.KindOf(err), err, "look at the workspace %s", record.Dir)
	}
	sameBoot := record.Boot != "" && record.Boot == bootID()
	if st.Ino != record.Ino || (sameBoot && uint64(st.Dev) != record.Dev) {
		base.Close()
		return nil, fault.New(fault.Conflict,
			"%s is not the directory that session %s was made on (it was replaced); put the old one back, or drop the session with astrid down --discard", record.Dir, record.Name)
	}
	return base, nil
}

// bootID names the present boot of the machine; device numbers are comparable
// within one only.
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
