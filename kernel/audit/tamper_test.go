package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
)

// raw is direct access to the store of a log, as whoever tampers has it.
type raw struct {
	t              *testing.T
	records, heads *store.Space
	undo           *[]func() error // of what was done, in this order
}

// keep remembers the value of key for undo.
func (r raw) keep(p *store.Space, key string) {
	old, err := p.Get(key)
	*r.undo = append(*r.undo, func() error {
		if err == nil {
			return p.Set(key, old)
		}
		_, err := p.Delete(key)
		return err
	})
}

// mend undoes everything.
func (r raw) mend() {
	r.t.Helper()
	for _, undo := range slices.Backward(*r.undo) {
		if err := undo(); err != nil {
			r.t.Error(err)
		}
	}
}

func (r raw) get(p *store.Space, key string) []byte {
	r.t.Helper()
	value, err := p.Get(key)
	if err != nil {
		r.t.Fatal(err)
	}
	return value
}

func (r raw) set(p *store.Space, key string, value []byte) {
	r.t.Helper()
	r.keep(p, key)
	if err := p.Set(key, value); err != nil {
		r.t.Fatal(err)
	}
}

func (r raw) drop(p *store.Space, key string) {
	r.t.Helper()
	r.keep(p, key)
	if existed, err := p.Delete(key); !existed || err != nil {
		r.t.Fatal(existed, err)
	}
}

func (r raw) flip(p *store.Space, key string, offset int) {
	value := r.get(p, key)
	if offset < 0 {
		offset += len(value)
	}
	value[offset] ^= 1
	r.set(p, key, value)
}

// resign signs record seq anew, with what change makes of it.
func (r raw) resign(seq uint64, key ed25519.PrivateKey, change func(*Record)) {
	r.t.Helper()
	body, _, _ := sealed(r.get(r.records, recordKey(seq))).split()
	record, err := decode(body)
	if err != nil {
		r.t.Fatal(err)
	}
	change(&record)
	s, _ := seal(key, encode(&record))
	r.set(r.records, recordKey(seq), s)
}

func TestEveryTamperingIsFoundAndNamed(t *testing.T) {
	const n = 1100 // two chunks
	own, foreign := testKey(0), testKey(7)
	same := func(*Record) {}
	last := recordKey(n)
	s := storetest.Open(t, t.TempDir(), nil)
	if err := s.Restore(bytes.NewReader(made(t, n))); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tamper func(raw)
		want   Bad
	}{
		"a byte of the number":    {func(r raw) { r.flip(r.records, recordKey(5), 0) }, Bad{5, BadSignature}},
		"a byte of the time":      {func(r raw) { r.flip(r.records, recordKey(5), 9) }, Bad{5, BadSignature}},
		"a byte of the id":        {func(r raw) { r.flip(r.records, recordKey(5), 17) }, Bad{5, BadSignature}},
		"a byte of the key id":    {func(r raw) { r.flip(r.records, recordKey(5), 33) }, Bad{5, ForeignKey}},
		"a byte of the link":      {func(r raw) { r.flip(r.records, recordKey(5), 41) }, Bad{5, BadSignature}},
		"a length":                {func(r raw) { r.flip(r.records, recordKey(5), 72) }, Bad{5, BadSignature}},
		"a byte of the session":   {func(r raw) { r.flip(r.records, recordKey(5), 77) }, Bad{5, BadSignature}},
		"the last byte of a body": {func(r raw) { r.flip(r.records, recordKey(5), -65) }, Bad{5, BadSignature}},
		"a byte of the signature": {func(r raw) { r.flip(r.records, recordKey(5), -1) }, Bad{5, BadSignature}},
		"the last record":         {func(r raw) { r.flip(r.records, last, 80) }, Bad{n, BadSignature}},
		"a record made empty":     {func(r raw) { r.set(r.records, recordKey(5), nil) }, Bad{5, Malformed}},
		"a record made short":     {func(r raw) { r.set(r.records, recordKey(5), r.get(r.records, recordKey(5))[1:]) }, Bad{5, BadSignature}},
		"a record made longer":    {func(r raw) { r.set(r.records, recordKey(5), append(r.get(r.records, recordKey(5)), 0)) }, Bad{5, BadSignature}},
		"the outcome, signed":     {func(r raw) { r.resign(5, own, func(r *Record) { r.Outcome.Text = "x" }) }, Bad{6, BrokenLink}},
		"the last one, signed":    {func(r raw) { r.resign(n, own, func(r *Record) { r.Outcome.Text = "x" }) }, Bad{n, BadHead}},
		"the link, signed":        {func(r raw) { r.resign(5, own, func(r *Record) { r.Previous[0] ^= 1 }) }, Bad{5, BrokenLink}},
		"the first link, signed":  {func(r raw) { r.resign(1, own, func(r *Record) { r.Previous[0] ^= 1 }) }, Bad{1, BrokenLink}},
		"a chunk's link, signed":  {func(r raw) { r.resign(1025, own, func(r *Record) { r.Previous[0] ^= 1 }) }, Bad{1025, BrokenLink}},
		"another key":             {func(r raw) { r.resign(5, foreign, same) }, Bad{5, BadSignature}},
		"another key that says so": {func(r raw) {
			r.resign(5, foreign, func(r *Record) { r.KeyID = keyID(foreign.Public().(ed25519.PublicKey)) })
		}, Bad{5, ForeignKey}},
		"two records change places": {func(r raw) {
			a, b := r.get(r.records, recordKey(5)), r.get(r.records, recordKey(6))
			r.set(r.records, recordKey(5), b)
			r.set(r.records, recordKey(6), a)
		}, Bad{5, BrokenLink}},
		"a record twice":               {func(r raw) { r.set(r.records, recordKey(6), r.get(r.records, recordKey(5))) }, Bad{6, BrokenLink}},
		"the first record gone":        {func(r raw) { r.drop(r.records, recordKey(1)) }, Bad{1, Gap}},
		"a middle record gone":         {func(r raw) { r.drop(r.records, recordKey(1050)) }, Bad{1050, Gap}},
		"the last of a chunk gone":     {func(r raw) { r.drop(r.records, recordKey(1024)) }, Bad{1024, Gap}},
		"the tail gone":                {func(r raw) { r.drop(r.records, last) }, Bad{n, Truncated}},
		"much of the tail gone":        {func(r raw) { r.clear(900, n) }, Bad{900, Truncated}},
		"all records gone":             {func(r raw) { r.clear(1, n) }, Bad{1, Truncated}},
		"tail gone, head made to fit":  {func(r raw) { r.drop(r.records, last); r.flip(r.heads, nameHead, 0) }, Bad{0, BadHead}},
		"a byte of the head":           {func(r raw) { r.flip(r.heads, nameHead, 30) }, Bad{0, BadHead}},
		"a byte of its checkpoint":     {func(r raw) { r.flip(r.heads, nameHead, 8) }, Bad{0, BadHead}},
		"a byte of its signature":      {func(r raw) { r.flip(r.heads, nameHead, -1) }, Bad{0, BadHead}},
		"the head gone":                {func(r raw) { r.drop(r.heads, nameHead) }, Bad{0, BadHead}},
		"the head short":               {func(r raw) { r.set(r.heads, nameHead, []byte("x")) }, Bad{0, BadHead}},
		"a record after the head":      {func(r raw) { r.set(r.records, recordKey(n+1), r.get(r.records, last)) }, Bad{n + 1, Beyond}},
		"a key that is no number":      {func(r raw) { r.set(r.records, "zz", nil) }, Bad{n + 1, Malformed}},
		"a number written differently": {func(r raw) { r.set(r.records, "0000000000000FFF", nil) }, Bad{n + 1, Malformed}},
		"signed, but no record": {func(r raw) {
			s, _ := seal(own, []byte("hello"))
			r.set(r.records, recordKey(5), s)
		}, Bad{5, Malformed}},
	} {
		t.Run(name, func(t *testing.T) {
			direct := rawOf(t, s)
			c.tamper(direct)
			defer direct.mend()
			l := justVerifies(t, s)
			r, err := l.Verify(t.Context(), 0)
			if err != nil || r.Bad == nil || *r.Bad != c.want {
				t.Errorf("%+v, %v: found %v, want %v", r, err, r.Bad, c.want)
			}
			wantKind(t, r.Err(), fault.Internal, string(c.want.Reason))
		})
	}
}

func (r raw) clear(from, to uint64) {
	r.t.Helper()
	for seq := from; seq <= to; seq++ {
		r.keep(r.records, recordKey(seq))
	}
	err := r.records.Update(func(tx *store.Tx) error {
		for seq := from; seq <= to; seq++ {
			if _, err := tx.Delete(r.records, recordKey(seq)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func rawOf(t *testing.T, s *store.Store) raw {
	return raw{t: t, undo: new([]func() error),
		records: storetest.Space(t, s, store.AuditRecords, store.SpaceOptions{}),
		heads:   storetest.Space(t, s, store.AuditHead, store.SpaceOptions{})}
}

// made is a backup of a log with n records, none of them a checkpoint.
func made(t *testing.T, n int) []byte {
	t.Helper()
	s := storetest.Open(t, t.TempDir(), nil)
	l := justVerifies(t, s)
	if _, err := l.begin(); err != nil {
		t.Fatal(err)
	}
	for done := 0; done < n; {
		c := l.chain()
		for ; len(c.records) < groupLength && done < n; done++ {
			c.add(example(done).clean())
		}
		if err := l.store(c); err != nil {
			t.Fatal(err)
		}
	}
	wantWhole(t, l)
	var out bytes.Buffer
	if err := s.Backup(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// justVerifies is a log that was not booted and writes nothing by itself.
func justVerifies(t *testing.T, s *store.Store) *Log {
	r := rawOf(t, s)
	key := testKey(0)
	l := &Log{records: r.records, heads: r.heads, key: key, pinned: key.Public().(ed25519.PublicKey), now: func() time.Time { return at(1_800_000_000) }}
	l.head.Store(&Head{})
	return l
}

func TestOpenRefusesABrokenLog(t *testing.T) {
	whole := made(t, 25)
	for name, c := range map[string]struct {
		tamper func(raw)
		key    byte
		text   string
		mended bool // nothing was lost but what a new record brings back
	}{
		"a changed record":    {func(r raw) { r.flip(r.records, recordKey(20), 80) }, 0, "record 20 (bad signature)", false},
		"a lost tail":         {func(r raw) { r.drop(r.records, recordKey(25)) }, 0, "record 25 (truncated)", false},
		"a lost head":         {func(r raw) { r.drop(r.heads, nameHead) }, 0, "(bad head)", true},
		"a lost pin":          {func(r raw) { r.drop(r.heads, nameKey) }, 0, "(foreign key)", true},
		"another runtime key": {func(raw) {}, 7, "(foreign key)", false},
		"another pin": {func(r raw) {
			r.set(r.heads, nameKey, testKey(7).Public().(ed25519.PublicKey))
		}, 0, "(foreign key)", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{t: t, dir: t.TempDir()}
			b.openStore()
			defer b.closeStore()
			if err := b.store.Restore(bytes.NewReader(whole)); err != nil {
				t.Fatal(err)
			}
			c.tamper(rawOf(t, b.store))
			wantKind(t, b.tryOpen(testKey(c.key), Refuse), fault.Internal, c.text)

			if err := b.tryOpen(testKey(c.key), Warn); err != nil {
				t.Fatal(err)
			}
			b.append(100, 103)
			if err := b.log.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if r, err := b.log.Verify(t.Context(), 0); err != nil || (r.Bad == nil) != c.mended {
				t.Errorf("afterwards: %+v, %v", r, err)
			}
			broken := 0
			err := rawOf(t, b.store).records.Each("", func(_ string, value []byte) error {
				body, _, _ := sealed(value).split()
				if r, err := decode(body); err == nil && r.Action.Type == LogBroken {
					broken++
				}
				return nil
			})
			if broken != 1 || err != nil {
				t.Errorf("recorded %d times, %v", broken, err)
			}
		})
	}
}

// What lies before the last checkpoint costs nothing at boot; Verify finds it.
func TestOpenVerifiesFromTheLastCheckpointOn(t *testing.T) {
	b := newBench(t)
	b.append(0, 10)
	b.close()
	b.openStore()
	rawOf(t, b.store).flip(rawOf(t, b.store).records, recordKey(3), 80)
	b.open()
	r, err := b.log.Verify(t.Context(), 0)
	if err != nil || r.Bad == nil || *r.Bad != (Bad{3, BadSignature}) {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := b.log.Verify(t.Context(), 4); err != nil || r.Bad != nil || r.Records != 8 {
		t.Errorf("behind the damage: %+v, %v", r, err)
	}
	_, err = b.log.Read(t.Context(), 0, 0, Filter{})
	wantKind(t, err, fault.Internal, "does not verify")
	if err := b.log.Close(context.Background()); err != nil {
		t.Error(err)
	}
	b.log = nil
}

func FuzzDecode(f *testing.F) {
	r := example(1).clean()
	f.Add(encode(&r))
	f.Add([]byte{})
	long := slices.Clone(encode(&r))
	binary.LittleEndian.PutUint32(long[72:], 1<<31)
	f.Add(long)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := decode(body)
		if err != nil {
			return
		}
		if again := encode(&r); string(again) != string(body) {
			t.Errorf("%x was read as %+v, which is written %x", body, r, again)
		}
		if fmt.Sprint(r.clean()) != fmt.Sprint(r) {
			t.Errorf("unclean: %+v", r)
		}
	})
}
