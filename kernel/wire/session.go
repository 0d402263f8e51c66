package wire

import (
	"strconv"
	"time"

	"astrid/kernel/fault"
)

// Up asks for a session on a workspace.
type Up struct {
	Dir     string `json:"dir"`               // absolute path of the workspace
	Session string `json:"session,omitempty"` // wanted name; empty: derived from Dir
	// Confirmed says that the user agreed to a workspace that needs it ("/" or $HOME).
	Confirmed bool `json:"confirmed,omitzero"`
	// Writeback chooses Modes.Writeback; nil leaves it as the session has it.
	Writeback *bool `json:"writeback,omitempty"`
	// Pin chooses Modes.Pin; nil leaves it as the session has it.
	Pin *bool `json:"pin,omitempty"`
}

// Modes are what a session was made with and keeps; none of them changes while its
// view is up.
type Modes struct {
	// Writeback lets the machine collect what programs write until close or fsync.
	Writeback bool `json:"writeback,omitzero"`
	// Pin copies a file of the workspace when the view first says anything of it, and
	// one in a directory that the view has moved when it is first read.
	Pin bool `json:"pin,omitzero"`
}

// Asked returns m with what u chooses.
func (m Modes) Asked(u Up) Modes {
	if u.Writeback != nil {
		m.Writeback = *u.Writeback
	}
	if u.Pin != nil {
		m.Pin = *u.Pin
	}
	return m
}

// Session describes one session.
type Session struct {
	Name      string    `json:"name"`
	Base      string    `json:"base"`      // the real workspace
	Workspace string    `json:"workspace"` // where the view is mounted
	State     string    `json:"state"`     // starting, running, restarting, stopping, failed, stopped
	PID       int       `json:"pid,omitzero"`
	Created   time.Time `json:"created"`
	Since     time.Time `json:"since"` // of the present state
	Restarts  int       `json:"restarts"`
	Note      string    `json:"note,omitempty"`   // why failed; advice
	Parent    string    `json:"parent,omitempty"` // the session that this is a fork of
	Modes
}

// Status is what `astrid status` says of one session.
type Status struct {
	Session
	Changes   Counts  `json:"changes"`
	Conflicts int     `json:"conflicts"`
	Digest    string  `json:"digest"`              // of the change set; see CommitRequest.If
	Held      Paths   `json:"held,omitempty"`      // paths a plain commit would hold back
	Bytes     int64   `json:"bytes"`               // disk used by the session's changes
	ReadOnly  string  `json:"read_only,omitempty"` // why the view refuses writes; empty when it does not
	Brake     *Brake  `json:"brake,omitempty"`     // when there are limits
	Watched   bool    `json:"watched"`             // base edits are followed at once; otherwise within a second
	Commits   uint64  `json:"commits"`             // number of the last commit
	Points    int     `json:"checkpoints"`         // how many there are
	Pending   string  `json:"pending,omitempty"`   // a commit that recovery could not finish, and what to do
	Uptime    float64 `json:"uptime_seconds"`
	Panics    uint64  `json:"panics"`
}

// Counts counts changed paths by letter.
type Counts struct {
	Added    int `json:"added"`
	Modified int `json:"modified"`
	Deleted  int `json:"deleted"`
	Renamed  int `json:"renamed"`
	Typed    int `json:"typed"` // the kind of object changed
	Meta     int `json:"meta"`  // only mode, owner, times or xattrs
}

// Total is the sum.
func (c Counts) Total() int {
	return c.Added + c.Modified + c.Deleted + c.Renamed + c.Typed + c.Meta
}

// Change is one changed path. Paths are bytes: JSON carries them in Path when
// they are valid UTF-8 and in PathB64 otherwise, so that nothing is replaced.
type Change struct {
	Op      string  `json:"op"` // A M D R T m
	Path    string  `json:"path,omitempty"`
	PathB64 []byte  `json:"path_b64,omitempty"`
	From    string  `json:"from,omitempty"` // R: the path in the base
	FromB64 []byte  `json:"from_b64,omitempty"`
	Kind    string  `json:"kind"` // file dir symlink fifo socket char block
	Mode    uint32  `json:"mode"`
	Size    int64   `json:"size"`
	Note    string  `json:"note,omitempty"` // e.g. how many paths a .git line stands for; why it is held back
	Held    bool    `json:"held,omitzero"`
	Added   int     `json:"added,omitzero"`   // lines, with stat
	Deleted int     `json:"deleted,omitzero"` // lines, with stat
	Binary  bool    `json:"binary,omitzero"`  // with stat
	By      *Author `json:"by,omitempty"`     // of a list of changes: who made it; absent when it is not known
}

// ChangesRequest asks for the list of changes.
type ChangesRequest struct {
	Paths   Paths `json:"paths,omitempty"` // paths or globs relative to the workspace's root; none: all
	Exclude Paths `json:"exclude,omitempty"`
	All     bool  `json:"all,omitzero"`  // every path below .git instead of one line a repository
	Stat    bool  `json:"stat,omitzero"` // count lines too
	Span    *Span `json:"span,omitzero"` // compare these; absent: the workspace and the view
}

// Span is two states of a session to be compared.
type Span struct {
	From string `json:"from"` // a checkpoint, "base" for the workspace as it is, "view" for the view
	To   string `json:"to"`
}

// ChangesReply is the list, ordered by path.
type ChangesReply struct {
	Changes []Change `json:"changes"`
	Digest  string   `json:"digest,omitempty"` // of the whole change set, whatever Paths said; not of a Span
}

// PatchRequest asks for a git-format patch; the bytes come as a stream of chunks.
type PatchRequest struct {
	Paths   Paths `json:"paths,omitempty"`
	Exclude Paths `json:"exclude,omitempty"`
	Span    *Span `json:"span,omitzero"` // compare these; absent: the workspace and the view
}

// CommitRequest asks to apply changes to the base.
type CommitRequest struct {
	Paths   Paths `json:"paths,omitempty"` // paths or globs relative to the workspace's root; none: all that is not held back
	Exclude Paths `json:"exclude,omitempty"`
	// Hunks are IDs of hunks: exactly these, without Paths.
	Hunks   []string `json:"hunks,omitempty"`
	DryRun  bool     `json:"dry_run,omitzero"`
	If      string   `json:"if,omitempty"`  // digest that the change set must have
	Git     string   `json:"git,omitempty"` // "" ask by rule, "yes" --git, "no" --no-git
	Message string   `json:"message,omitempty"`
	By      string   `json:"by,omitempty"` // who asks; the kernel says it, whatever a frontend wrote
}

// CommitReply says what a commit did (or, with DryRun, would do).
type CommitReply struct {
	Number    uint64     `json:"number"` // 0: nothing was to be done, or DryRun
	DryRun    bool       `json:"dry_run,omitzero"`
	Applied   []Change   `json:"applied"`
	Held      []Change   `json:"held"`    // protected or .astridignored paths that remain: exit code 6
	Skipped   []Change   `json:"skipped"` // git-ignored and excluded paths that remain
	Conflicts []Conflict `json:"conflicts,omitempty"`
	Digest    string     `json:"digest"`            // of what remains
	Outside   []string   `json:"outside,omitempty"` // notes, e.g. names of one inode outside the workspace
}

// Conflict is one path that stands in the way of a commit.
type Conflict struct {
	Path    string `json:"path,omitempty"`
	PathB64 []byte `json:"path_b64,omitempty"`
	Why     string `json:"why"`
}

// UndoRequest asks to take a commit back (undo), or an undo (redo).
type UndoRequest struct {
	Commit uint64 `json:"commit,omitzero"` // its number; 0: the last one
	DryRun bool   `json:"dry_run,omitzero"`
	Redo   bool   `json:"redo,omitzero"` // the kernel says it, by the operation
	By     string `json:"by,omitempty"`  // who asks; the kernel says it
}

// UndoReply says what an undo or redo did (or, with DryRun, would do).
type UndoReply struct {
	Number    uint64     `json:"number"` // of this operation; 0 of a dry run
	Commit    uint64     `json:"commit"` // the commit that it is about
	Redo      bool       `json:"redo,omitzero"`
	DryRun    bool       `json:"dry_run,omitzero"`
	Message   string     `json:"message,omitempty"` // of that commit
	Changed   []Change   `json:"changed"`           // what it does to the workspace; kind, mode and size are not said
	Conflicts []Conflict `json:"conflicts,omitempty"`
}

// HistoryRequest asks for the operations on the workspace.
type HistoryRequest struct {
	Number uint64 `json:"number,omitzero"` // only this one, with all its paths
	Last   int    `json:"last,omitzero"`   // the last so many; 0: all that are known
}

// HistoryEntry is one commit, undo or redo.
type HistoryEntry struct {
	Number  uint64    `json:"number"`
	Op      string    `json:"op"`     // commit, undo, redo
	Commit  uint64    `json:"commit"` // the commit that it is about
	At      time.Time `json:"at"`
	By      string    `json:"by,omitempty"` // who asked for it
	Message string    `json:"message,omitempty"`
	Paths   int       `json:"paths"` // how many it changed
	Bytes   int64     `json:"bytes"` // of the files that it brought to the workspace
	// State is kept when it can be taken back, reversed when that was done, past
	// when what it replaced is not kept any more.
	State   string   `json:"state"`
	Changed []Change `json:"changed"` // some of the paths; all when one entry was asked for and they are kept
	More    bool     `json:"more,omitzero"`
}

// ConflictsRequest asks for the conflicts that a commit would meet.
type ConflictsRequest struct {
	Paths Paths `json:"paths,omitempty"` // paths or globs relative to the workspace's root; none: all
}

// Side describes one version of a path in conflict.
type Side struct {
	There bool   `json:"there"`
	Kind  string `json:"kind,omitempty"` // file dir symlink …; not of a base
	Size  int64  `json:"size"`
}

// ConflictInfo is one conflict with what is there of it.
type ConflictInfo struct {
	Conflict
	Place    string `json:"place,omitempty"` // in the workspace, when that is another path
	PlaceB64 []byte `json:"place_b64,omitempty"`
	Base     Side   `json:"base"`   // what the view's change began with, when it was kept
	Mine     Side   `json:"mine"`   // the view's
	Theirs   Side   `json:"theirs"` // the workspace's
	State    string `json:"state"`  // of theirs: another one after each edit
}

// SideRequest asks for the bytes of one side.
type SideRequest struct {
	Path Paths  `json:"path"` // one
	Side string `json:"side"` // base, mine or theirs
}

// ResolveRequest asks to end conflicts by keeping one side.
type ResolveRequest struct {
	Paths Paths  `json:"paths"`
	Keep  string `json:"keep"`            // mine or theirs
	State string `json:"state,omitempty"` // with one path: what theirs must still be
}

// DiscardRequest asks to drop changes from the view.
type DiscardRequest struct {
	Paths   Paths `json:"paths,omitempty"`   // none: everything
	Exclude Paths `json:"exclude,omitempty"` // what stays, with all that it needs
}

// DiscardReply says what was dropped.
type DiscardReply struct {
	Dropped []Change `json:"dropped"`
	Kept    string   `json:"kept,omitempty"` // the checkpoint that keeps for a day what was dropped
}

// CheckpointRequest asks for a checkpoint of a view as it is now.
type CheckpointRequest struct {
	Name string `json:"name,omitempty"` // empty: one is found
	Note string `json:"note,omitempty"`
	// Before says before what it is made by itself, merge or rebase: it is kept for a day.
	Before string `json:"before,omitempty"`
	By     string `json:"by,omitempty"` // who asks; the kernel says it
}

// Checkpoint describes one.
type Checkpoint struct {
	Name    string    `json:"name"`
	At      time.Time `json:"at"`
	By      string    `json:"by,omitempty"`
	Note    string    `json:"note,omitempty"`
	Auto    string    `json:"auto,omitempty"` // before what it was made by itself: discard, rollback, restore
	Commits uint64    `json:"commits"`        // number of the last commit then
	Path    string    `json:"path,omitempty"` // where it can be looked at
}

// ForkRequest asks for a second view that begins with what a session shows.
type ForkRequest struct {
	Name string `json:"name"`           // with the name of the session and a dot before it, that of the new one
	From string `json:"from,omitempty"` // a checkpoint; empty: the view as it is now
}

// DropRequest asks to forget checkpoints.
type DropRequest struct {
	Names []string `json:"names"`
}

// RollbackRequest asks to make a view, or some paths of it, what it was at a checkpoint.
type RollbackRequest struct {
	To    string `json:"to"`
	Paths Paths  `json:"paths,omitempty"` // relative to the workspace's root, without globs; none: the whole view
	By    string `json:"by,omitempty"`    // who asks; the kernel says it
}

// RollbackReply says what a rollback did.
type RollbackReply struct {
	To   string `json:"to"`
	Kept string `json:"kept"` // the checkpoint of the view as it was before
}

// DownRequest ends a session's view server; uncommitted work is kept unless Discard.
type DownRequest struct {
	Session string `json:"session"`
	Discard bool   `json:"discard,omitzero"`
	Force   bool   `json:"force,omitzero"` // also when programs hold files open in the view
}

// RemoveRequest forgets a session that is down, with what it had not committed.
type RemoveRequest struct {
	Session string `json:"session"`
	Force   bool   `json:"force,omitzero"` // also when it holds uncommitted changes
}

// RecoverReply says what recovery found and did.
type RecoverReply struct {
	Actions []string `json:"actions"`
	Left    Paths    `json:"left,omitempty"` // paths found in neither state: both versions are kept and named
}

// Err says, as an error of Kind HeldBack, that a commit left protected paths
// behind; nil when it did not, and for a dry run.
func (r CommitReply) Err() error {
	if len(r.Held) == 0 || r.DryRun {
		return nil
	}
	return fault.New(fault.HeldBack, "%d paths were applied and %d held back, %s first: name it, or commit with --git, to apply it too",
		len(r.Applied), len(r.Held), strconv.Quote(r.Held[0].Name()))
}
