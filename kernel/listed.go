package kernel

import (
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"lukechampine.com/blake3"

	"astrid/kernel/capsule"
	"astrid/kernel/capsule/proc"
	"astrid/kernel/fault"
)

// listed are the MCP servers of servers.toml, which are capsules that have nothing
// but a server. The owner's file is what grants them what they may do.
type listed struct {
	k *Kernel

	mu     sync.Mutex
	manual map[capsule.ID]bool // those that are loaded when switched on; guarded by mu
}

// load reads the file.
func (l *listed) load() ([]capsule.Found, []capsule.Problem) {
	found, problems := capsule.LoadListed(l.k.Home.Servers())
	manual := map[capsule.ID]bool{}
	for _, f := range found {
		manual[f.Package.Name] = !f.Listed.Auto
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.manual = manual
	return found, problems
}

// asleep tells whether a server waits for being switched on.
func (l *listed) asleep(id capsule.ID) bool {
	if !l.isManual(id) {
		return false
	}
	on, err := l.k.switches.Exists(switchedOn(id))
	return err != nil || !on
}

// wake switches a server on that does not start by itself, or off again.
func (l *listed) wake(id capsule.ID, on bool) (err error) {
	switch {
	case !l.isManual(id):
	case on:
		err = l.k.switches.Set(switchedOn(id), []byte("on"))
	default:
		_, err = l.k.switches.Delete(switchedOn(id))
	}
	return err
}

func (l *listed) isManual(id capsule.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.manual[id]
}

// switchedOn is a key that no id of a capsule is.
func switchedOn(id capsule.ID) string { return "on/" + string(id) }

// enter is what servers.toml says of a program's sandbox.
func enter(box *proc.Sandbox, l capsule.Listed, session string, argv []string) error {
	box.Read = l.Read
	switch {
	case filepath.IsAbs(l.Cwd):
		box.Cwd = l.Cwd
	case l.Cwd != "" && session != "": // the empty workspace of no session has no directories
		box.Cwd = filepath.Join(box.Dir, l.Cwd)
	}
	if l.Hash == "" {
		return nil
	}
	path, err := program(argv[0], box.Env)
	if err != nil {
		return err
	}
	got, err := hashOf(path)
	if err == nil && got != l.Hash {
		err = fault.New(fault.Denied, "Binary hash mismatch for %s: expected %s, got %s", path, l.Hash, got)
	}
	return err
}

// program finds a program as the sandbox does.
func program(name string, env []string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, v := range env {
		path, is := strings.CutPrefix(v, "PATH=")
		if !is || strings.Contains(name, "/") {
			continue
		}
		for _, dir := range filepath.SplitList(path) {
			if st, err := os.Stat(filepath.Join(dir, name)); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
				return filepath.Join(dir, name), nil
			}
		}
	}
	return "", fault.New(fault.NotFound, "there is no program %.128q whose hash could be compared", name)
}

// hashOf is the BLAKE3 hash of a regular file, in hex.
func hashOf(path string) (string, error) {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		return "", fault.New(fault.Usage, "%s is no regular file", path)
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		return "", fault.Wrap(fault.KindOf(err), err, "read the program %s", path)
	}
	defer f.Close()
	h := blake3.New(32, nil)
	if _, err := io.Copy(h, f); err != nil {
		return "", fault.Wrap(fault.KindOf(err), err, "read the program %s", path)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
