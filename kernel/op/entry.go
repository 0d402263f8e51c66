package op

import (
	"context"
	"io"
	"reflect"

	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/wire"
)

// Entry is one operation.
type Entry struct {
	Method  string
	Need    Capability
	Doc     string       // one line for people
	Params  reflect.Type // wire.None when there are none
	Reply   reflect.Type // wire.None when there is none
	Status  string       // wire.Status… of a success
	Streams bool         // bytes go to Call's writer before the reply
	Audited bool
	Max     int // a minute, over all callers; 0: no limit

	rate *window
	run  func(ctx context.Context, c call) (any, error)
	// about finds the session that the operation is about when the params do not
	// name it; may be nil.
	about func(params any) string
	// judges is set when the handler itself decides whether the caller is
	// entitled, since the params may prove it.
	judges bool
}

// call is one call of an operation.
type call struct {
	decode decoder
	admit  func(params any) error // after the params are known, before the handler
	out    io.Writer              // of one that streams
}

// decoder fills what it is given a pointer to with the params of one call.
type decoder func(into any) error

// policy is what of an entry may be left out.
type policy struct {
	audited bool
	max     int    // a minute
	status  string // default wire.StatusSuccess
}

// unary makes an entry from a handler that takes params and returns a reply.
func unary[P, R any](method string, need Capability, rules policy, doc string, h func(context.Context, P) (R, error)) *Entry {
	e := newEntry[P, R](method, need, rules, doc)
	e.run = func(ctx context.Context, c call) (any, error) {
		p, err := decodeParams[P](c)
		if err != nil {
			return nil, err
		}
		return h(ctx, p)
	}
	return e
}

// stream makes an entry from a handler that writes bytes.
func stream[P any](method string, need Capability, rules policy, doc string, h func(context.Context, P, io.Writer) error) *Entry {
	e := newEntry[P, wire.None](method, need, rules, doc)
	e.Streams = true
	e.run = func(ctx context.Context, c call) (any, error) {
		p, err := decodeParams[P](c)
		if err != nil {
			return nil, err
		}
		if c.out == nil {
			return nil, fault.New(fault.Internal, "%q was called without a place for its bytes", method)
		}
		return wire.None{}, h(ctx, p, c.out)
	}
	return e
}

func newEntry[P, R any](method string, need Capability, rules policy, doc string) *Entry {
	if rules.status == "" {
		rules.status = wire.StatusSuccess
	}
	return &Entry{
		Method: method, Need: need, Doc: doc,
		Params: reflect.TypeFor[P](), Reply: reflect.TypeFor[R](),
		Status: rules.status, Audited: rules.audited, Max: rules.max,
		rate: newWindow(rules.max),
	}
}

func decodeParams[P any](c call) (P, error) {
	var p P
	if err := c.decode(&p); err != nil {
		return p, err
	}
	if err := checkSession(p); err != nil {
		return p, err
	}
	return p, c.admit(p)
}

// addressed is a request that must name a session.
type addressed interface{ SessionName() string }

// mayAddress is a request that may name one.
type mayAddress interface{ SessionIfAny() string }

// checkSession refuses a session name that is not one, before anything makes a
// path of it.
func checkSession(params any) error {
	switch p := params.(type) {
	case addressed:
		return home.CheckSession(p.SessionName())
	case mayAddress:
		if name := p.SessionIfAny(); name != "" {
			return home.CheckSession(name)
		}
	}
	return nil
}
