package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"astrid/kernel/config"
	"astrid/kernel/fault"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestLaterLayersWinMemberByMember(t *testing.T) {
	system := write(t, "[security]\napproval_timeout_secs = 10\n[gateway]\nidle_shutdown_secs = 1\nshutdown_timeout_secs = 5\n")
	home := write(t, "[security]\napproval_timeout_secs = 20\n[audit]\non_broken = \"refuse\"\nmax_size_mb = 7\n[logging]\nformat = \"json\"\n")
	c, warnings, err := config.Load(config.Sources{System: system, Home: home, Lookup: env("ASTRID_IDLE_TIMEOUT_SECS", "0")})
	if err != nil || len(warnings) != 0 {
		t.Fatal(warnings, err)
	}
	if c.ApprovalTimeout != 20*time.Second || c.Idle != 0 || c.StopTimeout != 5*time.Second || !c.AuditRefuses || c.AuditMax != 7<<20 || !c.LogJSON {
		t.Errorf("%+v", c)
	}
}

func TestWithoutFilesItIsTheDefault(t *testing.T) {
	c, warnings, err := config.Load(config.Sources{System: "/nowhere/x", Lookup: env("ASTRID_IDLE_TIMEOUT_SECS", "soon")})
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "soon") || c.Idle != 300*time.Second || c.ApprovalTimeout != time.Minute {
		t.Errorf("%+v, %v, %v", c, warnings, err)
	}
}

func TestUnknownKeysAreWarnedOfWithTheirLine(t *testing.T) {
	home := write(t, "[security]\napproval_timeout_secs = 7\nextra = 1\n\n[nonsense]\nx = 1\n[model]\nanything = true\n")
	c, warnings, err := config.Load(config.Sources{Home: home, Lookup: env()})
	text := strings.Join(warnings, "\n")
	if err != nil || c.ApprovalTimeout != 7*time.Second || !strings.Contains(text, home+":3: nobody knows the key security.extra") || !strings.Contains(text, ":5: nobody knows the key nonsense") || strings.Contains(text, "model") {
		t.Errorf("%+v, %v\n%s", c, err, text)
	}
}

func TestWhatIsWrongIsRefusedWithItsLine(t *testing.T) {
	for name, row := range map[string]struct{ text, want string }{
		"a key twice":       {"[audit]\non_broken = \"warn\"\non_broken = \"warn\"\n", ":3:"},
		"a table twice":     {"[audit]\n[logging]\n[audit]\n", ":3:"},
		"a wrong type":      {"[gateway]\nidle_shutdown_secs = \"5\"\n", ":2:"},
		"broken syntax":     {"[gateway\n", ":1:"},
		"out of range":      {"[gateway]\nidle_shutdown_secs = -5\n", "gateway.idle_shutdown_secs"},
		"not a number":      {"[security]\napproval_timeout_secs = nan\n", "security.approval_timeout_secs"},
		"no room":           {"[audit]\nmax_size_mb = 0\n", "audit.max_size_mb"},
		"a format":          {"[logging]\nformat = \"xml\"\n", "logging.format"},
		"a word":            {"[audit]\non_broken = \"perhaps\"\n", "audit.on_broken"},
		"no key":            {"[security]\ntrusted_issuers = [\"AAAA\"]\n", "security.trusted_issuers"},
		"half a link":       {"[[identity.links]]\nplatform = \"x\"\n", "identity.links"},
		"an unset variable": {"[logging]\nlevel = \"${ASTRID_NOT_SET}\"\n", "ASTRID_NOT_SET"},
		"a quoting value":   {"[logging]\nlevel = \"${QUOTE}\"\n", "QUOTE"},
	} {
		path := write(t, row.text)
		_, _, err := config.Load(config.Sources{Home: path, Lookup: env("QUOTE", "x\"\ny")})
		if !fault.Is(err, fault.Usage) || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAVariableIsPutIntoAString(t *testing.T) {
	c, _, err := config.Load(config.Sources{Home: write(t, "[[identity.links]]\nplatform = \"x\"\nplatform_user_id = \"${ME}\"\nastrid_user = \"a\"\n"), Lookup: env("ME", "me@x")})
	if err != nil || len(c.Links) != 1 || c.Links[0].Account != "me@x" || c.Links[0].Method != "admin" {
		t.Errorf("%+v, %v", c.Links, err)
	}
}

func TestAFileThatOthersMayWriteIsNotUsed(t *testing.T) {
	path := write(t, "[gateway]\nidle_shutdown_secs = 1\n")
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := config.Load(config.Sources{Home: path, Lookup: env()}); !fault.Is(err, fault.Denied) {
		t.Errorf("mode 0666: %v", err)
	}
	big := write(t, "#"+strings.Repeat("x", config.MaxFile))
	if _, _, err := config.Load(config.Sources{Home: big, Lookup: env()}); !fault.Is(err, fault.Limit) {
		t.Errorf("one byte too many: %v", err)
	}
	if _, _, err := config.Load(config.Sources{Home: t.TempDir(), Lookup: env()}); !fault.Is(err, fault.Denied) {
		t.Errorf("a directory: %v", err)
	}
}

// A repository that somebody opens must not gain anything by its configuration (D30).
func TestAWorkspaceMayOnlyTighten(t *testing.T) {
	c := config.Default()
	path := write(t, "[security]\napproval_timeout_secs = 5\n[gateway]\nidle_shutdown_secs = 1\n[[identity.links]]\nplatform = \"cli\"\nplatform_user_id = \"local\"\nastrid_user = \"mallory\"\n")
	tight, warnings, err := c.Tighten(path)
	if err != nil || tight.ApprovalTimeout != 5*time.Second || tight.Idle != c.Idle || len(tight.Links) != 0 || len(warnings) != 2 {
		t.Errorf("%+v, %v, %v", tight, warnings, err)
	}
	loose, _, err := c.Tighten(write(t, "[security]\napproval_timeout_secs = 600\n[capsules]\nquota_mb = 100000\n"))
	if err != nil || loose.ApprovalTimeout != c.ApprovalTimeout || loose.CapsuleQuota != c.CapsuleQuota {
		t.Errorf("loosened: %+v, %v", loose, err)
	}
	if _, _, err := c.Tighten(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Error(err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("[security]\napproval_timeout_secs = 7\n")
	f.Add("[[identity.links]]\nplatform = \"x\"\n${A}")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _, err := config.Load(config.Sources{Home: path, Lookup: env("A", "b")})
		if err == nil && (c.ApprovalTimeout < 0 || c.StopTimeout < 0 || c.CapsuleQuota <= 0) {
			t.Errorf("%q: %+v", text, c)
		}
	})
}
