package ctl

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"astrid/ctl/text"
	"astrid/fs/mem"
	"astrid/fs/tree"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// maxLine is the longest line of a control file, in bytes.
const maxLine = 64 << 10

// maxResult bounds what a commit or discard file shows of a result.
const maxResult = 1 << 20

// Config is what a control tree is made of.
type Config struct {
	Table *op.Table
	Owner string // id of the user that the kernel's own uid is
	// Spool is a directory on a disk for patches while they are read.
	Spool string
	Log   *slog.Logger     // default: discarded
	Now   func() time.Time // default: time.Now
}

// Tree is the control tree, not mounted yet; Mount mounts it.
type Tree struct {
	config Config
	ctx    context.Context // of operations that writes began
	uid    uint32

	mu      sync.Mutex
	last    []byte                       // content of last-error, guarded by mu
	results map[string]map[string][]byte // by session and file, guarded by mu
}

// newTree makes a tree whose operations end with ctx.
func newTree(ctx context.Context, c Config) *Tree {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Tree{config: c, ctx: ctx, uid: uint32(os.Geteuid()), results: map[string]map[string][]byte{}}
}

// build lays out the files.
func (t *Tree) build() (*mem.Tree, error) {
	m := mem.New(mem.Options{UID: t.uid, GID: uint32(os.Getegid()), Mode: 0o700, Fixed: true, Allow: t.allow})
	for name, item := range map[string]mem.Item{
		"version":    t.reader(op.Version, t.version),
		"status":     t.reader(op.About, t.about),
		"last-error": mem.Text(t.lastError),
		"shutdown":   t.lines("", op.Shutdown, t.shutdown),
		"sessions":   mem.Folder{Perm: 0o700, List: t.sessions, Child: t.session},

		"metrics":       t.shows(op.Metrics, wire.None{}),
		"log":           t.shows(op.Log, wire.LogRequest{}),
		"events":        t.shows(op.Events, wire.EventsRequest{}),
		"events.follow": mem.Func(t.follow).Perm(0o600).Unlisted(),
		"call":          t.lines("", "call", t.call),
		"ask":           t.takes(op.Ask, "action", "resource", "reason?", "risk_level?"),
		"approvals":     t.approvals(),
		"questions":     t.questions(),
		"allowances":    t.allowances(),
		"capabilities":  t.capabilities(),
		"identity":      t.identity(),
		"capsules":      t.capsules(),
		"audit": folder(map[string]mem.Item{
			"log":    t.reader(op.AuditRead, t.auditLog),
			"verify": t.shows(op.AuditVerify, wire.VerifyAudit{}),
		}),
		"bus": folder(map[string]mem.Item{
			"status":  t.shows(op.BusStatus, wire.None{}),
			"publish": t.takes(op.Publish, "topic", "payload="),
		}),
	} {
		if err := m.Attach(name, item); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// allow refuses everybody but the owner of the kernel.
func (t *Tree) allow(c *tree.Caller) error {
	if c.UID != t.uid {
		return fmt.Errorf("control files belong to user %d, not %d: %w", t.uid, c.UID, syscall.EACCES)
	}
	return nil
}

// as puts the caller into a context, if it is the owner; else the context
// carries nobody.
func (t *Tree) as(ctx context.Context, c *tree.Caller) context.Context {
	caller := op.Caller{Door: op.DoorCtl, UID: c.UID, PID: c.PID}
	if c.UID == t.uid {
		caller.Principal, caller.User = op.Owner, t.config.Owner
	}
	return op.WithCaller(ctx, caller)
}

// owner is as for a read, whose open was checked.
func (t *Tree) owner(ctx context.Context) context.Context {
	return t.as(ctx, &tree.Caller{UID: t.uid})
}

// reader is a file that shows what an operation replies.
func (t *Tree) reader(what string, show func(context.Context) ([]byte, error)) mem.File {
	return mem.Text(func(ctx context.Context) ([]byte, error) {
		data, err := show(t.owner(ctx))
		if err != nil {
			return nil, t.failed("", what, err)
		}
		return data, nil
	})
}

// writer runs one operation a line; act returns what the file shows from then
// on. ok is false for a line that asks for nothing.
func (t *Tree) writer(session, what string, act func(ctx context.Context, line string) (shown []byte, ok bool, err error)) func(context.Context, *tree.Caller, string) error {
	return func(_ context.Context, c *tree.Caller, line string) error {
		shown, ok, err := act(t.as(t.ctx, c), line)
		if err != nil {
			t.remember(session, what, append(text.Error(err), shown...))
			return t.failed(session, what, err)
		}
		if ok {
			t.remember(session, what, shown)
		}
		return nil
	}
}

// failed keeps the sentence of err for last-error and returns its errno.
func (t *Tree) failed(session, what string, err error) error {
	at := t.config.Now().UTC().Format(time.RFC3339)
	if session != "" {
		what += " " + session
	}
	t.config.Log.Debug("control file", "op", what, "err", err)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append([]byte("at: "+at+"\nop: "+what+"\n"), text.Error(err)...)
	return fault.ErrnoOf(err)
}

// Braked puts the sentence behind an EDQUOT of a session's view in last-error.
func (s *Server) Braked(session, why string) {
	_ = s.tree.failed(session, op.Brake, fault.New(fault.Limit, "the view takes no more changes: %s; astrid brake raises the limit or lets it go on", why))
}

func (t *Tree) lastError(context.Context) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last, nil
}

// remember keeps what a file shows when it is read back.
func (t *Tree) remember(session, what string, shown []byte) {
	if len(shown) > maxResult {
		shown = append(shown[:maxResult:maxResult], "\n…\n"...)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.results[session] == nil {
		t.results[session] = map[string][]byte{}
	}
	t.results[session][what] = shown
}

// shown is a file that shows the last result of its operation.
func (t *Tree) shown(session, what string) mem.File {
	return mem.Text(func(context.Context) ([]byte, error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.results[session][what], nil
	})
}
