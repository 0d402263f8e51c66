package jail

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"
)

// verb is the first argument of a helper; the second is its stage.
const verb = "sandbox-helper"

// Args are the arguments of the helper that makes a sandbox. StatusFD and PlanFD
// must be its descriptors of that number.
func Args() []string { return []string{verb, "monitor"} }

// Env is the helper's environment: nothing of the program's, which is in the plan.
func Env() []string {
	return []string{"GORACE=atexit_sleep_ms=0"} // a build with the race detector would linger
}

// The descriptors of a helper.
const (
	StatusFD = 3
	PlanFD   = 4
)

// Main is the helper, and does not return, when args are those of one; otherwise
// it does nothing. A main must call it before anything else, and with the
// arguments of the process (os.Args).
func Main(args []string) {
	if len(args) != 3 || args[1] != verb {
		return
	}
	// Capabilities, the filter and the signal at the parent's death are a thread's.
	runtime.LockOSThread()
	h, err := newHelper()
	if err == nil {
		switch args[2] {
		case "monitor":
			err = h.monitor()
		case "init":
			err = h.first()
		case "enter":
			err = h.enter()
		default:
			err = fmt.Errorf("the sandbox helper has no stage %q", args[2])
		}
	}
	if err != nil {
		h.say("error", strings.ToValidUTF8(err.Error(), "\ufffd"))
	}
	os.Exit(1)
}

// helper is one stage.
type helper struct {
	status *os.File
	memory *os.File // of the plan
	plan   *Plan
}

func newHelper() (*helper, error) {
	h := &helper{status: os.NewFile(StatusFD, "status"), memory: os.NewFile(PlanFD, "plan")}
	for _, fd := range []int{StatusFD, PlanFD} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
			return h, fmt.Errorf("the sandbox helper is started by astrid, not by hand: descriptor %d: %w", fd, err)
		}
	}
	var err error
	if h.plan, err = readPlan(h.memory); err != nil {
		return h, fmt.Errorf("read the plan of the sandbox: %w", err)
	}
	return h, nil
}

// say reports one thing to who started the helper.
func (h *helper) say(name string, value any) {
	data, err := json.Marshal(map[string]any{name: value})
	if err == nil {
		_, err = h.status.Write(append(data, '\n'))
	}
	if err != nil && name == "error" {
		fmt.Fprintf(os.Stderr, "astrid: %s\n", strings.TrimSpace(fmt.Sprint(value)))
	}
}
