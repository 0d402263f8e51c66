package audit

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"astrid/kernel/fault"
)

// encode writes the body of r, whose texts are clean.
func encode(r *Record) []byte {
	b := binary.LittleEndian.AppendUint64(nil, r.Seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Time.UnixNano()))
	b = append(b, r.ID[:]...)
	b = append(b, r.KeyID[:]...)
	b = append(b, r.Previous[:]...)
	b = appendText(b, r.Session)
	b = appendText(b, r.Principal)
	b = appendText(b, r.Door)
	b = binary.LittleEndian.AppendUint32(b, r.PID)
	b = appendObject(b, string(r.Action.Type), r.Action.Fields)
	b = appendObject(b, string(r.Authorization.Type), r.Authorization.Fields)
	status := byte(0)
	if r.Outcome.Success {
		status = 1
	}
	b = append(b, status)
	b = appendText(b, r.Outcome.Kind)
	return appendText(b, r.Outcome.Text)
}

func appendText(b []byte, text string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(text))), text...)
}

func appendObject(b []byte, kind string, fields Fields) []byte {
	b = appendText(b, kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(fields)))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		b = appendText(appendText(b, name), fields[name])
	}
	return b
}

// clean returns r with the texts that will be signed.
func (r Record) clean() Record {
	r.Session, r.Principal, r.Door = clean(r.Session), clean(r.Principal), clean(r.Door)
	r.Outcome.Kind, r.Outcome.Text = clean(r.Outcome.Kind), clean(r.Outcome.Text)
	r.Action.Fields, r.Authorization.Fields = r.Action.Fields.clean(), r.Authorization.Fields.clean()
	return r
}

func (f Fields) clean() Fields {
	out := Fields{}
	for name, value := range f {
		if value != "" {
			out[name] = clean(value)
		}
	}
	return out
}

// maxFields is how many fields an object may have.
const maxFields = 16

// decode parses the body of a record; it accepts nothing that encode does not write.
func decode(body []byte) (Record, error) {
	d := decoder{rest: body}
	var r Record
	r.Seq = d.u64()
	r.Time = time.Unix(0, int64(d.u64())).UTC()
	copy(r.ID[:], d.take(len(r.ID)))
	copy(r.KeyID[:], d.take(len(r.KeyID)))
	copy(r.Previous[:], d.take(len(r.Previous)))
	r.Session, r.Principal, r.Door = d.text(), d.text(), d.text()
	r.PID = d.u32()
	kind, fields := d.object()
	r.Action = Action{Type: Type(kind), Fields: fields}
	kind, fields = d.object()
	r.Authorization = Authorization{Type: AuthType(kind), Fields: fields}
	status := d.take(1)
	r.Outcome.Success = len(status) == 1 && status[0] == 1
	d.bad = d.bad || len(status) != 1 || status[0] > 1
	r.Outcome.Kind, r.Outcome.Text = d.text(), d.text()
	if d.bad || len(d.rest) != 0 {
		return Record{}, fault.New(fault.Internal, "a record of the audit log is malformed")
	}
	return r, nil
}

// decoder reads a body. After the first thing that is wrong it is bad and
// returns zeros.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n > len(d.rest) {
		d.bad = true
		return nil
	}
	var taken []byte
	taken, d.rest = d.rest[:n], d.rest[n:]
	return taken
}

func (d *decoder) u64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if b := d.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) text() string {
	n := d.u32()
	if n > MaxText {
		d.bad = true
		return ""
	}
	text := string(d.take(int(n)))
	d.bad = d.bad || clean(text) != text
	return text
}

func (d *decoder) object() (kind string, fields Fields) {
	kind, fields = d.text(), Fields{}
	n := d.u32()
	d.bad = d.bad || n > maxFields
	for last := ""; n > 0 && !d.bad; n-- {
		name, value := d.text(), d.text()
		d.bad = d.bad || name <= last || value == ""
		fields[name], last = value, name
	}
	return kind, fields
}
