package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"astrid/kernel/approve"
	"astrid/kernel/capsule"
	"astrid/kernel/capsule/host"
	"astrid/kernel/capsule/wasm"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/question"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// Bounds of the hook of an installation.
const (
	hookTime      = 10 * time.Minute // the time in which people answer included
	hookQuestions = 32
)

// runHook lets a capsule that is about to be installed, and that somebody has
// agreed to, ask for what it needs and store it. An error keeps the capsule out,
// and then nothing is stored either.
//
// A hook may do what its manifest asks for, less what needs a session (files of the
// workspace, programs) and what only a capsule that is loaded can do (messages,
// users, plans).
func (p plugged) runHook(ctx context.Context, in capsule.Installation) error {
	export, input := hookOf(in)
	if export == "" || len(in.New.Components) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	err := p.callHook(ctx, in.New, export, input)
	if err != nil {
		kind := fault.KindOf(err)
		if kind == fault.Denied { // it is the hook that may not, and not who installs it
			kind = fault.Internal
		}
		return fault.Wrap(kind, err, "%s of the capsule %s failed, and nothing has changed", export, in.New.Package.Name)
	}
	return nil
}

// hookOf is what is called, and with what: nothing when a version is installed
// again.
func hookOf(in capsule.Installation) (export string, input []byte) {
	switch {
	case in.Old == nil:
		return "astrid_install", nil
	case in.Old.Package.Version == in.New.Package.Version:
		return "", nil
	}
	input, _ = json.Marshal(map[string]string{"prev_version": in.Old.Package.Version}) // a text: it encodes
	return "astrid_upgrade", input
}

func (p plugged) callHook(ctx context.Context, f capsule.Found, export string, input []byte) (err error) {
	c := f.Components[0]
	code, err := f.Component(c)
	if err != nil {
		return err
	}
	kv, secrets, err := plugins(p).spaces(f.Package.Name)
	if err != nil {
		return err
	}
	drafts := []*host.Draft{host.NewDraft(kv), host.NewDraft(secrets)}
	h, err := p.hookHost(ctx, f, drafts[0], drafts[1])
	if err != nil {
		return err
	}
	defer h.Close()
	config := wasm.Config{Functions: functions(h), MaxInstances: 1, Timeout: wasm.DefaultTimeout, CPU: callCPU, Log: p.k.config.Log.With("capsule", f.Package.Name)}
	config.Stdio = func(line string) { config.Log.Info("output", "line", line) }
	m, err := p.k.wasm.Compile(ctx, config, code, strings.TrimPrefix(c.Hash, "blake3:"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close(context.WithoutCancel(ctx))) }()
	if !m.Has(export) {
		return nil
	}
	if _, err := m.Call(host.WithCaller(ctx, host.Caller{Principal: p.asker(ctx)}), export, input); err != nil {
		return err
	}
	return host.Keep(drafts...)
}

// asker is on whose behalf something is installed: the owner, when nobody asked.
func (p plugged) asker(ctx context.Context) string {
	if user := op.CallerOf(ctx).User; user != "" {
		return user
	}
	return p.k.Identity.Root()
}

// hookHost is what a hook can ask of Astrid.
func (p plugged) hookHost(ctx context.Context, f capsule.Found, kv, secrets *host.Draft) (*host.Host, error) {
	k, id := p.k, f.Package.Name
	env, _, err := plugins(p).values(f)
	if err != nil {
		return nil, err
	}
	f.Capabilities.IPCPublish, f.Capabilities.IPCSubscribe, f.Capabilities.Uplink, f.Uplinks = nil, nil, false, nil
	not := func(what string) error {
		return fault.New(fault.Denied, "the hook of an installation has no %s", what)
	}
	asked := 0
	return host.New(host.Config{
		Capsule: f, KV: kv, Secrets: secrets, Env: env, Bus: k.Bus, Shared: k.Home.Shared(), Log: k.config.Log, Run: notRunning{not("session, and no program")},
		Workspace: func(string) (string, string, error) { return "", "", not("session, and no workspace") },
		Approve: func(ctx context.Context, r approve.Request) (approve.Answer, error) {
			return k.Approvals.Ask(ctx, r, 0)
		},
		Trigger:    func(context.Context, capsule.ID, string, wire.Raw) []wire.Raw { return nil },
		Capability: func(string, string) bool { return false },
		Schedule:   func(string, string, string) error { return not("plans") },
		Cancel:     func(string) error { return not("plans") },
		Refused:    func(ctx context.Context, function string, err error) { k.witness.refusal(ctx, id, function, err) },
		Elicit: func(ctx context.Context, q question.Question) (question.Answer, error) {
			if asked++; asked > hookQuestions {
				return question.Answer{}, fault.New(fault.Limit, "the hook of an installation asks at most %d questions", hookQuestions)
			}
			q.Capsule, q.Principal = string(id), host.CallerOf(ctx).Principal
			return k.Questions.Ask(ctx, q)
		},
	}), nil
}

// notRunning runs no program.
type notRunning struct{ why error }

var _ host.Runner = notRunning{}

// Run implements host.Runner.
func (n notRunning) Run(context.Context, string, []string, io.Writer, io.Writer) (int, error) {
	return 0, n.why
}

// spaces are where a capsule keeps its values, and its secrets.
func (p plugins) spaces(id capsule.ID) (kv, secrets *store.Space, err error) {
	if kv, err = p.k.State.Space(store.Capsule(string(id)), store.SpaceOptions{Quota: p.k.Settings.CapsuleQuota}); err == nil {
		secrets, err = p.k.State.Space(store.Namespace("secret:"+string(id)), store.SpaceOptions{Sync: true})
	}
	return kv, secrets, err
}
