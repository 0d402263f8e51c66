package ctl

import (
	"context"
	"strings"

	"astrid/ctl/text"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

func (t *Tree) version(ctx context.Context) ([]byte, error) {
	v, err := op.Run[wire.None, wire.VersionReply](ctx, t.config.Table, op.Version, wire.None{}, nil)
	return text.Version(v), err
}

func (t *Tree) about(ctx context.Context) ([]byte, error) {
	k, err := op.Run[wire.None, wire.KernelStatus](ctx, t.config.Table, op.About, wire.None{}, nil)
	return text.Kernel(k), err
}

// maxReason is how much of a line is kept as the reason of a shutdown.
const maxReason = 200

func (t *Tree) shutdown(ctx context.Context, line string) ([]byte, bool, error) {
	line = strings.TrimSpace(line)
	if line == "" {
		return nil, false, nil
	}
	reason := "ctl/shutdown: " + strings.ToValidUTF8(line[:min(len(line), maxReason)], "?")
	_, err := op.Run[wire.ShutdownRequest, wire.ShutdownReply](ctx, t.config.Table, op.Shutdown, wire.ShutdownRequest{Reason: reason}, nil)
	return nil, true, err
}
