package text

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// pairs prints lines of "key: value".
type pairs struct{ bytes.Buffer }

func (p *pairs) add(key string, value any) {
	var text string
	switch v := value.(type) {
	case string:
		text = line(v)
	case time.Time:
		text = v.UTC().Format(time.RFC3339)
	case float64:
		text = strconv.FormatFloat(v, 'f', 1, 64)
	default:
		text = fmt.Sprint(v)
	}
	p.raw(key, text)
}

// raw is add for what is quoted already.
func (p *pairs) raw(key, text string) { fmt.Fprintf(p, "%s: %s\n", key, text) }

// some is add for what is worth a line only when there is something.
func (p *pairs) some(key, value string) {
	if value != "" {
		p.add(key, value)
	}
}

// line is a value as it is if it fits one line, else quoted.
func line(v string) string {
	for i := range len(v) {
		if v[i] < ' ' || v[i] == 0x7f {
			return Quote(v)
		}
	}
	if strings.HasPrefix(v, `"`) || strings.TrimSpace(v) != v {
		return Quote(v)
	}
	return v
}

func (p *pairs) session(s wire.Session) {
	p.add("session", s.Name)
	p.add("state", s.State)
	p.some("note", s.Note)
	p.add("base", s.Base)
	p.add("workspace", s.Workspace)
	if s.PID != 0 {
		p.add("pid", s.PID)
	}
	p.add("created", s.Created)
	p.add("since", s.Since)
	p.add("restarts", s.Restarts)
}

// Status prints what a session's status file shows.
func Status(s wire.Status) []byte {
	var p pairs
	p.session(s.Session)
	p.add("changes", s.Changes.Total())
	p.add("added", s.Changes.Added)
	p.add("modified", s.Changes.Modified)
	p.add("deleted", s.Changes.Deleted)
	p.add("renamed", s.Changes.Renamed)
	p.add("typed", s.Changes.Typed)
	p.add("meta", s.Changes.Meta)
	p.add("digest", s.Digest)
	p.add("conflicts", s.Conflicts)
	for _, path := range s.Held {
		p.raw("held", Quote(path))
	}
	p.add("bytes", s.Bytes)
	p.some("read-only", s.ReadOnly)
	if s.Brake != nil {
		p.Write(Brake(*s.Brake))
	}
	p.add("watched", s.Watched)
	p.add("commits", s.Commits)
	p.add("checkpoints", s.Points)
	p.some("pending", s.Pending)
	p.add("uptime-seconds", s.Uptime)
	p.add("panics", s.Panics)
	return p.Bytes()
}

// Kernel prints what the status file of the control tree shows.
func Kernel(k wire.KernelStatus) []byte {
	var p pairs
	p.add("pid", k.PID)
	p.add("version", k.Version)
	p.add("home", k.Home)
	p.add("started", k.Started)
	p.add("uptime-seconds", k.Uptime)
	p.add("boot-seconds", strconv.FormatFloat(k.BootSeconds, 'f', 3, 64))
	p.add("clients", k.Clients)
	p.add("refused", k.Refused)
	p.add("slow-clients", k.SlowClients)
	p.add("ops-done", k.OpsDone)
	p.add("ops-failed", k.OpsFailed)
	p.add("shutting-down", k.ShuttingDown)
	p.some("stop", k.LastStopCause)
	for _, why := range k.StaysUp {
		p.add("stays-up", why)
	}
	p.add("audit-head", k.AuditHead)
	p.some("audit-failed", k.AuditFailed)
	p.add("sessions", len(k.Sessions))
	for _, s := range k.Sessions {
		p.raw("session", s.Name+" "+s.State+" "+Quote(s.Base))
	}
	return p.Bytes()
}

// Version prints what is running.
func Version(v wire.VersionReply) []byte {
	var p pairs
	p.add("version", v.Version)
	p.add("protocol", v.Protocol)
	p.add("build", v.Build)
	p.add("go", v.Go)
	return p.Bytes()
}

// Changes prints one line a change.
func Changes(changes []wire.Change) []byte {
	var b bytes.Buffer
	for i := range changes {
		change(&b, &changes[i])
	}
	return b.Bytes()
}

func change(b *bytes.Buffer, c *wire.Change) {
	b.WriteString(c.Op)
	if from := c.Source(); from != "" {
		b.WriteString(" " + Quote(from))
	}
	b.WriteString(" " + Quote(c.Name()))
	note := c.Note
	if note == "" && c.Held {
		note = "held back"
	}
	if note != "" {
		b.WriteString(" # " + line(note))
	}
	b.WriteByte('\n')
}

// Commit prints what a commit did: what the commit file shows after it.
func Commit(r wire.CommitReply) []byte {
	var p pairs
	p.add("commit", r.Number)
	if r.DryRun {
		p.add("dry-run", true)
	}
	p.add("digest", r.Digest)
	p.changes("applied", r.Applied)
	p.changes("held", r.Held)
	p.changes("skipped", r.Skipped)
	p.conflicts(r.Conflicts)
	for _, note := range r.Outside {
		p.add("note", note)
	}
	return p.Bytes()
}

// Discard prints what a discard dropped.
func Discard(r wire.DiscardReply) []byte {
	var p pairs
	p.some("kept", r.Kept)
	p.changes("dropped", r.Dropped)
	return p.Bytes()
}

// Undo prints what an undo or redo did.
func Undo(r wire.UndoReply) []byte {
	var p pairs
	p.add("number", r.Number)
	p.add("commit", r.Commit)
	if r.DryRun {
		p.add("dry-run", true)
	}
	p.changes("changed", r.Changed)
	p.conflicts(r.Conflicts)
	return p.Bytes()
}

// History prints one line an operation: number, what, the commit that it is about,
// when, who, how many paths, and what can become of it; then the message.
func History(list []wire.HistoryEntry) []byte {
	var b bytes.Buffer
	for _, h := range list {
		fmt.Fprintf(&b, "%d %s %d %s %s %d %s", h.Number, h.Op, h.Commit, h.At.Format(time.RFC3339), word(h.By), h.Paths, h.State)
		if h.Message != "" {
			b.WriteString(" " + line(h.Message))
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func word(s string) string {
	if s == "" {
		return "-"
	}
	return Quote(s)
}

func (p *pairs) conflicts(list []wire.Conflict) {
	for i := range list {
		p.raw("conflict", Quote(list[i].Name())+" # "+line(list[i].Why))
	}
}

func (p *pairs) changes(key string, list []wire.Change) {
	for i := range list {
		p.WriteString(key + ": ")
		change(&p.Buffer, &list[i])
	}
}

// maxReason bounds what is shown of an error: it may quote what somebody wrote.
const maxReason = 1 << 10

// Error prints an error as a control file shows it; a long one is cut.
func Error(err error) []byte {
	var p pairs
	p.add("error", fault.KindOf(err).Code())
	reason := err.Error()
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	p.add("reason", reason)
	return p.Bytes()
}
