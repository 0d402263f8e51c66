package bus

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"astrid/kernel/fault"
)

func pattern(t testing.TB, s string) Pattern {
	t.Helper()
	p, err := ParsePattern(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The table is that of the golden vectors of the 0.2 protocol, "want" column.
func TestTheMatcherAgreesWithTheGoldenTable(t *testing.T) {
	for _, row := range []struct {
		pattern string
		topic   Topic
		want    bool
	}{
		{"a.b", "a", false},
		{"a.b.c", "a.b", false},
		{"a.b.c", "a", false},
		{"a.b", "a.b.c", false},
		{"*", "a", true},
		{"*", "a.b", false},
		{"a.*", "a", false},
		{"a.b.*", "a", false},
		{"a.b.*", "a.b.c.d", true},
		{"a.*.*", "a.b", false},
		{"a.*.*", "a.b.c", true},
		{"a.*.c", "a.b.c", true},
		{"a.*.c", "a.b.d", false},
		{"astrid.v1.approval.response", "astrid.v1.approval", false},
	} {
		if got := pattern(t, row.pattern).Match(row.topic); got != row.want {
			t.Errorf("%q matches %q: %v, want %v", row.pattern, row.topic, got, row.want)
		}
	}
}

func TestAPermissionCoversNoMoreThanItMatches(t *testing.T) {
	for _, row := range []struct {
		permission, wanted string
		want               bool
	}{
		{"foo.v1.*", "foo.v1.*", true},
		{"foo.v1.*", "foo.v1.a.b", true},
		{"foo.v1.*", "foo.v1.a.*", true},
		{"foo.v1.a.*", "foo.v1.*", false},
		{"foo.*.a", "foo.*.*", false},
		{"foo.v1.a", "foo.v1.*", false},
		{"*", "*", true},
		{"*", "a.*", false},
		{"*.*", "a.*", true},
	} {
		if got := pattern(t, row.permission).Covers(pattern(t, row.wanted)); got != row.want {
			t.Errorf("%q covers %q: %v, want %v", row.permission, row.wanted, got, row.want)
		}
	}
}

func TestWhatIsNoTopicIsRefused(t *testing.T) {
	for _, s := range []string{"", ".", "a.", ".a", "a..b", "a.*", "*", strings.Repeat("a", MaxTopic+1), strings.Repeat("a.", MaxSegments) + "a"} {
		if _, err := ParseTopic(s); !fault.Is(err, fault.Usage) {
			t.Errorf("ParseTopic(%q): %v", s, err)
		}
	}
	for _, s := range []string{strings.Repeat("a", MaxTopic), strings.Repeat("a.", MaxSegments-1) + "a"} {
		if _, err := ParseTopic(s); err != nil {
			t.Error(err)
		}
	}
}

func drawSegments(t *rapid.T, label string, alphabet ...string) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(alphabet), 1, 4).Draw(t, label), ".")
}

// What a permission covers, it matches: every topic of the wanted pattern.
func TestCoversImpliesMatchOnEveryTopic(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p, err := ParsePattern(drawSegments(r, "permission", "a", "b", "*"))
		if err != nil {
			r.Fatal(err)
		}
		q, err := ParsePattern(drawSegments(r, "wanted", "a", "b", "*"))
		if err != nil {
			r.Fatal(err)
		}
		covered := true
		for _, topic := range topics(5, "a", "b", "c") {
			if q.Match(topic) && !p.Match(topic) {
				covered = false
			}
		}
		if got := p.Covers(q); got != covered {
			r.Fatalf("%s covers %s: %v, by trial %v", p, q, got, covered)
		}
	})
}

// topics is every topic of up to n segments.
func topics(n int, alphabet ...string) []Topic {
	var all []Topic
	level := []string{""}
	for range n {
		var next []string
		for _, head := range level {
			for _, segment := range alphabet {
				next = append(next, strings.TrimPrefix(head+"."+segment, "."))
			}
		}
		for _, s := range next {
			all = append(all, Topic(s))
		}
		level = next
	}
	return all
}

func FuzzParsePattern(f *testing.F) {
	for _, s := range []string{"a", "a.*", "*", "a..b", "a.*.c", "\x00.é"} {
		f.Add(s, "a.b")
	}
	f.Fuzz(func(t *testing.T, s, topic string) {
		p, err := ParsePattern(s)
		if err != nil {
			return
		}
		if !p.Covers(p) {
			t.Errorf("%q does not cover itself", s)
		}
		if parsed, err := ParseTopic(topic); err == nil {
			p.Match(parsed)
		}
	})
}
