package session

import (
	"crypto/rand"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/wire"
)

// smallFile bounds what is read of the files of a session's TempDir.
const smallFile = 64 << 10

func loadRecord(h home.Home, name string) (wire.SessionRecord, error) {
	var record wire.SessionRecord
	data, err := home.ReadPrivate(h.SessionFile(name), smallFile)
	if err != nil {
		return record, err
	}
	if err := wire.Decode(data, &record); err != nil {
		return record, err
	}
	if record.Name != name || !filepath.IsAbs(record.Dir) {
		return record, fault.New(fault.Internal, "%s describes another session", h.SessionFile(name))
	}
	return record, nil
}

func saveRecord(h home.Home, record wire.SessionRecord) error {
	data, err := wire.Encode(record)
	if err != nil {
		return err
	}
	return home.WriteFileAtomic(h.SessionFile(record.Name), data)
}

// makeNonce gives a session its secret.
func makeNonce(h home.Home, name string) error {
	var secret [32]byte
	rand.Read(secret[:])
	return home.WriteFileAtomic(h.ViewNonce(name), []byte(hex.EncodeToString(secret[:])))
}

func loadNonce(h home.Home, name string) (string, error) {
	data, err := home.ReadPrivate(h.ViewNonce(name), smallFile)
	return strings.TrimSpace(string(data)), err
}

func exitFile(h home.Home, name string) string {
	return filepath.Join(h.TempDir(name), wire.ViewExitFile)
}

// readExit is why the last view server of a session ended, or nil when it did
// not say.
func readExit(h home.Home, name string) *wire.ViewExit {
	data, err := home.ReadPrivate(exitFile(h, name), smallFile)
	if err != nil {
		return nil
	}
	var exit wire.ViewExit
	if wire.Decode(data, &exit) != nil {
		return nil
	}
	return &exit
}

// bootID names the present boot of the machine; device numbers are comparable
// within one only.
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// removeSession removes what the disk holds of a session. A view must not be
// mounted any more.
func removeSession(h home.Home, name string) error {
	if err := removeTree(h.TempDir(name)); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "remove the state of session %s", name)
	}
	removeShell(h, name)
	return home.SyncDir(h.Tmp())
}

// removeShell removes the empty directories and links of a session. What is not
// empty stays: somebody put something there.
func removeShell(h home.Home, name string) {
	for _, path := range []string{h.CtlLink(name), h.BaseLink(name), h.Checkpoints(name), h.Forks(name), h.Workspace(name), h.Session(name)} {
		_ = os.Remove(path)
	}
}

// removeTree removes a directory whatever its modes: caches of modules are
// read-only.
func removeTree(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
