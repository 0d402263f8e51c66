package audit

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"astrid/kernel/fault"
)

const smallLog = 20_000

// archiving is a log that may hold little.
func archiving(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), archives: t.TempDir(), max: smallLog}
	b.open()
	t.Cleanup(b.close)
	return b
}

// settle waits until nothing is archived any more.
func (b *bench) settle() {
	b.t.Helper()
	b.log.archiver.Wait()
}

// grown is a log of n records of which some are archived.
func grown(t *testing.T, n int) *bench {
	b := archiving(t)
	for done := 0; done < n; done += 20 {
		b.append(done, done+20)
		b.settle()
	}
	return b
}

func (b *bench) files() []string {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.archives, "*"))
	if err != nil {
		b.t.Fatal(err)
	}
	return files
}

func TestWhatIsOverTheLimitIsArchived(t *testing.T) {
	b := grown(t, 400)
	if len(b.files()) < 3 || b.log.size.Load() > smallLog {
		t.Errorf("%d bytes, %q", b.log.size.Load(), b.files())
	}
	if used, err := b.log.records.Usage(); err != nil || used != b.log.size.Load() {
		t.Errorf("%d bytes are used, %d counted, %v", used, b.log.size.Load(), err)
	}
	for _, f := range b.files() {
		if st, err := os.Stat(f); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", st, err)
		}
	}
	r := wantWhole(t, b.log)
	if r.Archived == 0 || r.Archived == r.Records {
		t.Errorf("%+v", r)
	}
	first := b.log.begins().Seq + 1
	if got := b.read(0, 0, Filter{}); got[0].Seq != first || got[len(got)-1].Seq != r.To {
		t.Errorf("%d to %d are read", got[0].Seq, got[len(got)-1].Seq)
	}
	cut := b.read(0, 0, Filter{Types: []Type{Archived}})
	if len(cut) == 0 || cut[len(cut)-1].Action.Fields["last"] != strconv.FormatUint(first-1, 10) {
		t.Errorf("%+v", cut)
	}
	b.close()
	b.open()
	wantWhole(t, b.log)
	b.append(1000, 1100)
	b.settle()
	wantWhole(t, b.log)
}

func unzipped(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func zip(t *testing.T, path string, text []byte) {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(text)
	_ = z.Close()
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestATamperedArchiveIsNamed(t *testing.T) {
	b := grown(t, 400)
	middle := b.files()[1]
	whole, err := os.ReadFile(middle)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(unzipped(t, middle), []byte("\n"))
	for name, c := range map[string]struct {
		tamper func()
		want   Reason
	}{
		"gone":            {func() { _ = os.Remove(middle) }, MissingArchive},
		"empty":           {func() { _ = os.WriteFile(middle, nil, 0o600) }, ChangedArchive},
		"cut":             {func() { _ = os.WriteFile(middle, whole[:len(whole)/2], 0o600) }, ChangedArchive},
		"without its end": {func() { zip(t, middle, bytes.Join(lines[:len(lines)-2], nil)) }, ChangedArchive},
		"with a line more": {func() {
			zip(t, middle, append(bytes.Join(lines, nil), lines[0]...))
		}, ChangedArchive},
		"with a line for another": {func() {
			zip(t, middle, bytes.Join([][]byte{lines[1], bytes.Join(lines[1:], nil)}, nil))
		}, BrokenLink},
		"told otherwise than signed": {func() {
			zip(t, middle, bytes.Replace(bytes.Join(lines, nil), []byte(`"principal":"owner"`), []byte(`"principal":"alice"`), 1))
		}, ChangedArchive},
		"another's":  {func() { other, _ := os.ReadFile(b.files()[0]); _ = os.WriteFile(middle, other, 0o600) }, BrokenLink},
		"not a file": {func() { _ = os.Remove(middle); _ = os.Symlink("/dev/zero", middle) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() { _ = os.Remove(middle); _ = os.WriteFile(middle, whole, 0o600) }()
			c.tamper()
			r, err := b.log.Verify(t.Context(), 0)
			if c.want == "" {
				if err == nil {
					t.Errorf("%+v", r)
				}
				return
			}
			if err != nil || r.Bad == nil || r.Bad.Reason != c.want || r.Archive != filepath.Base(middle) {
				t.Errorf("%+v, %v, %v", r, r.Bad, err)
			}
			wantKind(t, r.Err(), fault.Internal, filepath.Base(middle))
			if r, err := b.log.Verify(t.Context(), b.log.begins().Seq+1); err != nil || r.Bad != nil || r.Archived != 0 {
				t.Errorf("the live part: %+v, %v", r, err)
			}
		})
	}
}

func TestACutThatIsUndoneIsFound(t *testing.T) {
	b := grown(t, 200)
	heads := rawOf(t, b.store)
	for name, c := range map[string]struct {
		tamper func()
		want   Reason
	}{
		"the base gone":    {func() { heads.drop(heads.heads, nameBase) }, Gap},
		"the base changed": {func() { heads.flip(heads.heads, nameBase, 0) }, BadBase},
		"an older base": {func() {
			heads.set(heads.heads, nameBase, base{Seq: b.log.begins().Seq - 1, Hash: b.log.begins().Hash}.sign(testKey(0)))
		}, Gap},
	} {
		c.tamper()
		r, err := b.log.Verify(t.Context(), 0)
		if err != nil || r.Bad == nil || r.Bad.Reason != c.want {
			t.Errorf("%s: %+v, %v, %v", name, r, r.Bad, err)
		}
		heads.mend()
		heads = rawOf(t, b.store)
	}
}

// A file that was written, and the crash came before the log was cut.
func TestAnArchiveThatWasLeftIsTaken(t *testing.T) {
	b := archiving(t)
	b.log.max = 0
	b.append(0, 120)
	left, err := b.log.writeSegment(base{}, 5_000)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(b.files()[0])
	if err != nil {
		t.Fatal(err)
	}
	b.close()
	b.open()
	b.settle()
	after, err := os.ReadFile(filepath.Join(b.archives, left.name()))
	if err != nil || !bytes.Equal(before, after) || b.log.begins().Seq < left.last {
		t.Errorf("%v, %+v", err, b.log.begins())
	}
	wantWhole(t, b.log)
}

func TestAnArchiveOfAnotherLogIsNotWrittenOver(t *testing.T) {
	other := grown(t, 200)
	b := archiving(t)
	foreign := other.files()[0]
	text, err := os.ReadFile(foreign)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(b.archives, filepath.Base(foreign))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	b.append(0, 200)
	b.settle()
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, text) || len(b.files()) != 1 || b.log.begins().Seq != 0 {
		t.Errorf("%v, %q", err, b.files())
	}
	wantWhole(t, b.log)
}

// Nothing is lost when there is no place for archives: the log grows.
func TestWithoutAPlaceForArchivesTheLogGrows(t *testing.T) {
	b := archiving(t)
	b.log.archives = filepath.Join(b.archives, "none")
	b.append(0, 200)
	b.settle()
	if b.log.size.Load() < smallLog || b.log.begins().Seq != 0 {
		t.Errorf("%d bytes", b.log.size.Load())
	}
	wantWhole(t, b.log)
}

// Killed while it archives, at many moments, a log loses no record and none is
// twice.
func TestArchivingSurvivesSIGKILL(t *testing.T) {
	b := &bench{t: t, dir: t.TempDir(), archives: t.TempDir(), max: smallLog}
	acked := map[string]int{}
	for round := range 7 {
		for _, w := range killed(t, b.dir, 30+round*20, childArchives+"="+b.archives, childMax+"="+strconv.Itoa(smallLog)) {
			acked["op"+w]++
		}
		b.open()
		b.settle()
		wantWhole(t, b.log)
		b.close()
	}
	b.open()
	defer b.close()
	written := map[string]int{}
	for _, f := range b.files() {
		if !strings.HasSuffix(f, segmentSuffix) {
			continue
		}
		for line := range strings.Lines(string(unzipped(t, f))) {
			for w := range acked {
				if strings.Contains(line, `"method":"`+w+`"`) {
					written[w]++
				}
			}
		}
	}
	if err := b.log.each(t.Context(), 0, Filter{}, func(e Entry) error {
		written[e.Action.Fields["method"]]++
		return nil
	}); err != nil {
		t.Error(err)
	}
	for w, n := range acked {
		if written[w] < n {
			t.Errorf("%s: %d acknowledged, %d written", w, n, written[w])
		}
	}
	if len(b.files()) < 5 {
		t.Errorf("%q", b.files())
	}
}
