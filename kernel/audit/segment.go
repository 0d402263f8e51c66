package audit

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
	"astrid/kernel/home"
)

// segment is one archive: the records first to last, as Export writes them.
type segment struct {
	first, last uint64
	hash        Hash // of the last record; known once it was written or verified
	done        chan error
}

const (
	segmentSuffix = ".jsonl.gz"
	segmentTemp   = "segment.tmp"

	// maxLine bounds a line of an archive: no record comes near it.
	maxLine = 4 << 20
)

func (s *segment) name() string {
	return recordKey(s.first) + "-" + recordKey(s.last) + segmentSuffix
}

// segments lists the archives in dir, oldest first. What is named otherwise is
// somebody else's.
func segments(dir string) ([]*segment, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "look for archives of the audit log")
	}
	var all []*segment
	for _, e := range entries {
		s := &segment{}
		if n, _ := fmt.Sscanf(e.Name(), "%016x-%016x", &s.first, &s.last); n == 2 && s.name() == e.Name() && s.first <= s.last {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *segment) int { return strings.Compare(a.name(), b.name()) })
	return all, nil
}

// segmentWriter writes an archive beside its place and puts it there whole.
type segmentWriter struct {
	dir  string
	file *os.File
	out  *bufio.Writer
	zip  *gzip.Writer
}

func newSegmentWriter(dir string) (*segmentWriter, error) {
	f, err := os.OpenFile(filepath.Join(dir, segmentTemp), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "write an archive of the audit log")
	}
	w := &segmentWriter{dir: dir, file: f, out: bufio.NewWriterSize(f, 64<<10)}
	w.zip = gzip.NewWriter(w.out)
	return w, nil
}

func (w *segmentWriter) add(e Entry) error {
	text, err := json.Marshal(e)
	if err == nil {
		_, err = w.zip.Write(append(text, '\n'))
	}
	return err
}

// finish gives the archive its name once it is on the disk. After it returned
// nil archive and name survive a power cut.
func (w *segmentWriter) finish(s *segment) error {
	err := errors.Join(w.zip.Close(), w.out.Flush())
	if err == nil {
		err = w.file.Sync()
	}
	if err = errors.Join(err, w.file.Close()); err == nil {
		err = os.Rename(w.file.Name(), filepath.Join(w.dir, s.name()))
	}
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "write an archive of the audit log")
	}
	return home.SyncDir(w.dir)
}

func (w *segmentWriter) abandon() {
	_ = w.file.Close()
	_ = os.Remove(w.file.Name())
}

// verifySegment verifies every line of an archive: that it is signed, follows
// the one before it, and tells what was signed. The error is about reading.
func (l *Log) verifySegment(ctx context.Context, s *segment) (*chunk, error) {
	c := &chunk{first: s.first, last: s.last}
	f, err := os.OpenFile(filepath.Join(l.archives, s.name()), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return c, fault.Wrap(fault.KindOf(err), err, "read an archive of the audit log")
	}
	defer f.Close()
	next := s.first
	zip, err := gzip.NewReader(bufio.NewReaderSize(f, 64<<10))
	if err != nil {
		c.bad = &Bad{next, ChangedArchive}
		return c, nil
	}
	lines := bufio.NewScanner(zip)
	lines.Buffer(nil, maxLine)
	for ; c.bad == nil && lines.Scan(); next++ {
		if err := ctx.Err(); err != nil {
			return c, fault.Wrap(fault.KindOf(err), err, "verify the audit log")
		}
		if next > s.last {
			c.bad = &Bad{next, ChangedArchive}
			break
		}
		c.bad = c.takeLine(l, next, lines.Bytes())
	}
	if c.bad == nil && (lines.Err() != nil || next != s.last+1) {
		c.bad = &Bad{next, ChangedArchive}
	}
	return c, nil
}

// takeLine verifies a line of an archive as take does a record.
func (c *chunk) takeLine(l *Log, seq uint64, text []byte) *Bad {
	var proof struct {
		Body      string `json:"body"`
		Signature string `json:"signature"`
	}
	if json.Unmarshal(text, &proof) != nil {
		return &Bad{seq, ChangedArchive}
	}
	body, err1 := base64.StdEncoding.DecodeString(proof.Body)
	signature, err2 := base64.StdEncoding.DecodeString(proof.Signature)
	if err1 != nil || err2 != nil {
		return &Bad{seq, ChangedArchive}
	}
	if bad := c.take(l, seq, append(slices.Clip(body), signature...)); bad != nil {
		return bad
	}
	r, err := decode(body)
	if err != nil {
		return &Bad{seq, Malformed}
	}
	again, err := json.Marshal(Entry{Record: r, Hash: c.hash, body: body, signature: signature})
	if err != nil || string(again) != string(text) {
		return &Bad{seq, ChangedArchive}
	}
	return nil
}

// verifyArchives verifies the archives from the one on that has record from, and
// that they lead to where the log in the store begins.
func (l *Log) verifyArchives(ctx context.Context, r *Report, from uint64, b base) error {
	all, err := segments(l.archives)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(s *segment) bool { return s.last < from || s.first > b.Seq })
	next, last := from, (*Hash)(nil)
	if len(all) > 0 && all[0].first < from {
		next = all[0].first
	}
	if next == 1 {
		last = new(Hash)
	}
	for next <= b.Seq {
		i := slices.IndexFunc(all, func(s *segment) bool { return s.first == next })
		if i < 0 {
			r.missing(all, next, b)
			return nil
		}
		c, err := l.verifySegment(ctx, all[i])
		if err != nil {
			return err
		}
		if c.bad == nil && last != nil && c.previous != *last {
			c.bad = &Bad{next, BrokenLink}
		}
		r.Records += c.records
		r.Archived += c.records
		r.Checkpoints += c.checkpoints
		if c.bad == nil && all[i].last == b.Seq && c.hash != b.Hash {
			c.bad = &Bad{b.Seq, BrokenLink}
		}
		if c.bad != nil {
			r.Bad, r.Archive = c.bad, all[i].name()
			return nil
		}
		next, last = all[i].last+1, &c.hash
	}
	return nil
}

// missing says which archive is not there, by what the next one begins with.
func (r *Report) missing(all []*segment, next uint64, b base) {
	gone := segment{first: next, last: b.Seq}
	for _, s := range all {
		if s.first > next {
			gone.last = s.first - 1
			break
		}
	}
	r.Bad, r.Archive = &Bad{next, MissingArchive}, gone.name()
}
