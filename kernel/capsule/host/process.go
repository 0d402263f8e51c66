package host

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Limits of the programs that a capsule starts.
const (
	maxOutput     = 10 << 20 // of a program that is waited for, both streams
	maxRun        = 10 * time.Minute
	maxBackground = 8
	ring          = 1 << 20 // of each stream of one in the background
)

// command is the request of the functions that start programs.
type command struct {
	Cmd  string   `json:"cmd"`
	Args []string `json:"args"`
}

// foreground is a program that is waited for.
type foreground struct {
	call   string
	cancel context.CancelFunc
}

// mayRun reads a request and judges it by the manifest.
func (h *Host) mayRun(arg []byte) ([]string, error) {
	var in command
	if err := wire.Decode(arg, &in); err != nil {
		return nil, err
	}
	for _, entry := range h.Capsule.Capabilities.HostProcess {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		if in.Cmd == entry || strings.HasPrefix(in.Cmd, entry+" ") {
			return append(strings.Fields(in.Cmd), in.Args...), nil
		}
	}
	return nil, fault.New(fault.Denied, "capsule '%s' may not run %.128q: its manifest does not ask for that", h.Capsule.Package.Name, in.Cmd)
}

func (h *Host) spawn(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	argv, err := h.mayRun(args[0])
	if err != nil {
		return nil, err
	}
	caller := CallerOf(ctx)
	ctx, cancel := context.WithTimeout(ctx, maxRun)
	defer cancel()
	stop := context.AfterFunc(h.life, cancel)
	defer stop()
	f := &foreground{caller.CallID, cancel}
	h.mu.Lock()
	h.running[f] = struct{}{}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.running, f)
		h.mu.Unlock()
	}()
	out := &capped{left: maxOutput, full: cancel}
	var stdout, stderr strings.Builder
	code, err := h.Run.Run(ctx, caller.Session, argv, out.to(&stdout), out.to(&stderr))
	switch {
	case out.over():
		return nil, fault.New(fault.Limit, "%.64q wrote more than %d bytes and was ended", argv[0], maxOutput)
	case ctx.Err() != nil:
		return encode(result{strings.ToValidUTF8(stdout.String(), "\ufffd"), "process cancelled", -1})
	case err != nil:
		return nil, err
	}
	return encode(result{strings.ToValidUTF8(stdout.String(), "\ufffd"), strings.ToValidUTF8(stderr.String(), "\ufffd"), code})
}

// result is what a program left.
type result struct {
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
	Code   int    `json:"exit_code"`
}

// Cancel ends the programs that the named tool calls wait for.
func (h *Host) CancelCalls(calls []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for f := range h.running {
		for _, call := range calls {
			if call != "" && f.call == call {
				f.cancel()
			}
		}
	}
}

// capped bounds what two writers write together.
type capped struct {
	mu    sync.Mutex
	left  int
	spent bool
	full  func() // called once, when there is no more room
}

func (c *capped) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spent
}

func (c *capped) to(b *strings.Builder) io.Writer { return cappedWriter{c, b} }

type cappedWriter struct {
	*capped
	b *strings.Builder
}

// Write takes what fits.
func (w cappedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left -= len(p); w.left < 0 {
		if !w.spent {
			w.spent = true
			w.full()
		}
		return 0, fault.New(fault.Limit, "too much output")
	}
	return w.b.Write(p)
}

// process is a program in the background.
type process struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu             sync.Mutex
	stdout, stderr tailBuffer
	code           *int // once it has ended, unless a signal ended it
}

// tailBuffer keeps the last bytes that were written.
type tailBuffer struct {
	mu   *sync.Mutex
	data []byte
}

// Write keeps what fits.
func (t *tailBuffer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if over := len(t.data) - ring; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return len(p), nil
}

// take returns what was written since the last take.
func (t *tailBuffer) take() string {
	text := strings.ToValidUTF8(string(t.data), "\ufffd")
	t.data = nil
	return text
}

func (h *Host) spawnBackground(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	argv, err := h.mayRun(args[0])
	if err != nil {
		return nil, err
	}
	session := CallerOf(ctx).Session
	running, cancel := context.WithCancel(WithCaller(h.life, CallerOf(ctx)))
	p := &process{cancel: cancel, done: make(chan struct{})}
	p.stdout.mu, p.stderr.mu = &p.mu, &p.mu
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.life.Err() != nil {
		cancel()
		return nil, fault.New(fault.Unavailable, "the capsule is ending")
	}
	if len(h.processes) >= maxBackground {
		cancel()
		return nil, fault.New(fault.Limit, "background process limit reached (max %d)", maxBackground)
	}
	h.lastProc++
	h.processes[h.lastProc] = p
	h.work.Go(func() {
		defer close(p.done)
		code, err := h.Run.Run(running, session, argv, &p.stdout, &p.stderr)
		p.mu.Lock()
		defer p.mu.Unlock()
		if err != nil {
			p.stderr.data = append(p.stderr.data, err.Error()...)
			code = -1
		}
		if code >= 0 {
			p.code = &code
		}
	})
	return encode(map[string]uint64{"id": h.lastProc})
}

func (h *Host) background(arg []byte) (*process, uint64, error) {
	var in struct {
		ID uint64 `json:"id"`
	}
	if err := wire.Decode(arg, &in); err != nil {
		return nil, 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.processes[in.ID]
	if p == nil {
		return nil, 0, fault.New(fault.NotFound, "there is no background process %d of this capsule", in.ID)
	}
	return p, in.ID, nil
}

// report is what a program in the background has written and become.
type report struct {
	Stdout  string `json:"stdout"`
	Stderr  string `json:"stderr"`
	Running *bool  `json:"running,omitempty"`
	Killed  *bool  `json:"killed,omitempty"`
	Code    *int   `json:"exit_code"`
}

func (p *process) report() report {
	p.mu.Lock()
	defer p.mu.Unlock()
	return report{Stdout: p.stdout.take(), Stderr: p.stderr.take(), Code: p.code}
}

func (h *Host) readProcess(_ context.Context, _ Clock, args [][]byte) ([]byte, error) {
	p, id, err := h.background(args[0])
	if err != nil {
		return nil, err
	}
	running := true
	select {
	case <-p.done:
		running = false
		h.forget(id)
	default:
	}
	r := p.report()
	r.Running = &running
	return encode(r)
}

func (h *Host) killProcess(ctx context.Context, _ Clock, args [][]byte) ([]byte, error) {
	p, id, err := h.background(args[0])
	if err != nil {
		return nil, err
	}
	p.cancel()
	select {
	case <-p.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	h.forget(id)
	killed := true
	r := p.report()
	r.Killed = &killed
	return encode(r)
}

func (h *Host) forget(id uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.processes, id)
}
