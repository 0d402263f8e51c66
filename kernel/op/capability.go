package op

import (
	"context"

	"astrid/kernel/fault"
)

// Capability is what an operation demands of its caller.
type Capability uint8

// The capabilities. Deny, the zero value, is held by nobody.
const (
	Deny Capability = iota
	KernelRead
	KernelShutdown
	SessionUp
	SessionDown
	SessionList
	SessionRemove
	SessionRead
	SessionCommit
	SessionDiscard
	SessionRecover
	CapsuleRead
	CapsuleReload
	CapsuleInstall
	CapabilityApprove
	capabilities
)

// String is the name of the capability as tokens and policies write it.
func (c Capability) String() string {
	switch c {
	case KernelRead:
		return "kernel:read"
	case KernelShutdown:
		return "kernel:shutdown"
	case SessionUp:
		return "session:up"
	case SessionDown:
		return "session:down"
	case SessionList:
		return "session:list"
	case SessionRemove:
		return "session:remove"
	case SessionRead:
		return "session:read"
	case SessionCommit:
		return "session:commit"
	case SessionDiscard:
		return "session:discard"
	case SessionRecover:
		return "session:recover"
	case CapsuleRead:
		return "capsule:read"
	case CapsuleReload:
		return "capsule:reload"
	case CapsuleInstall:
		return "capsule:install"
	case CapabilityApprove:
		return "capability:approve"
	}
	return "deny"
}

// Principal is who a caller has proved to be.
type Principal string

// The principals. Nobody, the zero value, may do nothing; Owner runs as the
// kernel's own user and has shown its token, or has opened a control file as
// that user.
const (
	Nobody Principal = ""
	Owner  Principal = "owner"
)

// Door is the way an operation came in.
type Door string

// The doors.
const (
	DoorSocket Door = "socket"
	DoorCtl    Door = "ctl"
)

// Caller is who asks for an operation, established by the door.
type Caller struct {
	Principal Principal
	Door      Door
	UID       uint32
	PID       uint32 // 0 when unknown
}

type callerKey struct{}

// WithCaller returns a context that carries c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns the caller that ctx carries; without one, Nobody.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// permit is the one place that says who may do what.
func permit(c Caller, need Capability, method string) error {
	if c.Principal == Owner && need > Deny && need < capabilities {
		return nil
	}
	return fault.New(fault.Denied, "%q needs the capability %s, which this caller does not hold", method, need)
}
