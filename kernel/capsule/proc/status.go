package proc

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/go-json-experiment/json"
)

// status is what bubblewrap reports, one JSON document a line.
type status struct {
	ended chan struct{} // closed when it reports no more

	mu      sync.Mutex
	child   int // pid of the sandbox's first process
	program int // pid of the program, 0 before it was seen
	exit    *int
}

func newStatus() *status { return &status{ended: make(chan struct{})} }

// maxStatus bounds what is read of the reports.
const maxStatus = 64 << 10

func (st *status) read(r io.Reader) {
	defer close(st.ended)
	lines := bufio.NewScanner(io.LimitReader(r, maxStatus))
	for lines.Scan() {
		var doc struct {
			Child int  `json:"child-pid"`
			Exit  *int `json:"exit-code"`
		}
		if json.Unmarshal(lines.Bytes(), &doc) != nil {
			continue
		}
		st.mu.Lock()
		if doc.Child != 0 {
			st.child = doc.Child
		}
		if doc.Exit != nil {
			st.exit = doc.Exit
		}
		st.mu.Unlock()
	}
}

func (st *status) exitCode() (int, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.exit == nil {
		return 0, false
	}
	return *st.exit, true
}

// signal sends sig to the program, which is the child of the sandbox's first
// process; false when it cannot be found.
func (st *status) signal(sig syscall.Signal) bool {
	sent := false
	for _, pid := range children(st.first()) {
		if syscall.Kill(pid, sig) == nil {
			sent = true
		}
	}
	return sent
}

func (st *status) first() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.child
}

// kill ends the sandbox's first process, and so all the others.
func (st *status) kill() {
	if first := st.first(); first != 0 {
		_ = syscall.Kill(first, syscall.SIGKILL)
	}
}

// stuck tells whether the first process is stopped and the program has ended.
func (st *status) stuck() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.child == 0 {
		return false
	}
	if st.program == 0 {
		if all := children(st.child); len(all) > 0 {
			st.program = all[0] // the oldest; orphans are adopted later
		}
	}
	if s := state(st.child); st.program == 0 || s != 'T' && s != 't' {
		return false
	}
	s := state(st.program)
	return s == 'Z' || s == 'X' || s == 0
}

// children lists the children of a process, the oldest first.
func children(pid int) []int {
	if pid == 0 {
		return nil
	}
	name := strconv.Itoa(pid)
	data, err := os.ReadFile("/proc/" + name + "/task/" + name + "/children")
	if err != nil {
		return nil
	}
	var all []int
	for _, field := range strings.Fields(string(data)) {
		if child, err := strconv.Atoi(field); err == nil {
			all = append(all, child)
		}
	}
	return all
}

// state is the letter of a process's state, 0 when there is no such process.
func state(pid int) byte {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The name before the last parenthesis may hold anything.
	if end := bytes.LastIndexByte(data, ')'); end >= 0 && end+2 < len(data) {
		return data[end+2]
	}
	return 0
}
