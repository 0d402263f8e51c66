package op

import (
	"context"

	"astrid/kernel/fault"
)

// Principal is who a caller has proved to be: Owner, or the id of a user.
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
	User      string // id of the user that the principal is; the owner is one too
	Session   string // the only session that the caller may deal with; empty: no such bound
	Door      Door
	UID       uint32
	PID       uint32 // 0 when unknown
}

// known tells whether the caller is the owner or some user.
func (c Caller) known() bool {
	return c.Principal == Owner || c.Principal != Nobody && c.User != ""
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

// Rights says what users have been granted.
type Rights interface {
	// Allowed returns nil when a user may use a capability on a session, or,
	// with an empty session, on what belongs to none. It is asked for every
	// operation and must be quick. If the right is good for one operation only,
	// spend uses it up, and fails when another operation was quicker; otherwise
	// spend is nil.
	Allowed(user string, need Capability, session string) (spend func() error, err error)
}

// Permit is the one place that says who may do what: nil when the caller may use
// the capability on the session ("" for what belongs to none), else an error of
// Kind Denied.
func (t *Table) Permit(c Caller, need Capability, session string) error {
	_, err := t.permit(c, need, session, "this")
	return err
}

func (t *Table) permit(c Caller, need Capability, session, method string) (spend func() error, err error) {
	if need <= Deny || need >= capabilities || !c.known() {
		return nil, denied(method, need, "this caller does not hold it")
	}
	if err := inside(c, need, session); err != nil {
		return nil, err
	}
	if c.Principal == Owner {
		return nil, nil
	}
	if t.config.Rights == nil {
		return nil, denied(method, need, "this caller does not hold it")
	}
	spend, err = t.config.Rights.Allowed(c.User, need, session)
	if err != nil {
		return nil, denied(method, need, err.Error())
	}
	return spend, nil
}

// Demand is Permit for what a door does by itself as if it were the operation
// method: it spends a right that is good for one, and a refusal is recorded.
func (t *Table) Demand(ctx context.Context, method, session string) error {
	e, c := t.entries[method], CallerOf(ctx)
	spend, err := t.permit(c, e.Need, session, method)
	if err == nil && spend != nil {
		err = spend()
	}
	if err == nil {
		return nil
	}
	return t.record(ctx, Record{Method: method, Need: e.Need, Session: session, Caller: c, Began: t.config.Now(), Err: err})
}

func denied(method string, need Capability, why string) error {
	return fault.New(fault.Denied, "%q needs the capability %s: %s", method, need, why)
}

// inside keeps a caller that is bound to a session from everything else, but for
// looking at what there is.
func inside(c Caller, need Capability, session string) error {
	switch {
	case c.Session == "", c.Session == session:
		return nil
	case session == "":
		switch need {
		case KernelRead, SessionList, BusRead, ApprovalRead, CapsuleRead:
			return nil
		}
	}
	return fault.New(fault.Denied, "this connection is for the session %s only", c.Session)
}

// Sees tells whether a caller may know of a session: it is the owner, or may
// read it.
func (t *Table) Sees(c Caller, session string) bool {
	return t.Permit(c, SessionRead, session) == nil
}
