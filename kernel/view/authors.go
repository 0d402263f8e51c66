package view

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"astrid/kernel/wire"
	"astrid/overlay"
	"astrid/overlay/change"
)

const (
	// authorsFile, in a session's TempDir, keeps who changed what over the end of a
	// view server.
	authorsFile = "authors.json"
	// authorsEach is how often it is written, if there is anything new. What a server
	// that is killed had not written is not known to the next.
	authorsEach = 30 * time.Second
)

// sign fills in who made the changes of a list. Of a line that stands for a repository
// it is nobody.
func (e *overlaid) sign(list []change.Change, out []wire.Change) {
	for i := range list {
		c := &list[i]
		if len(c.Inside) > 0 {
			continue
		}
		var a overlay.Author
		var known bool
		if c.Op == change.Deleted {
			a, known = e.tree.AuthorOfRemoval(c.BasePath)
		} else {
			a, known = e.tree.Author(c.Object.Ino)
		}
		if known {
			out[i].By = &wire.Author{
				PID: a.PID, UID: a.UID, Exe: strings.ToValidUTF8(a.Exe, "?"), Command: strings.ToValidUTF8(a.Command, "?"), At: a.At.UTC(),
			}
		}
	}
}

func (s *server) authorsPath() string {
	return filepath.Join(s.cfg.Home.TempDir(s.record.Name), authorsFile)
}

// loadAuthors reads what the last server kept. It is no more than advice: a file that
// cannot be read is a warning.
func (s *server) loadAuthors(eng engine) {
	data, err := os.ReadFile(s.authorsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var list []overlay.Signature
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		s.log.Warn("who made the changes of before is not known", "err", err)
		return
	}
	eng.SetSignatures(list)
}

// keepAuthors writes down who made the changes that there are.
func (s *server) keepAuthors() {
	data, err := json.Marshal(s.engine.Signatures())
	tmp := s.authorsPath() + ".new"
	if err == nil {
		err = os.WriteFile(tmp, data, 0o600)
	}
	if err == nil {
		err = os.Rename(tmp, s.authorsPath())
	}
	if err != nil {
		s.log.Warn("who made the changes is not kept", "err", err)
	}
}

// followAuthors keeps them from time to time, and at the end, when stop is called.
func (s *server) followAuthors(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(authorsEach)
		defer tick.Stop()
		for kept := s.engine.Signed(); ; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if n := s.engine.Signed(); n != kept {
				kept = n
				s.keepAuthors()
			}
		}
	}()
	return func() {
		cancel()
		<-over
		s.keepAuthors()
	}
}

// Signatures implements engine.
func (e *overlaid) Signatures() []overlay.Signature { return e.tree.Signatures() }

// SetSignatures implements engine.
func (e *overlaid) SetSignatures(list []overlay.Signature) { e.tree.SetSignatures(list) }

// Signed implements engine.
func (e *overlaid) Signed() uint64 { return e.tree.Signed() }
