package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"time"

	"astrid/kernel/approve"
	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/capsule/host"
	"astrid/kernel/capsule/wasm"
	"astrid/kernel/fault"
	"astrid/kernel/router"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// plugins makes running capsules of what is installed.
type plugins struct{ k *Kernel }

var _ capsule.Engine = plugins{}

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
	if err := unchanged(f); err != nil { // since it was judged
		return nil, errors.Join(err, u.Close(ctx))
	}
	for _, c := range f.Crons {
		if err := p.k.crons.schedule(f.Package.Name, c.Name, c.Schedule, c.Action); err != nil {
			return nil, errors.Join(err, u.Close(ctx))
		}
	}
	p.k.lifecycle("capsule_loaded", bus.Message{}, map[string]any{"capsule_id": f.Package.Name, "capsule_name": f.Package.Name})
	return u, nil
}

// unchanged says whether the files of a capsule are those that were judged.
func unchanged(f capsule.Found) error {
	if f.Listed != nil {
		return nil
	}
	now, err := capsule.SourceOf(f.Dir, f.Package.Name)
	if err != nil || now == f.Source {
		return err
	}
	return fault.New(fault.Denied, "the files of the capsule %s have changed since it was loaded", f.Package.Name)
}

// host makes what a capsule can ask of Astrid.
func (p plugins) host(f capsule.Found, env map[string]string) (*host.Host, error) {
	k := p.k
	id := f.Package.Name
	kv, secrets, err := p.spaces(id)
	if err != nil {
		return nil, err
	}
	return host.New(host.Config{
		Capsule: f, KV: kv, Secrets: secrets, Env: env, Bus: k.Bus, Identity: k.Identity, Workspace: k.workspace, Shared: k.Home.Shared(),
		Approve: func(ctx context.Context, r approve.Request) (approve.Answer, error) {
			return k.Approvals.Ask(ctx, r, 0)
		},
		Trigger: k.Router.Trigger, Result: k.Router.Result,
		Capability: func(source, _ string) bool {
			return slices.ContainsFunc(k.ready(), func(s capsule.Status) bool { return s.Source == source && s.Capabilities.PromptInjection })
		},
		Schedule: func(name, schedule, action string) error { return k.crons.schedule(id, name, schedule, action) },
		Cancel:   func(name string) error { return k.crons.cancel(id, name) },
		Run:      sandboxes{k, id}, Log: k.config.Log,
		Refused: func(ctx context.Context, function string, err error) { k.witness.refusal(ctx, id, function, err) },
	}), nil
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
	return s, fault.New(fault.Usage, "several sessions are up, and the call is about none of them: say --session NAME")
}

// ready are the capsules that run.
func (k *Kernel) ready() []capsule.Status {
	return slices.DeleteFunc(k.Capsules.List(), func(s capsule.Status) bool { return s.State != capsule.Ready })
}

// injectSchemas tells every capsule of the tools of all, under the key of 0.2.
func (k *Kernel) injectSchemas() {
	type schema struct {
		Name        string `json:"name"`
		Description string `json:"description"`
		InputSchema any    `json:"input_schema"`
	}
	all := []schema{}
	list := k.ready()
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
	_, err := k.reloadCapsules(ctx, true)
	return err
}

// reloadCapsules is loadCapsules that says what it did; unless tell, everybody
// hears only of what has changed.
func (k *Kernel) reloadCapsules(ctx context.Context, tell bool) (did capsule.Report, err error) {
	did, err = k.Capsules.Load(ctx)
	select {
	case k.loaded <- struct{}{}:
	default:
	}
	if err != nil || !tell && !did.Changed() {
		return did, err
	}
	k.injectSchemas()
	payload, err := wire.RawJSON(map[string]string{"status": "ready"})
	k.publish(bus.Message{Topic: "astrid.v1.capsules_loaded"}, payload, err)
	return did, nil
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
	return err == nil && off || k.listed.asleep(id)
}

// openCapsules makes the registry and what capsules run on.
func (k *Kernel) openCapsules(ctx context.Context) (err error) {
	if k.switches, err = k.State.Space(switchedOff, store.SpaceOptions{Sync: true}); err != nil {
		return err
	}
	if k.wasm, err = wasm.Open(k.Home.CompileCache(), k.config.Log); err != nil {
		return err
	}
	if err := os.RemoveAll(k.nowheres()); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "remove what an earlier kernel left")
	}
	if k.grants, err = openGrants(k.State); err != nil {
		return err
	}
	if k.publishers, err = openPublishers(k.State); err != nil {
		return err
	}
	k.listed = &listed{k: k}
	k.crons = newCrons(k)
	if k.witness, err = newWitness(k); err != nil {
		return err
	}
	if err := k.witness.cutShort(ctx); err != nil {
		return err
	}
	k.Capsules = capsule.NewRegistry(capsule.Config{
		Roots: []string{k.Home.Capsules()}, More: k.listed.load, Engine: plugins{k}, Permit: k.grants.permit, Off: k.isOff, Changed: k.capsuleChanged, Log: k.config.Log,
		Jitter: func(d time.Duration) time.Duration { return time.Duration(time.Now().UnixNano()) % max(d, 1) },
	})
	k.Router = router.New(router.Config{Bus: k.Bus, Capsules: k.Capsules, Denied: k.witness.denial, Called: k.witness.call, Concerns: k.concerns, Log: k.config.Log})
	return nil
}

func (k *Kernel) closeCapsules(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, k.config.StopTimeout/drainShare)
	defer cancel()
	k.crons.close()
	err := errors.Join(k.Capsules.Close(ctx), k.wasm.Close(ctx))
	k.witness.close()
	return err
}
