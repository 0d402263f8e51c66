package overlaytest

import (
	"bufio"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Remote drives an overlay in another process, which may be killed.
type Remote struct {
	base, dir string
	cmd       *exec.Cmd
	in        io.WriteCloser
	buf       *bufio.Writer
	enc       *gob.Encoder
	dec       *gob.Decoder
	stderr    strings.Builder
}

// NewRemote starts the process: this very program, whose main calls Child.
func NewRemote(base, dir string) (*Remote, error) {
	r := &Remote{base: base, dir: dir}
	return r, r.Start()
}

// Start starts the process anew after Kill or Close.
func (r *Remote) Start() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	r.stderr.Reset()
	r.cmd = exec.Command(exe)
	r.cmd.Env = childEnviron(partDrive, r.base, r.dir)
	r.cmd.Stderr = &r.stderr
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	r.buf = bufio.NewWriter(r.in)
	r.enc, r.dec = gob.NewEncoder(r.buf), gob.NewDecoder(out)
	return r.cmd.Start()
}

// send asks without waiting for the answer.
func (r *Remote) send(q *request) error {
	if err := r.enc.Encode(q); err != nil {
		return err
	}
	return r.buf.Flush()
}

// receive waits for the next answer; io.EOF when the process is gone.
func (r *Remote) receive() (reply, error) {
	var a reply
	err := r.dec.Decode(&a)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF // killed while it answered: nobody has read it
	}
	if err == nil && a.Err != "" {
		err = errors.New(a.Err)
	}
	return a, err
}

func (r *Remote) ask(q *request) (reply, error) {
	if err := r.send(q); err != nil {
		return reply{}, r.why(err)
	}
	a, err := r.receive()
	if errors.Is(err, io.EOF) {
		err = r.why(err)
	}
	return a, err
}

// why adds what the process said when it ended.
func (r *Remote) why(err error) error {
	_ = r.cmd.Wait()
	return fmt.Errorf("the process is gone: %w\n%s", err, r.stderr.String())
}

// Do applies one operation.
func (r *Remote) Do(op *Op) (Result, error) {
	a, err := r.ask(&request{Op: op})
	return a.Result, err
}

// Image reads the whole tree.
func (r *Remote) Image() (Image, error) {
	a, err := r.ask(&request{Image: true})
	return a.Image, err
}

// Freeze freezes the top layer unless one is frozen.
func (r *Remote) Freeze() error {
	_, err := r.ask(&request{Freeze: true})
	return err
}

// Thaw takes Freeze back.
func (r *Remote) Thaw() error {
	_, err := r.ask(&request{Thaw: true})
	return err
}

// Kill ends the process with SIGKILL and waits for its end.
func (r *Remote) Kill() {
	_ = r.cmd.Process.Kill()
	r.reap()
}

func (r *Remote) reap() {
	_ = r.in.Close()
	_ = r.cmd.Wait()
}

// KillAmid sends operations one after the other and kills the process when the
// first n have been answered, while it is at work on what follows. It returns
// every answer that was given.
func (r *Remote) KillAmid(ops []*Op, n int) ([]Result, error) {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for _, op := range ops {
			if r.send(&request{Op: op}) != nil {
				return // it was killed
			}
		}
	}()
	var all []Result
	for {
		if len(all) == n {
			_ = r.cmd.Process.Kill()
		}
		a, err := r.receive()
		if err != nil {
			_ = r.cmd.Process.Kill()
			<-sent
			r.reap()
			if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
				return all, nil
			}
			return all, err
		}
		all = append(all, a.Result)
	}
}

// Close ends the process in good order.
func (r *Remote) Close() error {
	_ = r.in.Close()
	if err := r.cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, r.stderr.String())
	}
	return nil
}
