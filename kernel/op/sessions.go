package op

import (
	"context"
	"io"

	"astrid/kernel/wire"
)

// Sessions is what the operation table asks of the table of sessions. Every
// name that arrives here has been checked by home.CheckSession; every error
// that leaves should carry a fault.Kind.
//
// The methods may be called from many goroutines at once and return soon after
// ctx ends, but those that change something (Commit, Discard) only when the view
// server has said what came of it, or has not for long: one that has passed its
// point of no return goes on, and is done then.
type Sessions interface {
	// Up makes or finds the session for a workspace and returns once its view
	// answers. It is idempotent: a running session is returned as it is.
	Up(ctx context.Context, req wire.Up) (wire.Session, error)
	// Down ends the view server of req.Session.
	Down(ctx context.Context, req wire.DownRequest) error
	// List returns every session, running or not, ordered by name.
	List(ctx context.Context) ([]wire.Session, error)
	// Remove forgets a session that is down, and what it had not committed.
	Remove(ctx context.Context, req wire.RemoveRequest) error
	Status(ctx context.Context, session string) (wire.Status, error)
	Changes(ctx context.Context, session string, req wire.ChangesRequest) (wire.ChangesReply, error)
	// Patch writes a git-format patch to w as it is made. An error of w ends
	// it and comes back.
	Patch(ctx context.Context, session string, req wire.PatchRequest, w io.Writer) error
	// Hunks writes what can be committed by itself as lines of JSON, a wire.Hunk each.
	Hunks(ctx context.Context, session string, req wire.HunksRequest, w io.Writer) error
	Commit(ctx context.Context, session string, req wire.CommitRequest) (wire.CommitReply, error)
	// Undo takes a commit back or, with req.Redo, an undo.
	Undo(ctx context.Context, session string, req wire.UndoRequest) (wire.UndoReply, error)
	// Checkpoint makes a checkpoint of a view.
	Checkpoint(ctx context.Context, session string, req wire.CheckpointRequest) (wire.Checkpoint, error)
	// Checkpoints lists those of a session, the oldest first.
	Checkpoints(ctx context.Context, session string) ([]wire.Checkpoint, error)
	// DropCheckpoints forgets some and lists the others.
	DropCheckpoints(ctx context.Context, session string, req wire.DropRequest) ([]wire.Checkpoint, error)
	// Rollback makes a view, or paths of it, what it was at a checkpoint.
	Rollback(ctx context.Context, session string, req wire.RollbackRequest) (wire.RollbackReply, error)
	// Fork makes a session that begins with what another one shows.
	Fork(ctx context.Context, session string, req wire.ForkRequest) (wire.Session, error)
	// History lists the commits, undos and redos of a session, the last first.
	History(ctx context.Context, session string, req wire.HistoryRequest) ([]wire.HistoryEntry, error)
	// Conflicts lists what stands in the way of a commit.
	Conflicts(ctx context.Context, session string, req wire.ConflictsRequest) ([]wire.ConflictInfo, error)
	// Side writes one version of a file in conflict to w.
	Side(ctx context.Context, session string, req wire.SideRequest, w io.Writer) error
	// Resolve ends conflicts by keeping one side; it replies what was dropped.
	Resolve(ctx context.Context, session string, req wire.ResolveRequest) (wire.DiscardReply, error)
	Discard(ctx context.Context, session string, req wire.DiscardRequest) (wire.DiscardReply, error)
	// Brake sets limits of what is changed through a view.
	Brake(ctx context.Context, session string, req wire.BrakeRequest) (wire.Brake, error)
	Recover(ctx context.Context, session string) (wire.RecoverReply, error)
}
