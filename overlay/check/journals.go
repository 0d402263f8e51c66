package check

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
)

// The format of a commit's journal; package commit describes it.
const (
	journalSuffix  = ".journal"
	journalMagic   = "ASTRIDJ1"
	journalVersion = 1
	journalHead    = 12
	journalFrame   = 8
	maxJournal     = 256 << 20
)

// Journals examines the directory in which commits are written down. An
// unfinished commit is a leftover: recovery is for it.
func Journals(ctx context.Context, dir string) (Report, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Report{}, &fs.PathError{Op: "check", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	c := &checker{ctx: ctx, dir: fd, data: -1, seen: map[string]bool{}}
	err = each(fd, func(name string, st *layer.Stat) {
		if ctx.Err() == nil {
			c.journal(name, st)
		}
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("check %s: %w", dir, err)
	}
	slices.Sort(c.Findings)
	slices.Sort(c.Leftovers)
	return c.Report, err
}

// history is the list of what was done, beside the journals.
const history = "history.jsonl"

// journal checks one file.
func (c *checker) journal(name string, st *layer.Stat) {
	if name == history {
		c.private(name, st)
		c.history(name)
		return
	}
	mid, ok := strings.CutSuffix(name, journalSuffix)
	kind, number, two := strings.Cut(mid, "-")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || !two || err != nil || n == 0 || kind != "commit" && kind != "undo" && kind != "left" {
		c.find("%q is not a journal's name", name)
		return
	}
	c.private("journal "+name, st)
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return
	}
	b, err := c.slurp(name)
	if err != nil {
		c.find("journal %s: %v", name, err)
		return
	}
	j := &journal{c: c, name: name, number: n}
	j.read(b)
	switch {
	case kind == "commit":
		c.leftover("commit %d was not finished", n)
	case j.torn:
		c.find("journal %s ends in the middle of a record, and its commit is finished", name)
	case kind == "undo" && !j.has('f'):
		c.find("journal %s is of a commit that the view does not know", name)
	case kind == "left" && !j.has('r'):
		c.find("journal %s is of a commit that was not taken back", name)
	}
}

// history checks that every line but a torn one is of an operation.
func (c *checker) history(name string) {
	b, err := c.slurp(name)
	if err != nil {
		c.find("%s: %v", name, err)
		return
	}
	lines := bytes.Split(b, []byte{'\n'})
	for i, line := range lines {
		var e struct{ Number uint64 }
		switch err := json.Unmarshal(line, &e); {
		case len(line) == 0:
		case err == nil && e.Number > 0:
		case i == len(lines)-1:
			c.leftover("%s ends in the middle of a line", name)
		default:
			c.find("%s: line %d is of no operation: %v", name, i+1, err)
		}
	}
}

func (c *checker) slurp(name string) ([]byte, error) {
	fd, err := layer.Open(c.dir, name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > 2*maxJournal {
		return nil, unix.EFBIG
	}
	b := make([]byte, st.Size())
	_, err = f.ReadAt(b, 0)
	return b, err
}

// journal is one file under examination.
type journal struct {
	c      *checker
	name   string
	number uint64
	kinds  []byte // of its records
	torn   bool
}

func (j *journal) has(kind byte) bool { return slices.Contains(j.kinds, kind) }

func (j *journal) find(format string, args ...any) {
	j.c.find("journal %s: "+format, append([]any{j.name}, args...)...)
}

func (j *journal) read(b []byte) {
	if len(b) < journalHead {
		j.torn = true
		return
	}
	if string(b[:8]) != journalMagic || binary.LittleEndian.Uint32(b[8:]) != journalVersion {
		j.find("it does not begin like one")
		return
	}
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	for b = b[journalHead:]; len(b) > 0; {
		n := int64(0)
		if len(b) >= journalFrame {
			n = int64(binary.LittleEndian.Uint32(b))
		}
		if n < 1 || n > maxJournal || int64(len(b)) < journalFrame+n {
			j.torn = true
			return
		}
		payload := b[journalFrame : journalFrame+n]
		if crc32.Update(crc32.Checksum(b[:4], castagnoli), castagnoli, payload) != binary.LittleEndian.Uint32(b[4:]) {
			j.torn = true
			return
		}
		j.record(payload[0], payload[1:])
		b = b[journalFrame+n:]
	}
}

// before returns what must have come before a record of a kind: nothing is 0.
func before(kind byte) (want byte, known bool) {
	switch kind {
	case 'b':
		return 0, true
	case 'p':
		return 'b', true
	case 'a', 'r':
		return 'p', true
	case 'f':
		return 'a', true
	case 'd':
		return 'f', true
	}
	return 0, false
}

func (j *journal) record(kind byte, body []byte) {
	want, known := before(kind)
	switch {
	case !known:
		j.find("a record of the unknown kind %q", kind)
	case want == 0 && len(j.kinds) > 0, want != 0 && !j.has(want):
		j.find("a record %q after %q", kind, j.kinds)
	case kind == 'b' || kind == 'p':
		if j.has(kind) {
			j.find("two records %q", kind)
		}
		var says struct{ Number uint64 }
		if err := json.Unmarshal(body, &says); err != nil || says.Number != j.number {
			j.find("record %q is of commit %d: %v", kind, says.Number, err)
		}
	case j.has('r') && kind != 'r', j.has('f') && kind == 'r':
		j.find("a commit both made and taken back: %q after %q", kind, j.kinds)
	}
	j.kinds = append(j.kinds, kind)
}
