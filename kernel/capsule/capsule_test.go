package capsule

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"astrid/kernel/fault"
)

const head = "[package]\nname = \"demo\"\nversion = \"1.2.3\"\n"

func TestAManifestIsReadWhole(t *testing.T) {
	m, warnings, err := Parse("Capsule.toml", []byte(head+`astrid-version = "0.2"
[[component]]
id = "main"
entrypoint = "demo.wasm"
hash = "blake3:`+strings.Repeat("0a", 32)+`"
[component.capabilities]
fs_read = ["*"]
ipc_publish = ["demo.v1.*"]
[capabilities]
net = ["example.org"]
[env.KEY]
type = "secret"
request = "the key"
[[tool]]
name = "read_file"
description = "reads"
input_schema = { type = "object", properties = { path = { type = "string" } } }
[[interceptor]]
event = "tool.v1.execute.*"
action = "guard"
priority = 10
[[command]]
name = "greet"
[[topic]]
name = "demo.v1.done"
direction = "publish"
[colour]
red = true
`))
	if err != nil {
		t.Fatal(err)
	}
	if m.Components[0].File != "demo.wasm" || !slices.Equal(m.Capabilities.FSRead, []string{"*"}) || m.Capabilities.Net[0] != "example.org" || *m.Interceptors[0].Priority != 10 {
		t.Errorf("%+v", m)
	}
	if want := []string{"topic:demo.v1.*", "tool:read_file"}; !slices.Equal(m.Provides(), want) {
		t.Errorf("provides %q", m.Provides())
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "Capsule.toml:30: nobody knows the key colour") {
		t.Errorf("warnings %q", warnings)
	}
}

func TestWhatBreaksARuleIsRefused(t *testing.T) {
	for name, row := range map[string]struct{ text, want string }{
		"no name":                   {"[package]\nversion = \"1.0.0\"\n", "the name"},
		"a strange name":            {"[package]\nname = \"../x\"\nversion = \"1.0.0\"\n", "the name"},
		"half a version":            {"[package]\nname = \"x\"\nversion = \"1.0\"\n", "must be valid semver"},
		"another Astrid":            {head + "astrid-version = \">=0.3\"\n", "it needs Astrid"},
		"a key twice":               {head + "name = \"y\"\n", ":4:"},
		"a wrong type":              {head + "[capabilities]\nnet = \"all\"\n", ":5:"},
		"a file elsewhere":          {head + "[[component]]\nfile = \"/etc/x.wasm\"\n", "does not lie below"},
		"a file above":              {head + "[[skill]]\nname = \"s\"\nfile = \"../../x\"\n", "does not lie below"},
		"no file":                   {head + "[[component]]\nid = \"x\"\n", "names no file"},
		"a hash that is none":       {head + "[[component]]\nfile = \"x\"\nhash = \"abc\"\n", "64 hex digits"},
		"a tool without a schema":   {head + "[[tool]]\nname = \"t\"\ndescription = \"d\"\n", "input_schema"},
		"a tool twice":              {head + strings.Repeat("[[tool]]\nname = \"t\"\ndescription = \"d\"\ninput_schema = {}\n", 2), "twice"},
		"a provided wildcard":       {head + "[dependencies]\nprovides = [\"topic:a.*\"]\n", "no wildcard"},
		"an unknown kind":           {head + "[dependencies]\nrequires = [\"colour:red\"]\n", "begins with"},
		"empty segments":            {head + "[capabilities]\nipc_subscribe = [\"a..b\"]\n", "empty segments"},
		"a needy uplink":            {head + "[capabilities]\nuplink = true\n[dependencies]\nrequires = [\"tool:x\"]\n", "before all others"},
		"a climbing path":           {head + "[capabilities]\nfs_write = [\"a/../../b\"]\n", "climbs"},
		"an unknown env type":       {head + "[env.K]\ntype = \"int\"\n", "none of string"},
		"an unknown profile":        {head + "[[uplink]]\nname = \"u\"\nplatform = \"p\"\nprofile = \"x\"\n", "profile"},
		"an interceptor of nothing": {head + "[[interceptor]]\nevent = \"\"\naction = \"x\"\n", "an interceptor needs"},
		"a topic in both ways":      {head + strings.Repeat("[[topic]]\nname = \"a.b\"\ndirection = \"publish\"\n", 2), "twice"},
		"an unknown identity":       {head + "[capabilities]\nidentity = [\"root\"]\n", "none of resolve"},
	} {
		if _, _, err := Parse("C", []byte(row.text)); !fault.Is(err, fault.Usage) || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRequirementsAreReadAsCargoDoes(t *testing.T) {
	for text, want := range map[string]bool{"0.2": true, "0.2.0": true, "^0.2": true, ">=0.1, <0.3": true, "0.3": false, "=0.2.0": true, "~0.2.0": true, "1": false, "*": true} {
		_, _, err := Parse("C", []byte(head+"astrid-version = \""+text+"\"\n"))
		if (err == nil) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func manifest(name, more string) string {
	return "[package]\nname = \"" + name + "\"\nversion = \"1.0.0\"\n" + more
}

func names(list []Found) (all []string) {
	for _, f := range list {
		all = append(all, string(f.Package.Name))
	}
	return all
}

func TestDiscoveryFindsWhatIsSoundAndNamesTheRest(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	write(t, filepath.Join(first, "b", ManifestName), manifest("b", ""))
	write(t, filepath.Join(first, "a", ManifestName), manifest("a", ""))
	write(t, filepath.Join(first, "broken", ManifestName), "[package")
	write(t, filepath.Join(first, "old.bak", ManifestName), manifest("old", ""))
	write(t, filepath.Join(first, "a", "deeper", ManifestName), manifest("deeper", ""))
	write(t, filepath.Join(second, "a", ManifestName), manifest("a", "# another"))
	if err := os.Symlink("/etc/passwd", filepath.Join(first, "b", "link")); err != nil {
		t.Fatal(err)
	}
	found, problems := Discover(first, second, "/nowhere")
	if got := names(found); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("found %q", got)
	}
	if len(problems) != 2 || !strings.Contains(problems[0].Text, "broken") || !strings.Contains(problems[1].Text, "comes before it") {
		t.Errorf("problems: %+v", problems)
	}
}

func TestASourceIsOfIdAndContent(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, ManifestName), manifest("a", ""))
	source := func() string {
		t.Helper()
		f, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		return f.Source
	}
	first := source()
	write(t, filepath.Join(dir, ".env.json"), "{}")
	if source() != first {
		t.Error("what a person sets changes it")
	}
	write(t, filepath.Join(dir, "x"), "1")
	second := source()
	write(t, filepath.Join(dir, "x"), "2")
	if second == first || source() == second {
		t.Error("content does not change it")
	}
	if second[14] != '8' {
		t.Errorf("%s is no UUID of version 8", second)
	}
}

func TestOrder(t *testing.T) {
	capsules := func(texts ...string) (list []Found) {
		for i, text := range texts {
			m, _, err := Parse("C", []byte(manifest(fmt.Sprintf("c%d", i), text)))
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, Found{Manifest: m, Dir: fmt.Sprint(i)})
		}
		return list
	}
	needs := func(list string) string { return "[dependencies]\nrequires = [" + list + "]\n" }
	offers := func(list string) string { return "[dependencies]\nprovides = [" + list + "]\n" }
	for name, row := range map[string]struct {
		texts    []string
		want     []string
		problems int
	}{
		"as found":               {[]string{"", "", ""}, []string{"c0", "c1", "c2"}, 0},
		"a provider comes first": {[]string{needs(`"tool:x"`), "", offers(`"tool:x"`)}, []string{"c1", "c2", "c0"}, 0},
		"a wildcard is needed":   {[]string{needs(`"topic:a.*"`), offers(`"topic:a.b.c"`)}, []string{"c1", "c0"}, 0},
		"one segment fewer":      {[]string{needs(`"topic:a.b.c"`), offers(`"topic:a.b"`)}, []string{"c0", "c1"}, 1},
		"another kind":           {[]string{needs(`"llm:x"`), offers(`"tool:x"`)}, []string{"c0", "c1"}, 1},
		"an uplink is first":     {[]string{"", "[capabilities]\nuplink = true\n"}, []string{"c1", "c0"}, 0},
		"a circle":               {[]string{needs(`"tool:b"`) + `provides = ["tool:a"]`, needs(`"tool:a"`) + `provides = ["tool:b"]`, ""}, []string{"c0", "c1", "c2"}, 1},
	} {
		got, problems := Order(capsules(row.texts...))
		if !slices.Equal(names(got), row.want) || len(problems) != row.problems {
			t.Errorf("%s: %q, %+v", name, names(got), problems)
		}
	}
}

// Whatever requires whatever, everybody is loaded once, and without a circle
// after those it requires.
func TestSequence(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(0, 8).Draw(r, "n")
		before := make([][]int, n)
		for i := range before {
			before[i] = rapid.SliceOfN(rapid.IntRange(0, max(n-1, 0)), 0, 3).Draw(r, "before")
			before[i] = slices.DeleteFunc(before[i], func(j int) bool { return j == i })
		}
		order, cycle := sequence(before)
		all := slices.Concat(order, cycle)
		slices.Sort(all)
		if !slices.Equal(all, identity(n)) {
			r.Fatalf("%v and %v are not everybody", order, cycle)
		}
		for at, i := range order {
			for _, j := range before[i] {
				if !slices.Contains(order[:at], j) {
					r.Fatalf("%d comes before %d, which it requires: %v", i, j, order)
				}
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(head)
	f.Add(manifest("a", "[[tool]]\nname = \"t\"\ndescription = \"d\"\ninput_schema = {}\n"))
	f.Fuzz(func(t *testing.T, text string) {
		m, _, err := Parse("C", []byte(text))
		if err == nil && m.Package.Name == "" {
			t.Error("a capsule without a name")
		}
	})
}
