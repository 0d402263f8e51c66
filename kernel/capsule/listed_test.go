package capsule

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRestartPolicies(t *testing.T) {
	retries := func(n any) any { return map[string]any{"on_failure": map[string]any{"max_retries": n}} }
	for _, row := range []struct {
		policy any
		ends   int
		bad    bool
	}{
		{nil, 1, false}, {"never", 1, false}, {"always", 0, false}, {retries(int64(3)), 4, false}, {retries(int64(0)), 1, false},
		{"on_failure", 0, true}, {retries(int64(-1)), 0, true}, {retries("3"), 0, true}, {map[string]any{}, 0, true}, {true, 0, true},
	} {
		if ends, err := maxEnds(row.policy); ends != row.ends || (err != nil) != row.bad {
			t.Errorf("%v: %d, %v", row.policy, ends, err)
		}
	}
}

func TestAServerIsAnotherOneWhenAnythingOfItChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), ServersName)
	seen := map[string]string{}
	for _, text := range []string{
		"command='a'", "command='b'", "command='a'\nargs=['x']", "command='a'\nenv={A='b'}", "command='a'\nallow_network=false",
		"command='a'\nrestart_policy='always'", "command='a'\nauto_start=true", "command='a'\ncwd='x'",
	} {
		if err := os.WriteFile(file, []byte("[servers.one]\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		found, problems := LoadListed(file)
		if len(found) != 1 || len(problems) != 0 {
			t.Fatalf("%s: %v, %v", text, found, problems)
		}
		if was := seen[found[0].Source]; was != "" {
			t.Errorf("%q and %q are the same server", text, was)
		}
		seen[found[0].Source] = text
	}
	if found, problems := LoadListed(file + ".none"); found != nil || problems != nil {
		t.Errorf("no file: %v, %v", found, problems)
	}
}
