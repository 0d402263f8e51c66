package cap

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"astrid/kernel/fault"
)

func TestAKeyIsMadeOnceAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runtime.key")
	made, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadKey(path)
	if err != nil || again.Public() != made.Public() {
		t.Errorf("another key, %v", err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 || st.Size() != 32 {
		t.Errorf("%v, %v", st, err)
	}
	if left, _ := filepath.Glob(filepath.Dir(path) + "/*"); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	other, err := LoadKey(filepath.Join(t.TempDir(), "runtime.key"))
	if err != nil || other.Public() == made.Public() {
		t.Errorf("the same key twice, %v", err)
	}
}

func TestAKeyFileThatIsWrongIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		make func(path string) error
		text string
	}{
		"too short":        {func(p string) error { return os.WriteFile(p, make([]byte, 31), 0o600) }, "has 31 bytes"},
		"too long":         {func(p string) error { return os.WriteFile(p, make([]byte, 33), 0o600) }, "has 33 bytes"},
		"empty":            {func(p string) error { return os.WriteFile(p, nil, 0o600) }, "has 0 bytes"},
		"open to a group":  {func(p string) error { return os.WriteFile(p, make([]byte, 32), 0o640) }, "no secret any more"},
		"open to all":      {func(p string) error { return os.WriteFile(p, make([]byte, 32), 0o604) }, "no secret any more"},
		"a directory":      {func(p string) error { return os.Mkdir(p, 0o700) }, "not a regular file"},
		"a link to a file": {func(p string) error { return os.Symlink("/etc/hostname", p) }, "read the runtime key"},
		"somebody else's": {func(p string) error {
			if err := os.WriteFile(p, make([]byte, 32), 0o600); err != nil {
				return err
			}
			return os.Chown(p, 12345, 12345)
		}, "belongs to user 12345"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "runtime.key")
			if err := c.make(path); err != nil {
				t.Skip(err)
			}
			if _, err := LoadKey(path); err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
		})
	}
	_, err := LoadKey(filepath.Join(t.TempDir(), "none", "runtime.key"))
	wantKind(t, err, fault.NotFound, "")
}

func TestAKeyPrintsNothingOfItself(t *testing.T) {
	k := testKey(0)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", k, "pointer", &k)
	text, err := json.Marshal(map[string]any{"key": k, "pointer": &k})
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %+v %#v %s %x %X %d %q %v", k, k, k, k, k, k, k, k, &k) + fmt.Sprint(struct{ Key Key }{k}) + log.String() + string(text) + k.String()
	for _, secret := range []string{hex.EncodeToString(k.private[:8]), strings.ToUpper(hex.EncodeToString(k.private[8:16])), "1 2 3", "AQID"} {
		if strings.Contains(shown, secret) {
			t.Errorf("%s shows %s", shown, secret)
		}
	}
}
