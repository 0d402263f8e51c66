package op

import (
	"context"
	"io"

	"astrid/kernel/wire"
)

// Services is what the table runs operations on. All must be there.
type Services struct {
	Sessions  Sessions
	Kernel    Kernel
	Identity  Identity
	Caps      Capabilities
	Approvals Approvals
	Audit     Audit
	Bus       Bus
	State     State
	Capsules  Capsules
}

// Kernel is what the table asks of the kernel itself.
type Kernel interface {
	Version() wire.VersionReply
	Status(ctx context.Context) (wire.KernelStatus, error)
	// Shutdown begins to stop the kernel and returns at once, so that the
	// answer can still be given.
	Shutdown(reason string)
	// Metrics writes everything that is counted, in the text format of Prometheus.
	Metrics(ctx context.Context, _ wire.None, w io.Writer) error
	// Log writes the end of the kernel's log.
	Log(ctx context.Context, req wire.LogRequest, w io.Writer) error
}

// Identity is the table of users and of the tokens they connect with.
type Identity interface {
	Users(ctx context.Context, _ wire.None) ([]wire.User, error)
	CreateUser(ctx context.Context, req wire.CreateUser) (wire.User, error)
	Link(ctx context.Context, req wire.LinkUser) (wire.UserLink, error)
	Unlink(ctx context.Context, req wire.UnlinkUser) (wire.Removed, error)
	Tokens(ctx context.Context, _ wire.None) ([]wire.TokenInfo, error)
	MintToken(ctx context.Context, req wire.MintToken) (wire.MintedToken, error)
	RevokeToken(ctx context.Context, req wire.ByID) (wire.Removed, error)
}

// Capabilities is the store of capability tokens.
type Capabilities interface {
	List(ctx context.Context, _ wire.None) ([]wire.Capability, error)
	// Grant makes a token. A caller who is not the owner may only attenuate a
	// token of its own.
	Grant(ctx context.Context, req wire.GrantCapability) (wire.Capability, error)
	Revoke(ctx context.Context, req wire.RevokeCapability) (wire.Revoked, error)
	// Add takes a token of a trusted issuer.
	Add(ctx context.Context, req wire.AddCapability) (wire.Capability, error)
}

// Approvals is where people are asked, and what their answers left behind.
type Approvals interface {
	// Ask returns when somebody entitled answered, or the time is over.
	Ask(ctx context.Context, req wire.AskApproval) (wire.AskReply, error)
	Pending(ctx context.Context, _ wire.None) ([]wire.Approval, error)
	Answer(ctx context.Context, req wire.AnswerApproval) (wire.AskReply, error)
	// Approve is Answer for clients of 0.2, who may sign instead of being
	// entitled themselves.
	Approve(ctx context.Context, req wire.ApproveCapability) (wire.AskReply, error)
	Allowances(ctx context.Context, _ wire.None) ([]wire.Allowance, error)
	RevokeAllowance(ctx context.Context, req wire.ByID) (wire.Removed, error)
	// Questions are those that capsules ask, and that the caller may answer.
	Questions(ctx context.Context, _ wire.None) ([]wire.Question, error)
	AnswerQuestion(ctx context.Context, req wire.AnswerQuestion) (wire.Answered, error)
	// SessionOf is the session that a request or a question which waits is about.
	SessionOf(request string) string
}

// Audit is the audit log.
type Audit interface {
	Read(ctx context.Context, req wire.ReadAudit) (wire.AuditPage, error)
	Verify(ctx context.Context, req wire.VerifyAudit) (wire.AuditReport, error)
	Export(ctx context.Context, _ wire.None, w io.Writer) error
}

// Bus is the message bus as the caller may see it.
type Bus interface {
	Status(ctx context.Context, _ wire.None) (wire.BusStatus, error)
	Publish(ctx context.Context, req wire.PublishRequest) (wire.Published, error)
	// Events writes messages; what it has written reaches the caller when it
	// has nothing more to write for now, if w has a method Flush() error.
	Events(ctx context.Context, req wire.EventsRequest, w io.Writer) error
}

// Capsules are the plugins of the kernel.
type Capsules interface {
	// IDs, Commands and Metadata are as 0.2 answers.
	IDs(ctx context.Context, _ wire.None) ([]string, error)
	Commands(ctx context.Context, _ wire.None) ([]wire.Command, error)
	Metadata(ctx context.Context, _ wire.None) ([]wire.CapsuleMetadata, error)
	Infos(ctx context.Context, _ wire.None) ([]wire.CapsuleInfo, error)
	// Reload loads what is new, changed or failed, and ends what is gone.
	Reload(ctx context.Context, _ wire.None) (wire.Reloaded, error)
	Install(ctx context.Context, req wire.InstallCapsule) (wire.Installation, error)
	// Trust agrees to a capsule that is there, as it is, and loads it.
	Trust(ctx context.Context, req wire.TrustCapsule) (wire.Installation, error)
	Remove(ctx context.Context, req wire.ByID) (wire.CapsuleSwitched, error)
	Enable(ctx context.Context, req wire.ByID) (wire.CapsuleSwitched, error)
	Disable(ctx context.Context, req wire.ByID) (wire.CapsuleSwitched, error)
	Call(ctx context.Context, req wire.CallTool) (wire.ToolResult, error)
	// Log writes what the kernel's log has about a capsule; it flushes like
	// Bus.Events.
	Log(ctx context.Context, req wire.CapsuleLog, w io.Writer) error
}

// State is the state store.
type State interface {
	Get(ctx context.Context, req wire.KVKey) (wire.KVValue, error)
	Set(ctx context.Context, req wire.KVSet) (wire.None, error)
	Delete(ctx context.Context, req wire.KVKey) (wire.Removed, error)
	Keys(ctx context.Context, req wire.KVList) (wire.KVKeys, error)
	Clear(ctx context.Context, req wire.KVClear) (wire.Cleared, error)
	Backup(ctx context.Context, _ wire.None, w io.Writer) error
}
