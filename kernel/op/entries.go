package op

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Names of operations that other packages call by name.
const (
	Up           = "up"
	Down         = "down"
	List         = "sessions"
	Remove       = "rm"
	Status       = "status"
	Changes      = "changes"
	Patch        = "patch"
	Hunks        = "hunks"
	Commit       = "commit"
	Undo         = "undo"
	Checkpoint   = "checkpoint"
	Checkpoints  = "checkpoints"
	DropPoint    = "checkpoint.drop"
	Rollback     = "rollback"
	Fork         = "fork"
	Redo         = "redo"
	History      = "history"
	Conflicts    = "conflicts"
	ConflictSide = "conflict.read"
	Resolve      = "resolve"
	Discard      = "discard"
	Brake        = "brake"
	Recover      = "recover"
	About        = "kernel"
	Version      = "version"
	Shutdown     = "shutdown"
	Metrics      = "metrics"
	Log          = "log"

	Users       = "identity"
	CreateUser  = "identity.create"
	LinkUser    = "identity.link"
	UnlinkUser  = "identity.unlink"
	Tokens      = "identity.tokens"
	MintToken   = "identity.token"
	RevokeToken = "identity.revoke"

	Caps      = "cap"
	GrantCap  = "cap.grant"
	RevokeCap = "cap.revoke"
	AddCap    = "cap.add"

	Ask             = "ask"
	Pending         = "approvals"
	Approve         = "approve"
	Questions       = "questions"
	AnswerQuestion  = "answer"
	Allowances      = "allowances"
	RevokeAllowance = "allowances.revoke"

	AuditRead   = "audit"
	AuditVerify = "audit.verify"
	AuditExport = "audit.export"

	BusStatus = "bus"
	Publish   = "publish"
	Events    = "events"

	KVGet    = "kv.get"
	KVSet    = "kv.set"
	KVDelete = "kv.delete"
	KVKeys   = "kv.list"
	KVClear  = "kv.clear"
	Backup   = "backup"

	GetStatus      = "GetStatus"
	ShutdownMethod = "Shutdown"

	ListCapsules       = "ListCapsules"
	GetCommands        = "GetCommands"
	GetCapsuleMetadata = "GetCapsuleMetadata"
	ReloadCapsules     = "ReloadCapsules"
	InstallCapsule     = "InstallCapsule"
	ApproveCapability  = "ApproveCapability"

	CapsuleInfos   = "capsules"
	RemoveCapsule  = "capsule.remove"
	EnableCapsule  = "capsule.enable"
	DisableCapsule = "capsule.disable"
	TrustCapsule   = "capsule.trust"
	LogOfCapsule   = "capsule.log"
	CallTool       = "capsule.call"
)

// build is the table.
func (t *Table) build(s Services) []*Entry {
	return slices.Concat(sessionEntries(s.Sessions, t.Sees), kernelEntries(s.Kernel), identityEntries(s.Identity), capEntries(s.Caps),
		approvalEntries(s.Approvals), auditEntries(s.Audit), busEntries(s.Bus), stateEntries(s.State), capsuleEntries(s.Capsules, s.Approvals))
}

// The rules that entries are made with.
func plain() policy   { return policy{} }
func audited() policy { return policy{audited: true} }
func limited() policy { return policy{audited: true, max: 60} }

func sessionEntries(s Sessions, sees func(Caller, string) bool) []*Entry {
	return []*Entry{
		unary(Up, SessionUp, audited(), "make or find the session of a workspace", up(s)),
		unary(Down, SessionDown, audited(), "end a session's view, keeping its work", done(s.Down)),
		unary(List, SessionList, plain(), "list the sessions", list(s, sees)),
		unary(Remove, SessionRemove, audited(), "forget a session that is down", done(s.Remove)),
		unary(Status, SessionRead, plain(), "describe a session", func(ctx context.Context, p wire.For[wire.None]) (wire.Status, error) {
			return s.Status(ctx, p.Session)
		}),
		unary(Changes, SessionRead, plain(), "list what a session changed", to(s.Changes)),
		stream(Patch, SessionRead, plain(), "write what a session changed as a patch", func(ctx context.Context, p wire.For[wire.PatchRequest], out io.Writer) error {
			return s.Patch(ctx, p.Session, p.Request, out)
		}),
		stream(Hunks, SessionRead, plain(), "list what can be committed by itself", func(ctx context.Context, p wire.For[wire.HunksRequest], out io.Writer) error {
			return s.Hunks(ctx, p.Session, p.Request, out)
		}),
		unary(Commit, SessionCommit, limited(), "apply changes to the workspace", commit(s)),
		unary(Undo, SessionCommit, limited(), "take a commit back", undo(s, false)),
		unary(Redo, SessionCommit, limited(), "take an undo back", undo(s, true)),
		unary(History, SessionRead, plain(), "list the commits of a session", to(s.History)),
		unary(Checkpoint, SessionCheckpoint, limited(), "make a checkpoint of a view", checkpoint(s)),
		unary(Checkpoints, SessionRead, plain(), "list the checkpoints of a view", func(ctx context.Context, p wire.For[wire.None]) ([]wire.Checkpoint, error) {
			return s.Checkpoints(ctx, p.Session)
		}),
		unary(DropPoint, SessionDiscard, limited(), "forget checkpoints", to(s.DropCheckpoints)),
		unary(Rollback, SessionDiscard, limited(), "make a view, or paths of it, what it was at a checkpoint", rollback(s)),
		unary(Fork, SessionUp, limited(), "make a second view that begins with what a session shows", to(s.Fork)),
		unary(Conflicts, SessionRead, plain(), "list what in the workspace stands in the way of a commit", to(s.Conflicts)),
		stream(ConflictSide, SessionRead, plain(), "write one version of a file in conflict", func(ctx context.Context, p wire.For[wire.SideRequest], out io.Writer) error {
			return s.Side(ctx, p.Session, p.Request, out)
		}),
		unary(Resolve, SessionDiscard, limited(), "end conflicts by keeping one side", to(s.Resolve)),
		unary(Discard, SessionDiscard, limited(), "drop changes", to(s.Discard)),
		unary(Brake, SessionCommit, audited(), "limit what is changed through a view, and let it go on", to(s.Brake)),
		unary(Recover, SessionRecover, audited(), "finish or undo an interrupted commit", func(ctx context.Context, p wire.For[wire.None]) (wire.RecoverReply, error) {
			return s.Recover(ctx, p.Session)
		}),
	}
}

func kernelEntries(k Kernel) []*Entry {
	return []*Entry{
		unary(About, KernelRead, plain(), "describe the kernel", func(ctx context.Context, _ wire.None) (wire.KernelStatus, error) {
			return k.Status(ctx)
		}),
		unary(GetStatus, KernelRead, plain(), "describe the kernel, by the name it has since 0.4", func(ctx context.Context, _ wire.None) (wire.KernelStatus, error) {
			return k.Status(ctx)
		}),
		unary(Version, KernelRead, plain(), "say what is running", func(context.Context, wire.None) (wire.VersionReply, error) {
			return k.Version(), nil
		}),
		unary(Shutdown, KernelShutdown, audited(), "stop the kernel and every idle view", shutdown(k)),
		unary(ShutdownMethod, KernelShutdown, audited(), "stop the kernel, by the name it has since 0.4", shutdown(k)),
		stream(Metrics, KernelRead, plain(), "write what is counted, for Prometheus", k.Metrics),
		stream(Log, KernelLog, plain(), "write the end of the kernel's log", k.Log),
	}
}

func identityEntries(i Identity) []*Entry {
	return []*Entry{
		unary(Users, IdentityRead, plain(), "list the users and their links", i.Users),
		unary(CreateUser, IdentityWrite, audited(), "make a user", i.CreateUser),
		unary(LinkUser, IdentityWrite, audited(), "link an account of a platform to a user", i.Link),
		unary(UnlinkUser, IdentityWrite, audited(), "take a link away", i.Unlink),
		unary(Tokens, IdentityRead, plain(), "list the tokens that users connect with", i.Tokens),
		unary(MintToken, IdentityWrite, audited(), "make a token with which a frontend connects as a user", i.MintToken),
		unary(RevokeToken, IdentityWrite, audited(), "revoke such a token", i.RevokeToken),
	}
}

func capEntries(c Capabilities) []*Entry {
	return []*Entry{
		unary(Caps, CapabilityRead, plain(), "list the capability tokens", c.List),
		unary(GrantCap, CapabilityGrant, audited(), "grant a capability to a user, or attenuate one", c.Grant),
		unary(RevokeCap, CapabilityRevoke, audited(), "revoke capabilities", c.Revoke),
		unary(AddCap, CapabilityGrant, audited(), "add a capability that a trusted issuer has signed", c.Add),
	}
}

func approvalEntries(a Approvals) []*Entry {
	approve := unary(Approve, CapabilityApprove, limited(), "answer a request for approval", a.Answer)
	approve.about = requestSession(a)
	answer := unary(AnswerQuestion, CapabilityApprove, limited(), "answer a question of a capsule, or decline it", a.AnswerQuestion)
	answer.about = requestSession(a)
	return []*Entry{
		unary(Ask, ApprovalAsk, limited(), "ask people for approval and wait for their answer", a.Ask),
		unary(Pending, ApprovalRead, plain(), "list what waits for approval", a.Pending),
		approve,
		unary(Questions, ApprovalRead, plain(), "list the questions of capsules that wait for an answer", a.Questions),
		answer,
		unary(Allowances, CapabilityRead, plain(), "list standing permissions", a.Allowances),
		unary(RevokeAllowance, CapabilityRevoke, audited(), "take a standing permission away", a.RevokeAllowance),
	}
}

// requestSession finds the session that an answer is about.
func requestSession(a Approvals) func(params any) string {
	return func(params any) string {
		switch p := params.(type) {
		case wire.AnswerApproval:
			return a.SessionOf(p.ID)
		case wire.AnswerQuestion:
			return a.SessionOf(p.ID)
		case wire.ApproveCapability:
			return a.SessionOf(p.RequestID)
		}
		return ""
	}
}

func auditEntries(a Audit) []*Entry {
	return []*Entry{
		unary(AuditRead, AuditReading, plain(), "read the audit log", a.Read),
		unary(AuditVerify, AuditReading, plain(), "verify the audit log", a.Verify),
		stream(AuditExport, AuditReading, plain(), "write the audit log as JSON lines", a.Export),
	}
}

func busEntries(b Bus) []*Entry {
	return []*Entry{
		unary(BusStatus, KernelRead, plain(), "describe the message bus", b.Status),
		unary(Publish, BusPublish, plain(), "put a message on the bus", b.Publish),
		stream(Events, BusRead, plain(), "write messages of the bus", b.Events),
	}
}

func stateEntries(s State) []*Entry {
	return []*Entry{
		unary(KVGet, StateRead, plain(), "read a value of the state store", s.Get),
		unary(KVSet, StateWrite, audited(), "set a value of the state store", s.Set),
		unary(KVDelete, StateWrite, audited(), "delete a value of the state store", s.Delete),
		unary(KVKeys, StateRead, plain(), "list the keys of a namespace", s.Keys),
		unary(KVClear, StateWrite, audited(), "delete the keys of a namespace", s.Clear),
		stream(Backup, StateRead, audited(), "write a backup of the state store", s.Backup),
	}
}

// to adapts a method of Sessions that is given the session beside the request.
func to[Q, R any](h func(context.Context, string, Q) (R, error)) func(context.Context, wire.For[Q]) (R, error) {
	return func(ctx context.Context, p wire.For[Q]) (R, error) { return h(ctx, p.Session, p.Request) }
}

// done adapts a method that replies nothing.
func done[P any](h func(context.Context, P) error) func(context.Context, P) (wire.None, error) {
	return func(ctx context.Context, p P) (wire.None, error) { return wire.None{}, h(ctx, p) }
}

func up(s Sessions) func(context.Context, wire.Up) (wire.Session, error) {
	return func(ctx context.Context, p wire.Up) (wire.Session, error) {
		if !filepath.IsAbs(p.Dir) || strings.ContainsAny(p.Dir, "\x00\ufffd") {
			return wire.Session{}, fault.New(fault.Usage, "the workspace %q is not an absolute path", p.Dir)
		}
		p.Dir = filepath.Clean(p.Dir)
		return s.Up(ctx, p)
	}
}

// list shows a caller the sessions that it may know of.
func list(s Sessions, sees func(Caller, string) bool) func(context.Context, wire.None) ([]wire.Session, error) {
	return func(ctx context.Context, _ wire.None) ([]wire.Session, error) {
		all, err := s.List(ctx)
		if err != nil {
			return nil, err
		}
		caller := CallerOf(ctx)
		return slices.DeleteFunc(all, func(s wire.Session) bool { return !sees(caller, s.Name) }), nil
	}
}

func commit(s Sessions) func(context.Context, wire.For[wire.CommitRequest]) (wire.CommitReply, error) {
	return func(ctx context.Context, p wire.For[wire.CommitRequest]) (wire.CommitReply, error) {
		p.Request.By = by(ctx)
		switch p.Request.Git {
		case "", "yes", "no":
			return s.Commit(ctx, p.Session, p.Request)
		}
		return wire.CommitReply{}, fault.New(fault.Usage, "git is %q: it may be \"yes\", \"no\" or absent", p.Request.Git)
	}
}

func undo(s Sessions, redo bool) func(context.Context, wire.For[wire.UndoRequest]) (wire.UndoReply, error) {
	return func(ctx context.Context, p wire.For[wire.UndoRequest]) (wire.UndoReply, error) {
		p.Request.By, p.Request.Redo = by(ctx), redo
		return s.Undo(ctx, p.Session, p.Request)
	}
}

func checkpoint(s Sessions) func(context.Context, wire.For[wire.CheckpointRequest]) (wire.Checkpoint, error) {
	return func(ctx context.Context, p wire.For[wire.CheckpointRequest]) (wire.Checkpoint, error) {
		p.Request.By = by(ctx)
		return s.Checkpoint(ctx, p.Session, p.Request)
	}
}

func rollback(s Sessions) func(context.Context, wire.For[wire.RollbackRequest]) (wire.RollbackReply, error) {
	return func(ctx context.Context, p wire.For[wire.RollbackRequest]) (wire.RollbackReply, error) {
		p.Request.By = by(ctx)
		if p.Request.To == "" {
			return wire.RollbackReply{}, fault.New(fault.Usage, "say to which checkpoint; astrid checkpoints lists them")
		}
		return s.Rollback(ctx, p.Session, p.Request)
	}
}

// by names the caller for the history of a workspace.
func by(ctx context.Context) string {
	c := CallerOf(ctx)
	if c.Principal == Owner {
		return string(Owner)
	}
	return c.User
}

func shutdown(k Kernel) func(context.Context, wire.ShutdownRequest) (wire.ShutdownReply, error) {
	return func(_ context.Context, p wire.ShutdownRequest) (wire.ShutdownReply, error) {
		if p.Reason == "" {
			p.Reason = "asked to"
		}
		k.Shutdown(p.Reason)
		return wire.ShutdownReply{Stopping: true}, nil
	}
}
