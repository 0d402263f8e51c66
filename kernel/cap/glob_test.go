package cap

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		pattern, yes, no string // texts between spaces
	}{
		{"mcp://files:read_*", "mcp://files:read_ mcp://files:read_x", "mcp://files:read mcp://files:read_a/b mcp://file:read_x"},
		{"file:///w/*", "file:///w/a file:///w/ file:///w/...", "file:///w file:///w/a/b"},
		{"file:///w/**", "file:///w file:///w/ file:///w/a file:///w/a/b", "file:///ww file:///"},
		{"file:///w/**/x", "file:///w/x file:///w/a/x file:///w/a/b/x", "file:///wx file:///w/ax file:///w/x/y"},
		{"file:///w/**/**/x", "file:///w/x file:///w/a/x", "file:///wx"},
		{"file:///w/a**z", "file:///w/az file:///w/a/b/z", "file:///w/a"},
		{"file:///w/?", "file:///w/é file:///w/x", "file:///w/ file:///w/xy file:///w//"},
		{"file:///w/a?c", "file:///w/abc", "file:///w/a/c file:///w/ac"},
		{`file:///w/\*`, "file:///w/*", "file:///w/x"},
		{`file:///w/\[a\]*`, "file:///w/[a] file:///w/[a]b", "file:///w/a"},
		{`file:///w/[a]`, "", ""},
		{`file:///w/a\b`, `file:///w/a\b`, `file:///w/ab`},
		{"file:///w/{a,b}", "file:///w/{a,b}", "file:///w/a"},
		{"net://*.example.org:443", "net://a.example.org:443 net://a.b.example.org:443", "net://example.org:443 net://a.example.org:80"},
		{"astrid://hello/session:*", "astrid://hello/session:commit astrid://hello/session:", "astrid://other/session:commit astrid://-/kernel:read"},
		{"astrid://*/session:read", "astrid://hello/session:read astrid://-/session:read", "astrid://a/b/session:read"},
		{"exec://git **", "exec://git", ""},
		{"mcp://**", "mcp:// mcp://a:b mcp://a/b/c", "file:///a"},
	} {
		g, err := compile(c.pattern, segmented)
		if strings.Contains(c.pattern, "[a]") {
			if err == nil {
				t.Errorf("%s is accepted", c.pattern)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if c.pattern == "exec://git **" {
			if !g.match("exec://git a/b c") || g.match("exec://gitk") {
				t.Errorf("%s", c.pattern)
			}
			continue
		}
		for _, text := range strings.Fields(c.yes) {
			if !g.match(text) {
				t.Errorf("%s does not match %s", c.pattern, text)
			}
		}
		for _, text := range strings.Fields(c.no) {
			if g.match(text) {
				t.Errorf("%s matches %s", c.pattern, text)
			}
		}
	}
}

// naive is the same language, written as a reader of the documentation would.
func naive(pattern, text string, first bool) bool {
	if pattern == "" {
		return text == ""
	}
	tail := func(n int) string { return pattern[n:] }
	switch {
	case pattern == "/**":
		return text == "" || text[0] == '/'
	case strings.HasPrefix(pattern, "/**/"):
		// one / and then anything that begins behind a /, or at once
		for i := range len(text) {
			if text[0] == '/' && naive(tail(3), text[i:], false) {
				return true
			}
		}
		return naive(tail(3), text, false)
	case first && strings.HasPrefix(pattern, "**/"):
		if naive(tail(3), text, false) {
			return true
		}
		for i := range len(text) {
			if text[i] == '/' && naive(tail(3), text[i+1:], false) {
				return true
			}
		}
		return false
	case strings.HasPrefix(pattern, "**"):
		for i := range len(text) + 1 {
			if naive(tail(2), text[i:], false) {
				return true
			}
		}
		return false
	case pattern[0] == '*':
		for i := range len(text) + 1 {
			if naive(tail(1), text[i:], false) {
				return true
			}
			if i < len(text) && text[i] == '/' {
				return false
			}
		}
		return false
	case text == "":
		return false
	case pattern[0] == '?':
		return text[0] != '/' && naive(tail(1), text[1:], false)
	}
	return pattern[0] == text[0] && naive(tail(1), text[1:], false)
}

func wantNaive(t interface{ Errorf(string, ...any) }, pattern, text string) {
	g, err := compile(pattern, segmented)
	if err != nil {
		return
	}
	if got, want := g.match(text), naive(pattern, text, true); got != want {
		t.Errorf("%q matches %q: %v, want %v", pattern, text, got, want)
	}
}

func ascii(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c > 126 || c == '\\' || c == '[' })
}

func FuzzGlob(f *testing.F) {
	f.Add("a/**/b", "a/x/b")
	f.Add("**/a*?/**", "b/a/c")
	f.Add("/**/**", "//")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 12 || len(text) > 12 || !ascii(pattern) || !ascii(text) {
			return
		}
		wantNaive(t, pattern, text)
	})
}

func patterns() *rapid.Generator[string] {
	return rapid.Custom(func(r *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "/", "*", "**", "?", "/**/", "/**"}), 0, 6).Draw(r, "pattern"), "")
	})
}

func TestGlobsMatchWhatTheNaiveOneMatches(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		pattern := patterns().Draw(r, "pattern")
		for range 20 {
			wantNaive(r, pattern, rapid.StringOfN(rapid.SampledFrom([]rune("ab/c")), 0, 6, -1).Draw(r, "text"))
		}
	})
}

// texts are all texts of up to five of the characters that tell globs apart.
func texts() []string {
	all := []string{""}
	for from, length := 0, 0; length < 5; length++ {
		to := len(all)
		for _, text := range all[from:to] {
			for _, c := range "ab/x" {
				all = append(all, text+string(c))
			}
		}
		from = to
	}
	return all
}

func TestCoversAndOverlapsAreTrueOfEveryText(t *testing.T) {
	all := texts()
	rapid.Check(t, func(r *rapid.T) {
		a, _ := compile(patterns().Draw(r, "a"), segmented)
		b, _ := compile(patterns().Draw(r, "b"), segmented)
		covered, overlap := true, false
		for _, text := range all {
			inA, inB := a.match(text), b.match(text)
			covered = covered && (inA || !inB)
			overlap = overlap || inA && inB
		}
		if covers(a, b) && !covered {
			r.Fatal("a does not cover b")
		}
		if !overlaps(a, b) && overlap {
			r.Fatal("a overlaps b")
		}
		if !covers(a, a) || !covers(mustCompile("**"), a) {
			r.Fatal("a does not cover itself, or all does not cover it")
		}
	})
}

func mustCompile(pattern string) *glob {
	g, err := compile(pattern, segmented)
	if err != nil {
		panic(err)
	}
	return g
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		outer, inner string
		want         bool
	}{
		{"file:///w/**", "file:///w/a/*", true},
		{"file:///w/**", "file:///w", true},
		{"file:///w/*", "file:///w/**", false},
		{"file:///w/*", "file:///w/a*b", true},
		{"file:///w/a*b", "file:///w/*", false},
		{"mcp://files:*", "mcp://files:read_?", true},
		{"mcp://files:*", "mcp://file?:read", false},
		{"astrid://*/session:*", "astrid://hello/session:commit", true},
		{"astrid://hello/session:commit", "astrid://*/session:commit", false},
		{"file:///**/secret/**", "file:///a/secret/b", true},
		{"file:///**", "file:///**/*x?y*z/**", true},
		{strings.Repeat("*a", 30) + "*", strings.Repeat("*b", 30) + "*", false},
	} {
		if got := covers(mustCompile(c.outer), mustCompile(c.inner)); got != c.want {
			t.Errorf("%s covers %s: %v", c.outer, c.inner, got)
		}
	}
	// What would take too long is not proved, and overlaps for safety.
	hard, harder := mustCompile("**"+strings.Repeat("?", 40)+"a"+strings.Repeat("?", 40)), mustCompile("**"+strings.Repeat("?", 41)+"a"+strings.Repeat("?", 40))
	if covers(harder, hard) {
		t.Error("proved what is not true")
	}
	if !overlaps(hard, harder) {
		t.Error("they overlap")
	}
}
