package overlaytest

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"

	"astrid/overlay"
)

// What the environment of a child says.
const (
	childEnv     = "ASTRID_OVERLAYTEST_CHILD" // the part that it plays
	childBaseEnv = "ASTRID_OVERLAYTEST_BASE"
	childDirEnv  = "ASTRID_OVERLAYTEST_DIR"

	partDrive = "drive"
)

// request is what a Remote asks of its process: one of these.
type request struct {
	Op     *Op
	Image  bool
	Freeze bool
	Thaw   bool
}

type reply struct {
	Result Result
	Image  Image
	Err    string
}

// Child plays the part that the environment names and returns the exit code: the
// test binary calls it first thing. ok is false in a process that is no child.
func Child() (code int, ok bool) {
	if os.Getenv(childEnv) != partDrive {
		return 0, false
	}
	if err := drive(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return 0, true
}

// childEnviron is the environment of a child that plays a part. A race detector
// does not wait a second at each of their ends.
func childEnviron(part, base, dir string, more ...string) []string {
	env := append(os.Environ(), "GORACE=atexit_sleep_ms=0", childEnv+"="+part, childBaseEnv+"="+base, childDirEnv+"="+dir)
	return append(env, more...)
}

// childConfig is the overlay that the environment names.
func childConfig() overlay.Config {
	return overlay.Config{Base: os.Getenv(childBaseEnv), Dir: os.Getenv(childDirEnv)}
}

// drive answers requests until there are no more; each answer is written whole
// before the next request is read.
func drive(in io.Reader, out io.Writer) (err error) {
	p, err := NewInProcess(childConfig())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	dec, enc := gob.NewDecoder(in), gob.NewEncoder(out)
	for {
		var q request
		if err := dec.Decode(&q); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		a := answerTo(p, &q)
		if err := enc.Encode(&a); err != nil {
			return err
		}
	}
}

func answerTo(p *InProcess, q *request) (a reply) {
	var err error
	switch {
	case q.Op != nil:
		a.Result, err = p.Do(q.Op)
	case q.Image:
		a.Image, err = p.Image()
	case q.Freeze:
		if p.Overlay.Frozen() == nil {
			_, err = p.Overlay.Freeze()
		}
	case q.Thaw:
		err = p.Overlay.Thaw(p.Overlay.Frozen())
	}
	if err != nil {
		a.Err = err.Error()
	}
	return a
}
