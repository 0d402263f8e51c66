package ctl

import (
	"context"
	"fmt"
	"strconv"
	"syscall"

	"astrid/ctl/text"
	"astrid/fs/mem"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// conflicts is the directory of the conflicts of a session: 1, 2, … in the order
// of their paths, each with its versions.
func (t *Tree) conflicts(session string) mem.Folder {
	all := func() ([]wire.ConflictInfo, error) {
		list, err := op.Run[wire.For[wire.ConflictsRequest], []wire.ConflictInfo](t.owner(t.ctx), t.config.Table, op.Conflicts,
			wire.For[wire.ConflictsRequest]{Session: session}, nil)
		if err != nil {
			return nil, t.failed(session, op.Conflicts, err)
		}
		return list, nil
	}
	return mem.Folder{Perm: 0o700, List: func() ([]string, error) {
		list, err := all()
		names := make([]string, len(list))
		for i := range list {
			names[i] = strconv.Itoa(i + 1)
		}
		return names, err
	}, Child: func(name string) (mem.Item, error) {
		n, err := strconv.Atoi(name)
		if err != nil || strconv.Itoa(n) != name {
			return nil, fmt.Errorf("%q is no number of a conflict: %w", name, syscall.ENOENT)
		}
		list, err := all()
		if err != nil {
			return nil, err
		}
		if n < 1 || n > len(list) {
			return nil, fmt.Errorf("there are %d conflicts: %w", len(list), syscall.ENOENT)
		}
		return t.conflict(session, list[n-1]), nil
	}}
}

// conflict is one of them. Its files are of the path that it was listed with,
// whatever the numbers are when they are read.
func (t *Tree) conflict(session string, c wire.ConflictInfo) mem.Folder {
	items := map[string]mem.Item{
		"path": mem.Text(func(context.Context) ([]byte, error) { return []byte(text.Quote(c.Name()) + "\n"), nil }),
		"why":  mem.Text(func(context.Context) ([]byte, error) { return []byte(text.Quote(c.Why) + "\n"), nil }),
	}
	for name, side := range map[string]wire.Side{"base": c.Base, "mine": c.Mine, "theirs": c.Theirs} {
		if side.There && (side.Kind == "" || side.Kind == "file") {
			items[name] = stream(t, session, op.ConflictSide,
				wire.For[wire.SideRequest]{Session: session, Request: wire.SideRequest{Path: wire.Paths{c.Name()}, Side: name}})
		}
	}
	return folder(items)
}

func (t *Tree) resolve(session string) func(context.Context, string) ([]byte, bool, error) {
	return func(ctx context.Context, line string) ([]byte, bool, error) {
		req, ok, err := text.ParseResolve(line)
		if !ok {
			return nil, false, err
		}
		r, err := op.Run[wire.For[wire.ResolveRequest], wire.DiscardReply](ctx, t.config.Table, op.Resolve,
			wire.For[wire.ResolveRequest]{Session: session, Request: req}, nil)
		return text.Discard(r), true, err
	}
}
