package commit

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"astrid/overlay/change"
)

// Config says where a commit keeps what it must not lose. The directories exist
// and are the caller's alone (0700), outside the workspace.
type Config struct {
	// Journal is where plans are kept. It must be on a disk, not in a tmpfs.
	Journal string
	// Undo receives the pre-images of the last commits when it is on the file
	// system of the workspace; else they stay in .astrid/undo there. Empty:
	// always there.
	Undo string
	// Git is the git program; empty: found in PATH; "-": none is asked.
	Git string

	Cache *change.Cache
	Log   *slog.Logger     // nil: nowhere
	Now   func() time.Time // nil: time.Now
	// Kill, when not nil, is called at named moments. Tests die there.
	Kill func(point string)
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Kill == nil {
		c.Kill = func(string) {}
	}
	return c
}

// Values of Request.Git.
const (
	GitAsk = ""    // a repository with protected changes is held back
	GitYes = "yes" // repositories are committed whole
	GitNo  = "no"  // repositories are left out
)

// Request says what to commit.
type Request struct {
	// Paths are paths and globs relative to the root (change.NewMatch); none:
	// everything that no rule holds back.
	Paths   []string
	Exclude []string
	// Hunks are IDs of change.Hunks: exactly these, and what they cannot be without.
	// Their paths count as named. Not together with Paths.
	Hunks []string
	// If, when not empty, is the digest that the change set must have.
	If      string
	Git     string
	Message string
	By      string // who asks, for the record
}

// Result says what a commit did, or a preview would do.
type Result struct {
	Number    uint64 // of the commit; 0: nothing was to be done
	Applied   []change.Change
	Held      []change.Change // protected or ignored by .astridignore; Note says why
	Skipped   []change.Change // ignored by git, or excluded
	Conflicts []Conflict      // of a preview; Commit returns them as an error
	Digest    string          // of what remains; of a preview: of what is there
	Outside   []string        // notes on what the commit could not reach
}

// Conflict is one path that stands in the way.
type Conflict struct {
	Path string
	Why  string
}

func (c Conflict) String() string { return change.Quote(c.Path) + ": " + c.Why }

// ConflictError says that nothing was applied, and why.
type ConflictError struct{ List []Conflict }

func (e *ConflictError) Error() string {
	const show = 5
	var b strings.Builder
	fmt.Fprintf(&b, "%d conflicts with the workspace, nothing was applied: ", len(e.List))
	if len(e.List) == 1 {
		b.Reset()
		b.WriteString("conflict with the workspace, nothing was applied: ")
	}
	for i, c := range e.List {
		if i == show {
			fmt.Fprintf(&b, "; and %d more", len(e.List)-show)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(c.String())
	}
	return b.String()
}

// DigestError says that the change set is not the one that was asked for.
type DigestError struct{ Want, Have string }

func (e *DigestError) Error() string {
	return fmt.Sprintf("the changes are not the ones that were reviewed: asked for %s, there is %s", e.Want, e.Have)
}

// Errors that decide what a caller does.
var (
	// ErrBusy says that another commit on this workspace is under way.
	ErrBusy = errors.New("another commit on this workspace is under way")
	// ErrPending says that an earlier commit was interrupted and Recover must run first.
	ErrPending = errors.New("an earlier commit was interrupted: recovery must run first")
)
