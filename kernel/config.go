package kernel

import (
	"cmp"
	"log/slog"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/home"
)

// Config is all that a Kernel is told from outside. Only Home must be there.
type Config struct {
	Home     home.Home
	Exe      string       // the astrid binary, for view servers; default /proc/self/exe
	UserHome string       // the user's home directory, a workspace that needs confirmation; may be empty
	Environ  []string     // of view servers
	Build    string       // build id; default "unknown"
	Log      *slog.Logger // default: discarded

	Linger      time.Duration // how long a kernel without a session that is up waits for one; default 30 s
	LockWait    time.Duration // how long the boot waits for a kernel that is stopping; default 25 s
	StopTimeout time.Duration // all of a stop; default 20 s
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
	c.Linger = cmp.Or(c.Linger, 30*time.Second)
	c.LockWait = cmp.Or(c.LockWait, 25*time.Second)
	c.StopTimeout = cmp.Or(c.StopTimeout, 20*time.Second)
	return c, nil
}
