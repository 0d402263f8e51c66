package text

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

func TestParseCommit(t *testing.T) {
	type want struct {
		req wire.CommitRequest
		ok  bool
	}
	good := map[string]want{
		"":                       {},
		"  \t ":                  {},
		"all":                    {ok: true},
		" all\r":                 {ok: true},
		"./all":                  {wire.CommitRequest{Paths: wire.Paths{"./all"}}, true},
		"-- all -x":              {wire.CommitRequest{Paths: wire.Paths{"all", "-x"}}, true},
		"'all of it'":            {wire.CommitRequest{Paths: wire.Paths{"all of it"}}, true},
		`a\ b "c d" 'e"f' g"h"i`: {wire.CommitRequest{Paths: wire.Paths{"a b", "c d", `e"f`, "ghi"}}, true},
		`"\$x \n"`:               {wire.CommitRequest{Paths: wire.Paths{`$x \n`}}, true},
		"src/** --if=d --exclude=*.o --exclude '*.a' --git -m 'a message' --dry-run": {wire.CommitRequest{
			Paths: wire.Paths{"src/**"}, If: "d", Exclude: wire.Paths{"*.o", "*.a"}, Git: "yes", Message: "a message", DryRun: true}, true},
		"all --no-git --message=a=b --if d": {wire.CommitRequest{Git: "no", Message: "a=b", If: "d"}, true},
		`{"all":true,"if":"d"}`:             {wire.CommitRequest{If: "d"}, true},
		`{"paths":["a\nb",{"b64":"/w=="}]}`: {wire.CommitRequest{Paths: wire.Paths{"a\nb", "\xff"}}, true},
		"\xff":                              {wire.CommitRequest{Paths: wire.Paths{"\xff"}}, true},
	}
	for line, w := range good {
		req, ok, err := ParseCommit(line)
		if err != nil || ok != w.ok {
			t.Errorf("%q: %v, %v", line, ok, err)
		}
		if diff := cmp.Diff(w.req, req, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q: %s", line, diff)
		}
	}
	for _, line := range []string{"--git", "all a", "a all", "''", "'a", `"a`, `a\`, "--frob", "--frob x", "a --if", "a --if=", "a -m", "a -m ''",
		"a --git --no-git", "{}", `{"all":false}`, `{"path":["a"]}`, `{"paths":"a"}`, `{"paths":[""]}`, `{"all":true,"paths":["a"]}`,
		`{"all":true} x`, `{"all":true,"all":true}`, "--gi=x a", strings.Repeat("a ", MaxWords+1)} {
		if _, ok, err := ParseCommit(line); ok || !fault.Is(err, fault.Usage) {
			t.Errorf("%.40q: %v, %v", line, ok, err)
		}
	}
	if _, _, err := ParseCommit(strings.Repeat("a ", MaxWords)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
}

func TestParseDiscard(t *testing.T) {
	for line, want := range map[string][]string{
		"all": nil, "a b": {"a", "b"}, "-- -a all": {"-a", "all"}, `{"all":true}`: nil, `{"paths":["a"]}`: {"a"},
	} {
		req, ok, err := ParseDiscard(line)
		if err != nil || !ok || !slices.Equal(req.Paths, want) {
			t.Errorf("%q: %v %v %v", line, req, ok, err)
		}
	}
	if _, ok, err := ParseDiscard(" "); ok || err != nil {
		t.Errorf("an empty line: %v %v", ok, err)
	}
	for _, line := range []string{"--all", "-f a", "all a", "{}", `{"dry_run":true,"all":true}`} {
		if _, ok, err := ParseDiscard(line); ok || !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v, %v", line, ok, err)
		}
	}
}

func TestParseUndo(t *testing.T) {
	for line, want := range map[string]wire.UndoRequest{
		"last": {}, "7": {Commit: 7}, " 7 --dry-run": {Commit: 7, DryRun: true}, `{"commit":7}`: {Commit: 7}, "{}": {},
	} {
		if req, ok, err := ParseUndo("undo", line); err != nil || !ok || req != want {
			t.Errorf("%q: %+v %v %v", line, req, ok, err)
		}
	}
	if _, ok, err := ParseUndo("undo", " "); ok || err != nil {
		t.Errorf("an empty line: %v %v", ok, err)
	}
	for _, line := range []string{"all", "0", "-1", "last 7", "7 7", "--dry-run", `{"paths":["a"]}`, `"`} {
		if _, ok, err := ParseUndo("undo", line); ok || !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v, %v", line, ok, err)
		}
	}
}

func drawBytes(t *rapid.T, label string) string {
	return string(rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, label))
}

func TestQuoteRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawBytes(t, "s")
		q := Quote(s)
		if strings.ContainsAny(q, "\n\r\x00") {
			t.Fatalf("%q is no line", q)
		}
		got, rest, err := cutField(q + " # note")
		if err != nil || got != s || rest != "# note" {
			t.Fatalf("%q became %q, %q, %v", s, got, rest, err)
		}
	})
}

func TestChangesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in []wire.Change
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			c := wire.Change{Op: rapid.SampledFrom([]string{"A", "M", "D", "R", "T", "m"}).Draw(t, "op")}
			name := "p" + drawBytes(t, "path")
			c.Path, c.PathB64 = wire.SplitPath(name)
			if c.Op == "R" {
				c.From, c.FromB64 = wire.SplitPath("f" + drawBytes(t, "from"))
			}
			c.Note = rapid.SampledFrom([]string{"", "held back", "two\nlines", `"quoted"`, "12 paths # more"}).Draw(t, "note")
			in = append(in, c)
		}
		got, err := ScanChanges(Changes(in))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(in, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestShellWordsAgreeWithQuoting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.StringMatching(`[ -~]{0,8}`), 0, 6).Draw(t, "words")
		var line []string
		for _, w := range in {
			line = append(line, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
		}
		got, err := Words(strings.Join(line, " \t"))
		if err != nil || !slices.Equal(got, in) && len(in) > 0 {
			t.Fatalf("%q became %q, %v", in, got, err)
		}
	})
}

func TestStatusIsPairs(t *testing.T) {
	at := time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC)
	data := Status(wire.Status{
		Session: wire.Session{Name: "x", Base: "/a dir", Workspace: "/w", State: "failed", Note: "two\nlines", Created: at, Since: at},
		Changes: wire.Counts{Added: 1, Modified: 2}, Digest: "d", Held: wire.Paths{".git/config", "a b"}, Uptime: 1.25,
	})
	got, err := ScanPairs(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Pair{{"session", "x"}, {"base", "/a dir"}, {"note", "two\nlines"}, {"changes", "3"}, {"held", ".git/config"},
		{"held", "a b"}, {"digest", "d"}, {"created", "2026-03-15T12:00:00Z"}, {"watched", "false"}} {
		if !slices.Contains(got, want) {
			t.Errorf("%v is missing in\n%s", want, data)
		}
	}
}

func TestRepliesArePairs(t *testing.T) {
	held := wire.Change{Op: "M", Path: ".git/config", Held: true}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"commit": {Commit(wire.CommitReply{Number: 3, Digest: "d", Applied: []wire.Change{{Op: "A", Path: "a b"}}, Held: []wire.Change{held},
			Conflicts: []wire.Conflict{{Path: "c", Why: "moved"}}, Outside: []string{"n"}}),
			"commit: 3\ndigest: d\napplied: A \"a b\"\nheld: M .git/config # held back\nconflict: c # moved\nnote: n\n"},
		"dry run": {Commit(wire.CommitReply{DryRun: true, Digest: "d"}), "commit: 0\ndry-run: true\ndigest: d\n"},
		"discard": {Discard(wire.DiscardReply{Dropped: []wire.Change{{Op: "R", From: "a", Path: "b"}}, Kept: "/k"}), "kept: /k\ndropped: R a b\n"},
		"undo": {Undo(wire.UndoReply{Number: 4, Commit: 3, Changed: []wire.Change{{Op: "D", Path: "a b"}}, Conflicts: []wire.Conflict{{Path: "c", Why: "moved"}}}),
			"number: 4\ncommit: 3\nchanged: D \"a b\"\nconflict: c # moved\n"},
		"error":   {Error(fault.New(fault.Conflict, "it moved")), "error: conflict\nreason: it moved\n"},
		"plain":   {Error(errors.New("x\ny")), "error: internal\nreason: \"x\\ny\"\n"},
		"version": {Version(wire.VersionReply{Version: "v", Protocol: 1, Build: "b", Go: "g"}), "version: v\nprotocol: 1\nbuild: b\ngo: g\n"},
	} {
		if string(c.data) != c.want {
			t.Errorf("%s:\n%s", name, c.data)
		}
		if _, err := ScanPairs(c.data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHistory(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	have := string(History([]wire.HistoryEntry{
		{Number: 2, Op: "undo", Commit: 1, At: at, By: "owner", Paths: 3, State: "kept", Message: "a\nb"},
		{Number: 1, Op: "commit", Commit: 1, At: at, Paths: 3, State: "reversed"},
	}))
	want := "2 undo 1 2026-01-02T03:04:05Z owner 3 kept \"a\\nb\"\n1 commit 1 2026-01-02T03:04:05Z - 3 reversed\n"
	if have != want {
		t.Errorf("%s\nnot\n%s", have, want)
	}
}

func TestScansRefuseNonsense(t *testing.T) {
	for _, bad := range []string{"A", "AB x", "A x y", `A "x`, `A "\8"`, `A "\777"`, `R a`, `A "\q"`, "A \"\\"} {
		if got, err := ScanChanges([]byte(bad)); err == nil && bad != "R a" {
			t.Errorf("%q became %+v", bad, got)
		}
	}
	if _, err := ScanPairs([]byte("no pair")); err == nil {
		t.Error("a line without a key")
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"all", `a "b c" --if=x`, `{"all":true}`, `{"paths":["a"]}`, "-m", `\`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if req, ok, err := ParseCommit(line); ok && err != nil || err != nil && fault.KindOf(err) != fault.Usage {
			t.Fatalf("%q: %+v, %v", line, req, err)
		}
		if _, ok, err := ParseDiscard(line); ok && err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if _, ok, err := ParseUndo("undo", line); ok && err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		_, _ = ScanChanges([]byte(line))
		_, _ = ScanPairs([]byte(line))
	})
}

func TestALongReasonIsCut(t *testing.T) {
	shown := Error(errors.New(strings.Repeat("é", 40_000)))
	if len(shown) > 8<<10 || !strings.Contains(string(shown), "error: internal") {
		t.Errorf("%d bytes: %.80s", len(shown), shown)
	}
}

func TestParseCheckpoint(t *testing.T) {
	for line, want := range map[string]wire.CheckpointRequest{
		"a": {Name: "a"}, " - all well ": {Note: "all well"}, "a 'b  c'": {Name: "a", Note: "b  c"}, `{"name":"a"}`: {Name: "a"}, "{}": {},
	} {
		if req, drop, ok, err := ParseCheckpoint(line); err != nil || !ok || req != want || drop != nil {
			t.Errorf("%q: %+v %v %v %v", line, req, drop, ok, err)
		}
	}
	if _, drop, ok, err := ParseCheckpoint("--drop a b"); err != nil || !ok || strings.Join(drop, " ") != "a b" {
		t.Errorf("--drop: %v %v %v", drop, ok, err)
	}
	for _, line := range []string{"--drop", `{"paths":["a"]}`, `"`} {
		if _, _, ok, err := ParseCheckpoint(line); ok || !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v, %v", line, ok, err)
		}
	}
	if _, _, ok, err := ParseCheckpoint(" "); ok || err != nil {
		t.Errorf("an empty line: %v %v", ok, err)
	}
}

func TestParseRollback(t *testing.T) {
	req, ok, err := ParseRollback("a 'b c' d")
	if err != nil || !ok || req.To != "a" || strings.Join(req.Paths, "|") != "b c|d" {
		t.Errorf("%+v %v %v", req, ok, err)
	}
	for _, line := range []string{"a ''", `{"path":["a"]}`, `"`} {
		if _, ok, err := ParseRollback(line); ok || !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v, %v", line, ok, err)
		}
	}
	if _, ok, err := ParseRollback(" "); ok || err != nil {
		t.Errorf("an empty line: %v %v", ok, err)
	}
}
