package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"astrid/kernel/approve"
	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/capsule/host"
	"astrid/kernel/capsule/wasm"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/router"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// Limits of capsules that run (sections 8.3 and 8.4 of the 0.2 protocol).
const (
	callCPU         = wasm.DefaultTimeout // a processor's time for one call
	callInstances   = 4                   // calls of one capsule at a time
	maxInterceptors = 64                  // that a capsule with a loop hears
)

// plugins makes running capsules of what is installed.
type plugins struct{ k *Kernel }

var _ capsule.Engine = plugins{}

// unit is a capsule that runs.
type unit struct {
	k       *Kernel
	found   capsule.Found
	host    *host.Host
	module  *wasm.Module // nil: it has no component
	servers *servers     // nil: it has none
	ready   chan struct{}

	end  context.CancelFunc
	loop sync.WaitGroup // its run export

	mu     sync.Mutex
	loops  bool
	looped error // how run ended; guarded by mu
}

var _ router.Target = (*unit)(nil)

// Start implements capsule.Engine.
func (p plugins) Start(ctx context.Context, f capsule.Found) (capsule.Unit, error) {
	if f.Package.Name == "astrid-capsule-cli" {
		return nil, fault.New(fault.Unsupported, "the kernel accepts connections itself: the capsule %s is not needed, and not loaded", f.Package.Name)
	}
	env, err := p.environment(f)
	if err != nil {
		return nil, err
	}
	u := &unit{k: p.k, found: f, ready: make(chan struct{})}
	if u.host, err = p.host(f, env); err != nil {
		return nil, err
	}
	if u.servers, err = newServers(p.k, f, env); err == nil {
		err = u.start(ctx)
	}
	if err != nil {
		u.host.Close()
		return nil, err
	}
	for _, c := range f.Crons {
		if err := p.k.crons.schedule(f.Package.Name, c.Name, c.Schedule, c.Action); err != nil {
			return nil, errors.Join(err, u.Close(ctx))
		}
	}
	p.k.lifecycle("capsule_loaded", bus.Message{}, map[string]any{"capsule_id": f.Package.Name, "capsule_name": f.Package.Name})
	return u, nil
}

// host makes what a capsule can ask of Astrid.
func (p plugins) host(f capsule.Found, env map[string]string) (*host.Host, error) {
	k := p.k
	id := f.Package.Name
	kv, err := k.State.Space(store.Capsule(string(id)), store.SpaceOptions{Quota: k.Settings.CapsuleQuota})
	if err != nil {
		return nil, err
	}
	secrets, err := k.State.Space(store.Namespace("secret:"+string(id)), store.SpaceOptions{Sync: true})
	if err != nil {
		return nil, err
	}
	return host.New(host.Config{
		Capsule: f, KV: kv, Secrets: secrets, Env: env, Bus: k.Bus, Identity: k.Identity, Workspace: k.workspace, Shared: k.Home.Shared(),
		Approve: func(ctx context.Context, r approve.Request) (approve.Answer, error) {
			return k.Approvals.Ask(ctx, r, 0)
		},
		Trigger: k.Router.Trigger,
		Capability: func(source, _ string) bool {
			return slices.ContainsFunc(k.Capsules.List(), func(s capsule.Status) bool { return s.Source == source && s.Capabilities.PromptInjection })
		},
		Schedule: func(name, schedule, action string) error { return k.crons.schedule(id, name, schedule, action) },
		Cancel:   func(name string) error { return k.crons.cancel(id, name) },
		Run:      sandboxes{k}, Log: k.config.Log,
	}), nil
}

// start loads the component, and begins its loop if it has one.
func (u *unit) start(ctx context.Context) error {
	if len(u.found.Components) == 0 {
		u.becomeReady()
		return nil
	}
	c := u.found.Components[0]
	code, err := u.found.Component(c)
	if err != nil {
		return err
	}
	config := wasm.Config{Functions: functions(u.host), MaxInstances: callInstances, Timeout: wasm.DefaultTimeout, CPU: callCPU, Log: u.k.config.Log.With("capsule", u.found.Package.Name)}
	config.Stdio = func(line string) { config.Log.Info("output", "line", line) }
	if u.found.Capabilities.Uplink || len(u.found.Uplinks) > 0 || len(u.found.Crons) > 0 {
		config.Timeout, config.CPU = 0, 0
	}
	if u.module, err = u.k.wasm.Compile(ctx, config, code, strings.TrimPrefix(c.Hash, "blake3:")); err != nil {
		return err
	}
	if !u.module.Has("run") {
		u.becomeReady()
		return nil
	}
	return u.begin()
}

// becomeReady says that the capsule is ready, once its servers have told their
// tools.
func (u *unit) becomeReady() {
	if u.servers == nil {
		close(u.ready)
		return
	}
	ctx, end := context.WithCancel(context.Background())
	u.end = end
	u.loop.Go(func() {
		defer close(u.ready)
		u.servers.open(ctx)
		if u.servers.alive() == nil {
			u.k.injectSchemas()
		}
	})
}

// begin runs the loop, which hears interceptors by subscription.
func (u *unit) begin() error {
	for i, in := range u.found.Interceptors {
		if i == maxInterceptors {
			return fault.New(fault.Limit, "the capsule %s has a loop and more than %d interceptors", u.found.Package.Name, maxInterceptors)
		}
		if _, err := u.host.Subscribe(in.Event, in.Action); err != nil {
			return err
		}
	}
	ctx, end := context.WithCancel(context.Background())
	u.end, u.loops = end, true
	u.loop.Go(func() {
		err := u.module.Run(host.WithCaller(ctx, host.Caller{}))
		if err == nil {
			err = errors.New("WASM run loop exited unexpectedly")
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		u.looped = err
	})
	u.loop.Go(func() {
		select {
		case <-u.host.Ready():
			if u.servers != nil {
				u.servers.open(ctx)
			}
			close(u.ready)
		case <-ctx.Done():
		}
	})
	return nil
}

// functions are a Host's as the engine takes them.
func functions(h *host.Host) []wasm.Func {
	list := h.Functions()
	all := make([]wasm.Func, len(list))
	for i, f := range list {
		all[i] = wasm.Func{Name: f.Name, Params: len(f.Args), Limits: f.Args, Result: wasm.Result(f.Result),
			Call: func(ctx context.Context, c *wasm.Call, args [][]byte) ([]byte, int64, error) {
				out, err := f.Call(ctx, c, args)
				return out, 0, err
			},
		}
	}
	return all
}

// Ready implements capsule.Unit.
func (u *unit) Ready() <-chan struct{} { return u.ready }

// Alive implements capsule.Unit.
func (u *unit) Alive() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.looped != nil {
		return u.looped
	}
	return u.servers.alive()
}

// Tools implements capsule.Toolbox.
func (u *unit) Tools() []capsule.Tool { return u.servers.list() }

// Close implements capsule.Unit.
func (u *unit) Close(ctx context.Context) error {
	u.k.crons.forget(u.found.Package.Name)
	if u.end != nil {
		u.end()
	}
	u.host.Close()
	err := u.servers.close(ctx)
	if u.module != nil {
		err = errors.Join(err, u.module.Close(ctx))
	}
	u.loop.Wait()
	u.k.lifecycle("capsule_unloaded", bus.Message{}, map[string]any{"capsule_id": u.found.Package.Name, "capsule_name": u.found.Package.Name})
	return err
}

// envelope is what a guest is called with.
func envelope(name string, arguments []byte) ([]byte, error) {
	numbers := make([]int, len(arguments))
	for i, b := range arguments {
		numbers[i] = int(b)
	}
	return json.Marshal(struct {
		Name      string `json:"name"`
		Arguments []int  `json:"arguments"`
	}{name, numbers})
}

func (u *unit) call(ctx context.Context, export, name string, arguments []byte) ([]byte, error) {
	if u.module == nil || !u.module.Has(export) {
		return nil, fault.New(fault.Unsupported, "the capsule %s has no %s", u.found.Package.Name, export)
	}
	input, err := envelope(name, arguments)
	if err != nil {
		return nil, err
	}
	return u.module.Call(ctx, export, input)
}

// Hook implements router.Target. A capsule with a loop has heard the message
// already.
func (u *unit) Hook(ctx context.Context, action string, payload []byte) ([]byte, error) {
	switch {
	case u.loops:
		return nil, nil
	case u.module == nil && u.servers != nil:
		return u.servers.hook(ctx, action, payload)
	case u.module == nil:
		return nil, nil
	}
	return u.call(ctx, "astrid_hook_trigger", action, payload)
}

// Tool implements router.Target.
func (u *unit) Tool(ctx context.Context, name string, arguments []byte) ([]byte, error) {
	if by := u.servers.find(name); by != nil {
		return u.servers.call(ctx, by, name, arguments)
	}
	return u.call(ctx, "astrid_tool_call", name, arguments)
}

// Command implements router.Target: the text of a static command is its file's.
func (u *unit) Command(ctx context.Context, name string, payload []byte) ([]byte, error) {
	for _, c := range u.found.Commands {
		if c.Name == name && c.File != "" {
			return u.found.Component(capsule.Component{File: c.File})
		}
	}
	return u.call(ctx, "astrid_command_run", name, payload)
}

// CancelCalls implements router.Target.
func (u *unit) CancelCalls(ids []string) { u.host.CancelCalls(ids) }

// environment finds what people have set for a capsule, or its defaults. What is
// missing is asked for, and keeps the capsule from being loaded.
func (p plugins) environment(f capsule.Found) (map[string]string, error) {
	set := map[string]string{}
	data, err := home.ReadPrivate(filepath.Join(f.Dir, ".env.json"), capsule.MaxManifest)
	switch {
	case err == nil:
		if err := wire.Decode(data, &set); err != nil {
			return nil, fault.Wrap(fault.Usage, err, "read what is set for the capsule %s", f.Package.Name)
		}
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	var missing []any
	env := map[string]string{}
	for key, e := range f.Env {
		value, there := set[key]
		switch {
		case there:
		case len(e.Enum) <= 1 && e.Default != nil:
			value, there = defaultText(e.Default), true
		}
		if !there {
			missing = append(missing, onboarding(key, e))
			continue
		}
		env[key] = value
	}
	if len(missing) == 0 {
		return env, nil
	}
	payload, err := wire.NewPayload(wire.TypeOnboardingRequired, map[string]any{"capsule_id": f.Package.Name, "fields": missing})
	p.k.publish(bus.Message{Topic: "astrid.v1.onboarding.required"}, payload, err)
	return nil, fault.New(fault.Denied, "the capsule %s needs values that nobody has set: write them to %s and run astrid capsule reload", f.Package.Name, filepath.Join(f.Dir, ".env.json"))
}

func defaultText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(data)
}

// onboarding is a value as frontends ask for it.
func onboarding(key string, e capsule.Env) map[string]any {
	field := map[string]any{"key": key, "prompt": e.Request, "field_type": "Text"}
	if e.Request == "" {
		field["prompt"] = key
	}
	switch {
	case len(e.Enum) > 1:
		field["field_type"] = map[string]any{"Enum": e.Enum}
	case e.Type == "secret":
		field["field_type"] = "Secret"
	case e.Type == "array":
		field["field_type"] = "Array"
	}
	if e.Description != "" {
		field["description"] = e.Description
	}
	if e.Placeholder != "" {
		field["placeholder"] = e.Placeholder
	}
	if e.Default != nil {
		field["default"] = defaultText(e.Default)
	}
	return field
}

// workspace finds the view of a session; without a name, that of the only one
// that is up, as 0.2 knew but one workspace.
func (k *Kernel) workspace(session string) (mount, base string, err error) {
	s, err := k.session(session)
	return s.Workspace, s.Base, err
}

// session finds a session that is up: the only one, when none is named.
func (k *Kernel) session(name string) (s wire.Session, err error) {
	list, err := k.Sessions.List(context.Background())
	if err != nil {
		return s, err
	}
	up := slices.DeleteFunc(list, func(s wire.Session) bool { return s.State != "running" || name != "" && s.Name != name })
	switch {
	case len(up) == 1:
		return up[0], nil
	case name != "":
		return s, fault.New(fault.NotRunning, "the session %s is not up", name)
	case len(up) == 0:
		return s, fault.New(fault.NotRunning, "no session is up, and a file function needs a workspace")
	}
	return s, fault.New(fault.Usage, "several sessions are up, and the call is about none of them")
}

// injectSchemas tells every capsule of the tools of all, under the key of 0.2.
func (k *Kernel) injectSchemas() {
	type schema struct {
		Name        string `json:"name"`
		Description string `json:"description"`
		InputSchema any    `json:"input_schema"`
	}
	all := []schema{}
	list := k.Capsules.List()
	for _, s := range list {
		for _, t := range s.Tools {
			all = append(all, schema{t.Name, t.Description, t.InputSchema})
		}
	}
	if len(all) == 0 {
		return
	}
	data, err := json.Marshal(all)
	for _, s := range list {
		var space *store.Space
		if err == nil {
			space, err = k.State.Space(store.Capsule(string(s.Package.Name)), store.SpaceOptions{Quota: k.Settings.CapsuleQuota})
		}
		if err == nil {
			err = space.Set("tool_schemas", data)
		}
	}
	if err != nil {
		k.config.Log.Warn("capsules are not told of all tools", "err", err)
	}
}

// loadCapsules makes what is loaded agree with the disk, and tells everybody.
func (k *Kernel) loadCapsules(ctx context.Context) error {
	if err := k.Capsules.Load(ctx); err != nil {
		return err
	}
	k.injectSchemas()
	payload, err := wire.RawJSON(map[string]string{"status": "ready"})
	k.publish(bus.Message{Topic: "astrid.v1.capsules_loaded"}, payload, err)
	return nil
}

// capsuleChanged publishes what became of a capsule.
func (k *Kernel) capsuleChanged(s capsule.Status) {
	if s.State != capsule.Failed {
		return
	}
	k.lifecycle("capsule_failed", bus.Message{}, map[string]any{"capsule_id": s.Package.Name, "error": s.Why})
	data, err := wire.Encode(map[string]string{"capsule_id": string(s.Package.Name), "reason": s.Why})
	k.publish(bus.Message{Topic: "astrid.v1.health.failed", Source: wire.NewUUID()}, wire.Custom(data), err)
}

// switchedOff is where it stands which capsules are.
const switchedOff store.Namespace = "system:capsules"

func (k *Kernel) isOff(id capsule.ID) bool {
	off, err := k.switches.Exists(string(id))
	return err == nil && off
}

// openCapsules makes the registry and what capsules run on.
func (k *Kernel) openCapsules(context.Context) (err error) {
	if k.switches, err = k.State.Space(switchedOff, store.SpaceOptions{Sync: true}); err != nil {
		return err
	}
	if k.wasm, err = wasm.Open(k.Home.CompileCache(), k.config.Log); err != nil {
		return err
	}
	if err := os.RemoveAll(k.nowheres()); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "remove what an earlier kernel left")
	}
	k.crons = newCrons(k)
	k.Capsules = capsule.NewRegistry(capsule.Config{
		Roots: []string{k.Home.Capsules()}, Engine: plugins{k}, Off: k.isOff, Changed: k.capsuleChanged, Log: k.config.Log,
		Jitter: func(d time.Duration) time.Duration { return time.Duration(time.Now().UnixNano()) % max(d, 1) },
	})
	k.Router = router.New(router.Config{Bus: k.Bus, Capsules: k.Capsules, Denied: k.recordDenial, Log: k.config.Log})
	return nil
}

func (k *Kernel) closeCapsules(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, k.config.StopTimeout/drainShare)
	defer cancel()
	k.crons.close()
	return errors.Join(k.Capsules.Close(ctx), k.wasm.Close(ctx))
}
