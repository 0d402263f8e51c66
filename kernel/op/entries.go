package op

import (
	"context"
	"io"
	"path/filepath"
	"strings"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Kernel is what the table asks of the kernel itself.
type Kernel interface {
	Version() wire.VersionReply
	Status(ctx context.Context) (wire.KernelStatus, error)
	// Shutdown begins to stop the kernel and returns at once, so that the
	// answer can still be given.
	Shutdown(reason string)
}

// Names of operations that other packages call by name.
const (
	Up       = "up"
	Down     = "down"
	List     = "sessions"
	Remove   = "rm"
	Status   = "status"
	Changes  = "changes"
	Patch    = "patch"
	Commit   = "commit"
	Discard  = "discard"
	Recover  = "recover"
	About    = "kernel"
	Version  = "version"
	Shutdown = "shutdown"

	ListCapsules       = "ListCapsules"
	GetCommands        = "GetCommands"
	GetCapsuleMetadata = "GetCapsuleMetadata"
	ReloadCapsules     = "ReloadCapsules"
	InstallCapsule     = "InstallCapsule"
	ApproveCapability  = "ApproveCapability"
)

// entries is the table.
func entries(s Sessions, k Kernel) []*Entry {
	var plain, audited policy
	audited.audited = true
	return append([]*Entry{
		unary(Up, SessionUp, audited, "make or find the session of a workspace", up(s)),
		unary(Down, SessionDown, audited, "end a session's view, keeping its work", done(s.Down)),
		unary(List, SessionList, plain, "list the sessions", list(s)),
		unary(Remove, SessionRemove, audited, "forget a session that is down", done(s.Remove)),
		unary(Status, SessionRead, plain, "describe a session", func(ctx context.Context, p wire.For[wire.None]) (wire.Status, error) {
			return s.Status(ctx, p.Session)
		}),
		unary(Changes, SessionRead, plain, "list what a session changed", to(s.Changes)),
		stream(Patch, SessionRead, plain, "write what a session changed as a patch", func(ctx context.Context, p wire.For[wire.PatchRequest], out io.Writer) error {
			return s.Patch(ctx, p.Session, p.Request, out)
		}),
		unary(Commit, SessionCommit, audited, "apply changes to the workspace", commit(s)),
		unary(Discard, SessionDiscard, audited, "drop changes", to(s.Discard)),
		unary(Recover, SessionRecover, audited, "finish or undo an interrupted commit", func(ctx context.Context, p wire.For[wire.None]) (wire.RecoverReply, error) {
			return s.Recover(ctx, p.Session)
		}),
		unary(About, KernelRead, plain, "describe the kernel", func(ctx context.Context, _ wire.None) (wire.KernelStatus, error) {
			return k.Status(ctx)
		}),
		unary(Version, KernelRead, plain, "say what is running", func(context.Context, wire.None) (wire.VersionReply, error) {
			return k.Version(), nil
		}),
		unary(Shutdown, KernelShutdown, audited, "stop the kernel and every idle view", shutdown(k)),
	}, capsuleEntries()...)
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

func list(s Sessions) func(context.Context, wire.None) ([]wire.Session, error) {
	return func(ctx context.Context, _ wire.None) ([]wire.Session, error) { return s.List(ctx) }
}

func commit(s Sessions) func(context.Context, wire.For[wire.CommitRequest]) (wire.CommitReply, error) {
	return func(ctx context.Context, p wire.For[wire.CommitRequest]) (wire.CommitReply, error) {
		switch p.Request.Git {
		case "", "yes", "no":
			return s.Commit(ctx, p.Session, p.Request)
		}
		return wire.CommitReply{}, fault.New(fault.Usage, "git is %q: it may be \"yes\", \"no\" or absent", p.Request.Git)
	}
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
