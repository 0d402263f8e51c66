package home

import (
	"path/filepath"
	"slices"
	"strings"

	"astrid/kernel/fault"
)

// Home is an absolute, clean path and the names below it. The zero Home is
// unusable; make one with Resolve or At.
type Home struct{ root string }

// Resolve finds the home from the environment: $ASTRID_HOME, else
// $HOME/.astrid. Either must be absolute and free of "..". An empty variable
// counts as unset. lookup is os.Getenv in the one place that may read the
// environment, package cmd.
func Resolve(lookup func(string) string) (Home, error) {
	if dir := lookup("ASTRID_HOME"); dir != "" {
		return checked("$ASTRID_HOME", dir, "")
	}
	if dir := lookup("HOME"); dir != "" {
		return checked("$HOME", dir, ".astrid")
	}
	return Home{}, fault.New(fault.Usage, "failed to resolve Astrid home: set $ASTRID_HOME or $HOME")
}

// At is the home at an absolute path.
func At(dir string) (Home, error) { return checked("the home", dir, "") }

func checked(what, dir, below string) (Home, error) {
	switch {
	case !filepath.IsAbs(dir):
		return Home{}, fault.New(fault.Usage, "%s is %q, which is not an absolute path", what, dir)
	case slices.Contains(strings.Split(dir, "/"), ".."):
		return Home{}, fault.New(fault.Usage, "%s is %q, which contains \"..\"", what, dir)
	case strings.ContainsRune(dir, 0):
		return Home{}, fault.New(fault.Usage, "%s contains a zero byte", what)
	}
	return Home{filepath.Join(dir, below)}, nil
}

// String is the path of the home.
func (h Home) String() string { return h.root }

func (h Home) join(elem ...string) string {
	return filepath.Join(append([]string{h.root}, elem...)...)
}

// Sessions holds the socket, the control tree and one directory a session.
func (h Home) Sessions() string { return h.join("sessions") }

// Socket is the kernel's Unix socket. Its path can be longer than the system
// takes: see CheckSocket.
func (h Home) Socket() string { return h.join("sessions", "system.sock") }

// Token holds the 64 hex digits that a client must show.
func (h Home) Token() string { return h.join("sessions", "system.token") }

// Ready exists while a kernel accepts clients.
func (h Home) Ready() string { return h.join("sessions", "system.ready") }

// Lock is flocked by the one kernel of this home and holds its pid.
func (h Home) Lock() string { return h.join("sessions", "system.lock") }

// Ctl is the mount point of the control tree.
func (h Home) Ctl() string { return h.join("sessions", "ctl") }

// Keys holds the kernel's keys.
func (h Home) Keys() string { return h.join("keys") }

// RuntimeKey is the key that the kernel signs with.
func (h Home) RuntimeKey() string { return h.join("keys", "runtime.key") }

// State is the directory of the state store.
func (h Home) State() string { return h.join("state.db") }

// Audit is the directory of the audit log's store.
func (h Home) Audit() string { return h.join("audit.db") }

// AuditArchives holds what was moved out of the audit log.
func (h Home) AuditArchives() string { return h.join("audit") }

// Config is the file that the kernel is configured by.
func (h Home) Config() string { return h.join("config.toml") }

// Logs holds the log files.
func (h Home) Logs() string { return h.join("logs") }

// KernelLog is the log of the kernel and of what it printed.
func (h Home) KernelLog() string { return h.join("logs", "kernel.log") }

// ViewLog is the log of a session's view server.
func (h Home) ViewLog(name string) string { return h.join("logs", "view-"+name+".log") }

// Capsules holds one directory a capsule.
func (h Home) Capsules() string { return h.join("capsules") }

// Servers lists MCP servers that are no capsules.
func (h Home) Servers() string { return h.join("servers.toml") }

// CompileCache holds machine code of capsules.
func (h Home) CompileCache() string { return h.join("cache") }

// Shared is what capsules share.
func (h Home) Shared() string { return h.join("shared") }

// Tmp holds one TempDir a session.
func (h Home) Tmp() string { return h.join("tmp") }

// Session is what a user sees of a session.
func (h Home) Session(name string) string { return h.join("sessions", name) }

// Workspace is the mount point of a session's view.
func (h Home) Workspace(name string) string { return h.join("sessions", name, "workspace") }

// Forks holds the mount points of a session's forks.
func (h Home) Forks(name string) string { return h.join("sessions", name, "forks") }

// Checkpoints is the mount point of a session's checkpoints.
func (h Home) Checkpoints(name string) string { return h.join("sessions", name, "at") }

// BaseLink points to a session's real workspace.
func (h Home) BaseLink(name string) string { return h.join("sessions", name, "base") }

// CtlLink points to a session's control files.
func (h Home) CtlLink(name string) string { return h.join("sessions", name, "ctl") }

// SessionCtl is where a session's control files are.
func (h Home) SessionCtl(name string) string { return h.join("sessions", "ctl", "sessions", name) }

// TempDir is a session's state: all that it has not committed.
func (h Home) TempDir(name string) string { return h.join("tmp", name) }

// SessionFile tells a view server, and the next kernel, what a session is.
func (h Home) SessionFile(name string) string { return h.join("tmp", name, "session.json") }

// ViewSocket is the private socket of a session's view server. Its path may be
// too long for a socket address: bind and dial it by way of /proc/self/fd.
func (h Home) ViewSocket(name string) string { return h.join("tmp", name, "view.sock") }

// ViewLock is flocked by a session's view server and holds its pid.
func (h Home) ViewLock(name string) string { return h.join("tmp", name, "view.lock") }

// ViewNonce is the secret that a view server demands of the kernel.
func (h Home) ViewNonce(name string) string { return h.join("tmp", name, "view.nonce") }

// Layers holds the layers of a session's views.
func (h Home) Layers(name string) string { return h.join("tmp", name, "layers") }

// Meta holds the metadata log of a session.
func (h Home) Meta(name string) string { return h.join("tmp", name, "meta") }

// Journal holds the journals and records of a session's commits.
func (h Home) Journal(name string) string { return h.join("tmp", name, "journal") }

// Cache holds the caches of commands that run in a session.
func (h Home) Cache(name string) string { return h.join("tmp", name, "cache") }
