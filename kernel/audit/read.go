package audit

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"astrid/kernel/fault"
	"astrid/kernel/store"
)

// MaxRead is how many records Read returns at most.
const MaxRead = 1000

// Filter chooses records; what is empty chooses all.
type Filter struct {
	Session   string
	Principal string
	Types     []Type
	Failures  bool // only what did not succeed
}

func (f Filter) takes(r *Record) bool {
	return (f.Session == "" || r.Session == f.Session) &&
		(f.Principal == "" || r.Principal == f.Principal) &&
		(len(f.Types) == 0 || slices.Contains(f.Types, r.Action.Type)) &&
		!(f.Failures && r.Outcome.Success)
}

// Entry is a record with what proves it.
type Entry struct {
	Record
	Hash Hash

	body, signature []byte
}

// Read returns up to limit of the records after since that f takes and that are
// not archived, oldest first. A limit outside 1 … MaxRead means MaxRead. What it returns was
// verified, but not its links; a record that does not verify is an error.
func (l *Log) Read(ctx context.Context, since uint64, limit int, f Filter) ([]Entry, error) {
	if limit < 1 || limit > MaxRead {
		limit = MaxRead
	}
	var entries []Entry
	err := l.each(ctx, since, f, func(e Entry) error {
		entries = append(entries, e)
		if len(entries) == limit {
			return store.Stop
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

func (l *Log) each(ctx context.Context, since uint64, f Filter, fn func(Entry) error) error {
	return l.records.EachAfter("", recordKey(max(since, l.begins().Seq)), func(key string, value []byte) error {
		if err := ctx.Err(); err != nil {
			return fault.Wrap(fault.KindOf(err), err, "read the audit log")
		}
		body, signature, _ := sealed(value).split()
		r, err := decode(body)
		if err == nil && !f.takes(&r) {
			return nil
		}
		hash := hashOf(body)
		if err != nil || recordKey(r.Seq) != key || !verified(l.pinned, hash, signature) {
			return fault.New(fault.Internal, "the record %s of the audit log does not verify: verify the whole log", key)
		}
		return fn(Entry{Record: r, Hash: hash, body: body, signature: signature})
	})
}

// line is an Entry as one line of JSON.
type line struct {
	Seq           uint64            `json:"seq"`
	Time          string            `json:"time"`
	ID            string            `json:"id"`
	Session       string            `json:"session"`
	Principal     string            `json:"principal"`
	Door          string            `json:"door"`
	PID           uint32            `json:"pid"`
	Action        map[string]string `json:"action"`
	Authorization map[string]string `json:"authorization"`
	Outcome       map[string]string `json:"outcome"`
	Previous      string            `json:"previous_hash"`
	Hash          string            `json:"hash"`
	Body          string            `json:"body"`
	Signature     string            `json:"signature"`
}

// MarshalJSON is the entry as Export writes it: with the signed bytes, so that
// a stranger who has the public key can verify it.
func (e Entry) MarshalJSON() ([]byte, error) {
	id := hex.EncodeToString(e.ID[:])
	outcome := Fields{"kind": e.Outcome.Kind, "text": e.Outcome.Text}.clean()
	status := "failure"
	if e.Outcome.Success {
		status = "success"
	}
	return json.Marshal(line{
		Seq: e.Seq, Time: e.Time.UTC().Format(time.RFC3339Nano),
		ID:      id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:],
		Session: e.Session, Principal: e.Principal, Door: e.Door, PID: e.PID,
		Action:        e.Action.Fields.tagged("type", string(e.Action.Type)),
		Authorization: e.Authorization.Fields.tagged("type", string(e.Authorization.Type)),
		Outcome:       outcome.tagged("status", status),
		Previous:      hex.EncodeToString(e.Previous[:]), Hash: hex.EncodeToString(e.Hash[:]),
		Body: base64.StdEncoding.EncodeToString(e.body), Signature: base64.StdEncoding.EncodeToString(e.signature),
	}, json.Deterministic(true))
}

func (f Fields) tagged(tag, value string) map[string]string {
	out := f.clean()
	out[tag] = value
	return out
}

// Export writes the log but for what is archived, verified as by Read, as lines
// of JSON; archives are such lines already.
func (l *Log) Export(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	err := l.each(ctx, 0, Filter{}, func(e Entry) error {
		text, err := json.Marshal(e)
		if err == nil {
			_, err = out.Write(append(text, '\n'))
		}
		return err
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "export the audit log")
	}
	return nil
}
