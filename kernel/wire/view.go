package wire

import "time"

// ViewProtocol is the version of what the kernel and a view server speak. A
// peer of another version is refused with a sentence; the view is left running.
const ViewProtocol = 1

// ViewExitFile is the name, in a session's TempDir, of the file in which a view
// server says why it ended: a ViewExit.
const ViewExitFile = "view.exit"

// ForkDir begins the name, in a session's TempDir, of the directory in which its view
// server prepares a fork.
const ForkDir = "fork-"

// SessionRecord is the content of a session's session.json: all that the next kernel and
// the view server need to know of a session.
type SessionRecord struct {
	Name    string    `json:"name"`
	Dir     string    `json:"dir"`            // the real workspace, absolute and free of symbolic links
	Dev     uint64    `json:"dev"`            // of Dir when the session was made; comparable within one boot
	Ino     uint64    `json:"ino"`            // of Dir when the session was made
	Boot    string    `json:"boot,omitempty"` // boot id that Dev belongs to
	Created time.Time `json:"created"`
	Parent  string    `json:"parent,omitempty"` // the session that this is a fork of
	Want    string    `json:"want"`             // WantUp or WantDown: what the kernel is to make true
	Modes
}

// Words of SessionRecord.Want.
const (
	WantUp   = "up"
	WantDown = "down"
)

// ViewExit is the content of ViewExitFile. A view server that died without
// writing one crashed and is started again.
type ViewExit struct {
	PID int       `json:"pid"`
	At  time.Time `json:"at"`
	Why string    `json:"why"` // one sentence
	// Changes counts what was not committed at the end.
	Changes int    `json:"changes,omitzero"`
	Error   *Error `json:"error,omitempty"` // set when the view could not be brought up
}

// ViewHello is the first frame that the kernel sends on each connection.
type ViewHello struct {
	Protocol int    `json:"protocol"`
	Nonce    string `json:"nonce"`
	Build    string `json:"build"`
}

// ViewWelcome is the answer to ViewHello. After an Error the server closes.
type ViewWelcome struct {
	Protocol int    `json:"protocol"`
	Build    string `json:"build"`
	PID      int    `json:"pid"`
	Session  string `json:"session"`
	Error    *Error `json:"error,omitempty"`
}

// Operations of a view server. A connection carries one of them; closing it
// gives the operation up as far as it can be given up.
const (
	ViewReady   = "ready"   // answers when the view is mounted
	ViewStatus  = "status"  // -> Status, its Session part empty
	ViewChanges = "changes" // ChangesRequest -> ChangesReply
	ViewPatch   = "patch"   // PatchRequest -> chunks
	ViewHunks   = "hunks"   // HunksRequest -> chunks
	ViewCommit  = "commit"  // CommitRequest -> CommitReply; after syncfs and fstatvfs of the view
	ViewDiscard = "discard" // DiscardRequest -> DiscardReply
	ViewUndo    = "undo"    // UndoRequest -> UndoReply, redo too
	ViewHistory = "history" // HistoryRequest -> []HistoryEntry, the last first
	ViewDispute = "dispute" // ConflictsRequest -> []ConflictInfo
	ViewSide    = "side"    // SideRequest -> chunks
	ViewResolve = "resolve" // ResolveRequest -> DiscardReply
	ViewBrake   = "brake"   // BrakeRequest -> Brake
	ViewRecover = "recover" // -> RecoverReply

	ViewCheckpoint  = "checkpoint"      // CheckpointRequest -> Checkpoint
	ViewCheckpoints = "checkpoints"     // -> []Checkpoint, the oldest first
	ViewDrop        = "checkpoint.drop" // DropRequest -> []Checkpoint, those that remain
	ViewFork        = "fork"            // ForkRequest -> nothing; what the fork begins with is in ForkDir and its name
	ViewRollback    = "rollback"        // RollbackRequest -> RollbackReply

	ViewSync   = "sync"   // makes everything acknowledged survive a power cut
	ViewEvents = "events" // -> events until the connection ends
	ViewStop   = "stop"   // StopRequest; answers when the view is unmounted, then the server ends
)

// ViewRequest is the second frame of a connection.
type ViewRequest struct {
	Op     string `json:"op"`
	Params Raw    `json:"params,omitzero"`
}

// ViewReply is each later frame of a connection, from the server. The last one
// has Done; those before it carry a Chunk or an Event.
type ViewReply struct {
	Chunk  []byte     `json:"chunk,omitempty"`
	Event  *ViewEvent `json:"event,omitempty"`
	Done   bool       `json:"done,omitzero"`
	Result Raw        `json:"result,omitzero"`
	Error  *Error     `json:"error,omitempty"`
}

// ViewEvent is something that happened in a view.
type ViewEvent struct {
	Seq  uint64    `json:"seq"`
	At   time.Time `json:"at"`
	Kind string    `json:"kind"` // up, commit, undo, redo, discard, resolve, checkpoint, rollback, recover, brake, base, conflict, unmounted
	Text string    `json:"text,omitempty"`
	// Paths are those that it is about, the first of them when there are many.
	Paths Paths `json:"paths,omitempty"`
	More  int   `json:"more,omitzero"` // how many others there are
	// Lost counts events dropped before this one because nobody read them.
	Lost uint64 `json:"lost,omitzero"`
}

// StopRequest ends a view server; nothing uncommitted is lost by it.
type StopRequest struct {
	Force bool   `json:"force,omitzero"` // also when programs hold files open in the view
	Why   string `json:"why,omitempty"`
}
