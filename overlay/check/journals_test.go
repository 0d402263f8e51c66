package check_test

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"astrid/overlay/check"
)

// entry is one record of a journal made by hand.
func entry(kind byte, body string) []byte {
	payload := append([]byte{kind}, body...)
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(payload)))
	table := crc32.MakeTable(crc32.Castagnoli)
	b = binary.LittleEndian.AppendUint32(b, crc32.Update(crc32.Checksum(b[:4], table), table, payload))
	return append(b, payload...)
}

func journalOf(records ...[]byte) []byte {
	b := append([]byte("ASTRIDJ1"), 1, 0, 0, 0)
	return append(b, slices.Concat(records...)...)
}

func TestJournals(t *testing.T) {
	begin, plan := entry('b', `{"Number":3}`), entry('p', `{"Number":3,"Steps":[]}`)
	applied, folded, back := entry('a', ""), entry('f', ""), entry('r', "")
	whole := journalOf(begin, plan, applied, folded)
	for name, c := range map[string]struct {
		file  string
		bytes []byte
		finds string // "" none; "-" a leftover
	}{
		"complete":               {"undo-3.journal", whole, ""},
		"left":                   {"left-3.journal", journalOf(begin, plan, back), ""},
		"under way":              {"commit-3.journal", journalOf(begin, plan), "-"},
		"hardly begun":           {"commit-3.journal", []byte("AST"), "-"},
		"torn":                   {"commit-3.journal", whole[:len(whole)-3], "-"},
		"torn and complete":      {"undo-3.journal", whole[:len(whole)-3], "middle of a record"},
		"damaged":                {"undo-3.journal", append(slices.Clone(whole[:len(whole)-1]), 'x'), "middle of a record"},
		"another number":         {"undo-4.journal", whole, "is of commit 3"},
		"not known to the view":  {"undo-3.journal", journalOf(begin, plan, applied), "does not know"},
		"not taken back":         {"left-3.journal", whole, "was not taken back"},
		"a plan of nothing":      {"commit-3.journal", journalOf(plan), "after"},
		"two plans":              {"commit-3.journal", journalOf(begin, plan, plan), "two records"},
		"made and taken back":    {"commit-3.journal", journalOf(begin, plan, back, applied), "both made and taken back"},
		"an unknown kind":        {"commit-3.journal", journalOf(begin, entry('z', "")), "unknown kind"},
		"no json":                {"commit-3.journal", journalOf(entry('b', "{")), "is of commit 0"},
		"another file":           {"commit-3.journal", []byte("something else"), "does not begin"},
		"a name that is no name": {"commit-x.journal", whole, "not a journal's name"},
	} {
		dir := t.TempDir()
		try(t, os.WriteFile(filepath.Join(dir, c.file), c.bytes, 0o600))
		r, err := check.Journals(context.Background(), dir)
		try(t, err)
		all := strings.Join(r.Findings, "; ")
		switch {
		case c.finds == "" || c.finds == "-":
			if !r.OK() || (len(r.Leftovers) == 1) != (c.finds == "-") {
				t.Errorf("%s: %+v", name, r)
			}
		case !strings.Contains(all, c.finds):
			t.Errorf("%s: findings %q", name, all)
		}
	}
	dir := t.TempDir()
	try(t, os.WriteFile(filepath.Join(dir, "undo-3.journal"), whole, 0o644))
	rec := &recorder{TB: t}
	check.TestJournals(rec, dir)
	if rec.failed != 1 {
		t.Errorf("%d failures of a journal that others may read", rec.failed)
	}
}
