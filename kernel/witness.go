package kernel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"astrid/kernel/audit"
	"astrid/kernel/bus"
	"astrid/kernel/capsule"
	"astrid/kernel/capsule/host"
	"astrid/kernel/fault"
	"astrid/kernel/router"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// witness puts into the audit log what capsules do of their own accord. Its
// records are notes, which hold up nobody; of what happens often the first few
// are recorded within a minute, and how many more there were.
type witness struct {
	k     *Kernel
	calls *store.Space // that are under way; what is there at boot was when a kernel was killed

	refused, called, ran *tally
}

// underWay is where the tool calls and programs stand that have not ended. It is
// not synced for each: it outlives the kernel, not the machine.
const underWay store.Namespace = "system:calls"

// Of what a capsule is refused, calls and starts, so many a minute are records.
const (
	fewRefusals = 8
	fewCalls    = 120
	few         = time.Minute
)

func newWitness(k *Kernel) (*witness, error) {
	calls, err := k.State.Space(underWay, store.SpaceOptions{})
	return &witness{k: k, calls: calls, refused: newTally(fewRefusals, few), called: newTally(fewCalls, few), ran: newTally(fewCalls, few)}, err
}

// note records what a capsule did, or how often it did it again.
func (w *witness) note(of *tally, kind string, r audit.Record) {
	again := func(n int) {
		fields := audit.Fields{"count": strconv.Itoa(n)}
		for name, value := range r.Action.Fields {
			if name == "capsule_id" || name == "what" || name == "resource" {
				fields[name] = value
			}
		}
		r.Action.Fields, r.Time = fields, time.Time{}
		w.k.Audit.Note(r)
	}
	if of.admit(kind, again) {
		w.k.Audit.Note(r)
	}
}

// refusal records that a capsule may not do what it tried.
func (w *witness) refusal(ctx context.Context, id capsule.ID, function string, err error) {
	c := host.CallerOf(ctx)
	w.note(w.refused, string(id)+" "+function, audit.Record{
		Session: c.Session, Principal: c.Principal, Outcome: audit.Of(err),
		Action:        audit.Action{Type: audit.Denial, Fields: audit.Fields{"what": function, "resource": "capsule " + string(id), "reason": err.Error()}},
		Authorization: audit.Authorization{Type: audit.Denied, Fields: audit.Fields{"reason": "manifest"}},
	})
}

// denial records that a capsule has denied a message.
func (w *witness) denial(by capsule.ID, c host.Caller, reason string) {
	w.note(w.called, "denied by "+string(by)+" "+c.Source+" "+c.Principal, audit.Record{
		Session: c.Session, Principal: c.Principal, Outcome: audit.Outcome{Kind: fault.Denied.Code(), Text: reason},
		Action:        audit.Action{Type: audit.Denial, Fields: audit.Fields{"what": c.Topic, "resource": "capsule " + string(by), "reason": reason}},
		Authorization: audit.Authorization{Type: audit.Denied, Fields: audit.Fields{"reason": "interceptor"}},
	})
}

// program records a program that a capsule runs, when it has ended: its name, and
// not its arguments, which may be secrets.
func (w *witness) program(ctx context.Context, id capsule.ID, session string, argv []string) (ended func(code int, err error)) {
	u := unfinished{
		Program: argv[0], Args: len(argv) - 1, Session: session, Principal: host.CallerOf(ctx).Principal, By: string(id), Began: time.Now().UTC(),
	}
	done := w.begin(u)
	return func(code int, err error) {
		done()
		r := u.record()
		if r.Outcome = audit.Of(err); err == nil {
			r.Action.Fields["exit_code"] = strconv.Itoa(code)
		}
		w.note(w.ran, u.By, r)
	}
}

// unfinished is a call or a program as it stands in the store while it is under
// way.
type unfinished struct {
	Tool      string    `json:"tool,omitzero"`
	Hash      string    `json:"args_hash,omitzero"`
	Program   string    `json:"program,omitzero"`
	Args      int       `json:"args,omitzero"`
	Session   string    `json:"session"`
	Principal string    `json:"principal"`
	By        string    `json:"by"` // the capsule that called or runs it; empty: a frontend
	Began     time.Time `json:"began"`
}

// begin keeps u until done is called.
func (w *witness) begin(u unfinished) (done func()) {
	key := wire.NewUUID()
	data, err := wire.Encode(u)
	if err == nil {
		err = w.calls.Set(key, data)
	}
	if err != nil {
		w.k.config.Log.Warn("what a kill cuts short would not be recorded", "tool", u.Tool, "program", u.Program, "err", err)
	}
	return func() {
		if _, err := w.calls.Delete(key); err != nil && !fault.Is(err, fault.NotRunning) {
			w.k.config.Log.Warn("what has ended may be recorded as cut short", "tool", u.Tool, "program", u.Program, "err", err)
		}
	}
}

func (u unfinished) record() audit.Record {
	r := audit.Record{
		Session: u.Session, Principal: u.Principal, Time: u.Began,
		Action:        audit.Action{Type: audit.CapsuleToolCall, Fields: audit.Fields{"tool": u.Tool, "args_hash": u.Hash, "capsule_id": u.By}},
		Authorization: audit.Authorization{Type: audit.User, Fields: audit.Fields{"user_id": u.Principal}},
	}
	if u.By != "" {
		r.Authorization = audit.Authorization{Type: audit.System, Fields: audit.Fields{"reason": "called by a capsule"}}
	}
	if u.Program != "" {
		r.Action = audit.Action{Type: audit.CapsuleProgram, Fields: audit.Fields{"capsule_id": u.By, "program": u.Program, "args": strconv.Itoa(u.Args)}}
		r.Authorization.Fields["reason"] = "host_process of the manifest"
	}
	return r
}

// call implements router.Config.Called. The operation that made a direct call
// records its end itself.
func (w *witness) call(c router.Called) (ended func(wire.ToolResult)) {
	hash := sha256.Sum256(c.Arguments)
	u := unfinished{
		Tool: c.Tool, Hash: hex.EncodeToString(hash[:]), Session: c.Message.Session, Principal: c.Message.Principal, By: w.capsule(c.Message), Began: time.Now().UTC(),
	}
	done := w.begin(u)
	return func(result wire.ToolResult) {
		done()
		if c.Direct {
			return
		}
		r := u.record()
		r.Outcome = resultOutcome(result)
		w.note(w.called, "call by "+c.Message.Source+" "+c.Message.Principal, r)
	}
}

// capsule is the capsule that published a message, if one did.
func (w *witness) capsule(m *bus.Message) string {
	for _, s := range w.k.Capsules.List() {
		if m.Source != "" && s.Source == m.Source {
			return string(s.Package.Name)
		}
	}
	return ""
}

// cutShort records the calls and programs that were under way when the kernel before this one
// was killed.
func (w *witness) cutShort(ctx context.Context) error {
	done := []string{}
	err := w.calls.Each("", func(key string, data []byte) error {
		var u unfinished
		if err := wire.Decode(data, &u); err != nil {
			w.k.config.Log.Warn("what was cut short cannot be read", "err", err)
		} else {
			r := u.record()
			r.Outcome = audit.Outcome{
				Kind: fault.Unavailable.Code(), Text: "the kernel ended while it worked: what it had done by then is done",
			}
			if err := w.k.Audit.Append(ctx, r); err != nil {
				return err
			}
		}
		done = append(done, key)
		return nil
	})
	for _, key := range done {
		if err == nil {
			_, err = w.calls.Delete(key)
		}
	}
	return err
}

// close records what was only counted until now.
func (w *witness) close() {
	for _, t := range []*tally{w.refused, w.called, w.ran} {
		t.close()
	}
}
