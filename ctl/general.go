package ctl

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"syscall"

	"github.com/go-json-experiment/json"

	"astrid/ctl/text"
	"astrid/fs/mem"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// Files that are made from the table alone: their operation's name, and what a
// line's words mean, say everything.

// shows is a file that shows what an operation replies, or the bytes it writes.
func (t *Tree) shows(method string, params any) mem.File {
	return t.reader(method, func(ctx context.Context) ([]byte, error) {
		reply, written, err := t.do(ctx, method, params)
		if written != nil || err != nil {
			return written, err
		}
		return text.Fields(reply), nil
	})
}

// takes is a file that takes lines: params of an operation as words for these
// names (see text.Params) or as a JSON object. Read back, it shows the last reply.
func (t *Tree) takes(method string, names ...string) mem.File {
	return t.lines("", method, func(ctx context.Context, line string) ([]byte, bool, error) {
		params, ok, err := text.Params(line, names...)
		if !ok || err != nil {
			return nil, false, err
		}
		return t.perform(ctx, method, params)
	})
}

// lines is a file whose lines are operations and that shows the last result.
func (t *Tree) lines(session, what string, act func(context.Context, string) ([]byte, bool, error)) mem.File {
	return mem.Lines(maxLine, t.writer(session, what, act)).And(t.shown(session, what))
}

// perform runs an operation and prints its reply.
func (t *Tree) perform(ctx context.Context, method string, params wire.Raw) ([]byte, bool, error) {
	if err := t.strictly(method, params); err != nil {
		return nil, false, err
	}
	reply, written, err := t.do(ctx, method, params)
	if written == nil && err == nil {
		written = text.Fields(reply)
	}
	return written, true, err
}

// strictly refuses members that an operation does not have: what is misspelt in
// a control file would otherwise mean something else.
func (t *Tree) strictly(method string, params wire.Raw) error {
	e := t.config.Table.Entry(method)
	if e == nil {
		return nil // which the table says
	}
	if err := json.Unmarshal(params, reflect.New(e.Params).Interface(), json.RejectUnknownMembers(true)); err != nil {
		return fault.Wrap(fault.Usage, err, "malformed params")
	}
	return nil
}

// do runs an operation; written is nil unless it writes bytes.
func (t *Tree) do(ctx context.Context, method string, params any) (reply any, written []byte, err error) {
	data, err := wire.Encode(params)
	if err != nil {
		return nil, nil, err
	}
	out := &bounded{max: maxShown}
	result, err := t.config.Table.Do(ctx, method, data, out)
	return result.Data, out.Bytes(), err
}

// maxShown bounds what a file shows of an operation that writes bytes.
const maxShown = 16 << 20

// bounded is a buffer that says when it is full.
type bounded struct {
	bytes.Buffer
	max int
}

// Write takes what fits.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.max {
		return 0, fault.New(fault.Limit, "this is more than the %d bytes that a control file shows: use the command line", b.max)
	}
	return b.Buffer.Write(p)
}

// listed is a folder of things that an operation lists.
func listed[T any](t *Tree, method string, name func(T) string, file func(T) mem.Item, more map[string]mem.Item) mem.Folder {
	all := func() ([]T, error) {
		list, err := op.Run[wire.None, []T](t.owner(t.ctx), t.config.Table, method, wire.None{}, nil)
		if err != nil {
			return nil, t.failed("", method, err)
		}
		return list, nil
	}
	return mem.Folder{Perm: 0o700, List: func() ([]string, error) {
		list, err := all()
		names := make([]string, 0, len(list)+len(more))
		for _, one := range list {
			names = append(names, name(one))
		}
		for n := range more {
			names = append(names, n)
		}
		return names, err
	}, Child: func(wanted string) (mem.Item, error) {
		if item, ok := more[wanted]; ok {
			return item, nil
		}
		list, err := all()
		if err != nil {
			return nil, err
		}
		for _, one := range list {
			if name(one) == wanted {
				return file(one), nil
			}
		}
		return nil, fmt.Errorf("%s lists no %q: %w", method, wanted, syscall.ENOENT)
	}}
}

// fixed is a file with what is known already.
func fixed(v any) mem.File {
	return mem.Text(func(context.Context) ([]byte, error) { return text.Fields(v), nil })
}

// folder is a directory of these items, for the owner.
func folder(items map[string]mem.Item) mem.Folder {
	f := mem.Static(items)
	f.Perm = 0o700
	return f
}
