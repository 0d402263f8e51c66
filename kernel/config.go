package kernel

import (
	"cmp"
	"log/slog"
	"net"
	"time"

	"astrid/kernel/config"
	"astrid/kernel/fault"
	"astrid/kernel/home"
)

// Config is all that a Kernel is told from outside. Only Home must be there.
type Config struct {
	Home     home.Home
	Exe      string       // the astrid binary, for view servers; default /proc/self/exe
	UserHome string       // the user's home directory, a workspace that needs confirmation; may be empty
	Environ  []string     // of view servers
	Bwrap    string       // bubblewrap, for programs of capsules; empty: there is none
	Jailer   string       // makes sandboxes where there is no Bwrap (see proc.Sandbox); empty: there is none
	Build    string       // build id; default "unknown"
	Log      *slog.Logger // default: discarded

	// Workspace, when it is named, is brought up as the session Session by the
	// boot, as `astrid daemon` wants it; the name may be empty.
	Session   string
	Workspace string
	// Listener is the socket, bound at Home.Socket() by somebody else, who keeps
	// its name; nil: the boot binds it.
	Listener *net.UnixListener
	// Mount is where the control tree is mounted; default Home.Ctl().
	Mount string

	SystemConfig string              // the configuration of the machine; default config.System
	Lookup       func(string) string // the environment; default: nothing is set
	Level        *slog.LevelVar      // of Log, set to what is configured; may be nil

	Linger      time.Duration // how long a kernel without a session that is up waits for one; default as long as nobody may need it
	LockWait    time.Duration // how long the boot waits for a kernel that is stopping; default 25 s
	StopTimeout time.Duration // all of a stop; default what is configured
}

func (c Config) validated() (Config, error) {
	if c.Home == (home.Home{}) {
		return c, fault.New(fault.Usage, "the kernel was given no home")
	}
	if c.Exe == "" {
		c.Exe = "/proc/self/exe"
	}
	if c.Build == "" {
		c.Build = "unknown"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Lookup == nil {
		c.Lookup = func(string) string { return "" }
	}
	if c.Level == nil {
		c.Level = new(slog.LevelVar)
	}
	c.Mount = cmp.Or(c.Mount, c.Home.Ctl())
	c.SystemConfig = cmp.Or(c.SystemConfig, config.System)
	c.LockWait = cmp.Or(c.LockWait, 25*time.Second)
	return c, nil
}
