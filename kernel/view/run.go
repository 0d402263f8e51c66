package view

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"astrid/kernel/home"
	"astrid/kernel/wire"
)

// Config is all that a view server is told.
type Config struct {
	Home    home.Home
	Session string           // its name; the rest is in session.json
	Build   string           // build id, told to the kernel
	Signals <-chan os.Signal // each one asks for a clean end that keeps uncommitted work
	Log     *slog.Logger
}

// server is one running view server.
type server struct {
	cfg     Config
	log     *slog.Logger
	record  wire.SessionRecord
	nonce   string
	dir     *os.File // TempDir
	lock    *os.File
	socket  *net.UnixListener
	events  *queue
	edits   *edits        // in the workspace
	change  chan struct{} // a semaphore of one; see the lock order
	braking sync.Mutex    // one change of the limits at a time
	conns   sync.WaitGroup

	ready    chan struct{} // closed when what follows is set for good
	bringErr error
	engine   engine
	mount    mount
	pasts    *pasts // nil while there are no checkpoints; guarded by change
	since    time.Time

	strays string // what was found at the mount point, for status

	left int // changes that were not committed, counted at the end

	ended chan string // receives the reason once the view is unmounted on purpose
}

// Run serves one view until it is told to stop, a signal asks for it, or
// somebody unmounts the view; only then does it return nil. It leaves view.exit
// behind whenever it ends on purpose or cannot start.
func Run(ctx context.Context, cfg Config) error {
	unix.Umask(0)
	s, err := open(ctx, cfg)
	if err != nil {
		return err
	}
	return s.attend(ctx, s.live)
}

// attend answers peers while life lasts, and records its end.
func (s *server) attend(ctx context.Context, life func(context.Context) (string, error)) error {
	defer s.dir.Close()
	defer s.lock.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.conns.Go(func() { s.accept(ctx) })
	why, err := life(ctx)
	cancel()
	s.socket.Close()
	s.conns.Wait()
	if err != nil && s.mount != nil {
		return err // a crash in its own words: without a record the kernel starts the next one
	}
	if err := s.writeExit(why, err); err != nil {
		s.log.Error("the reason of the end could not be recorded", "err", err)
	}
	return err
}

// live brings the view up and waits for its end.
func (s *server) live(ctx context.Context) (why string, err error) {
	if err := s.bring(ctx); err != nil {
		s.log.Error("the view could not be brought up", "err", err)
		return "the view could not be brought up", err
	}
	s.log.Info("view up", "dir", s.record.Dir, "workspace", s.workspace(), "pid", os.Getpid())
	s.events.put("up", s.record.Dir)
	stop, keep := s.followEdits(ctx), s.followAuthors(ctx)
	why, err = s.untilEnd(ctx)
	stop()
	keep()
	s.change <- struct{}{} // an operation that is under way ends first
	s.hidePasts(context.WithoutCancel(ctx))
	s.keepBrake()
	if closeErr := s.engine.Close(); closeErr != nil {
		s.log.Error("the overlay did not close cleanly; its log is replayed at the next start", "err", closeErr)
	}
	s.log.Info("view down", "why", why, "err", err)
	return why, err
}

// untilEnd waits for the end of the view and counts what it leaves uncommitted.
func (s *server) untilEnd(ctx context.Context) (why string, err error) {
	why, err = s.awaitEnd(ctx)
	s.left = s.uncommitted(ctx)
	return why, err
}

// awaitEnd waits for whatever ends the view. Signals that find it busy leave
// it up: a program works in it, and nothing is lost by staying.
func (s *server) awaitEnd(ctx context.Context) (string, error) {
	for {
		select {
		case why := <-s.ended:
			return why, nil
		case <-s.mount.Done():
			return s.mountEnded()
		case sig := <-s.cfg.Signals:
			s.conns.Go(func() { s.stopFor(ctx, sig) })
		case <-ctx.Done():
			s.stopFor(context.WithoutCancel(ctx), nil)
			return "the server was cancelled", ctx.Err()
		}
	}
}

func (s *server) stopFor(ctx context.Context, sig os.Signal) {
	why := "ended by its caller"
	if sig != nil {
		why = "ended by signal: " + sig.String()
	}
	if err := s.stop(ctx, wire.StopRequest{Why: why}); err != nil {
		s.log.Warn("asked to end, but staying up", "why", why, "err", err)
	}
}

// mountEnded tells our own unmount from one by hand, which is the user's right,
// and that from a serve loop that failed.
func (s *server) mountEnded() (string, error) {
	s.change <- struct{}{} // a stop, or a commit, that is under way ends first
	defer func() { <-s.change }()
	select {
	case why := <-s.ended:
		return why, nil
	default:
	}
	if err := s.mount.Err(); err != nil {
		return "", fmt.Errorf("the mount failed: %w", err)
	}
	s.events.put("unmounted", "somebody unmounted the view")
	return "somebody unmounted the view", nil
}

// open claims the session's directory and its socket.
func open(ctx context.Context, cfg Config) (*server, error) {
	if err := home.CheckSession(cfg.Session); err != nil {
		return nil, err
	}
	dir, err := os.OpenFile(cfg.Home.TempDir(cfg.Session), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	s := &server{
		cfg: cfg, log: cfg.Log, dir: dir, events: newQueue(), edits: newEdits(),
		change: make(chan struct{}, 1), ready: make(chan struct{}), ended: make(chan string, 1),
	}
	if err := s.claim(ctx); err != nil {
		dir.Close()
		return nil, err
	}
	return s, nil
}

// smallFile bounds what is read of the files that a kernel left for us.
const smallFile = 64 << 10

func (s *server) claim(ctx context.Context) error {
	nonce, err := home.ReadPrivate(s.cfg.Home.ViewNonce(s.cfg.Session), smallFile)
	if err != nil {
		return err
	}
	s.nonce = strings.TrimSpace(string(nonce))
	data, err := home.ReadPrivate(s.cfg.Home.SessionFile(s.cfg.Session), smallFile)
	if err != nil {
		return err
	}
	if err := wire.Decode(data, &s.record); err != nil {
		return fmt.Errorf("%s: %w", s.cfg.Home.SessionFile(s.cfg.Session), err)
	}
	if s.lock, err = takeLock(ctx, s.cfg.Home.ViewLock(s.cfg.Session)); err != nil {
		return err
	}
	_ = os.Remove(s.exitFile())
	if s.socket, err = listen(s.dir); err != nil {
		s.lock.Close()
	}
	return err
}

// uncommitted counts what the view holds that its base does not; 1 when that
// cannot be told, so that nobody takes the session for empty.
func (s *server) uncommitted(ctx context.Context) int {
	n, err := s.engine.Count(context.WithoutCancel(ctx))
	if err != nil {
		s.log.Warn("uncommitted changes could not be counted", "err", err)
		return 1
	}
	return n
}

func (s *server) workspace() string { return s.cfg.Home.Workspace(s.cfg.Session) }

func (s *server) exitFile() string {
	return filepath.Join(s.cfg.Home.TempDir(s.cfg.Session), wire.ViewExitFile)
}

// writeExit records why this server ended, for the kernel that finds it gone.
func (s *server) writeExit(why string, cause error) error {
	data, err := wire.Encode(wire.ViewExit{
		PID: os.Getpid(), At: time.Now().UTC(), Why: why, Changes: s.left, Error: wire.ErrorOf(cause),
	})
	if err != nil {
		return err
	}
	return home.WriteFileAtomic(s.exitFile(), data)
}
