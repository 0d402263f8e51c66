package proc

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/go-json-experiment/json"
)

// status is what the maker of the sandbox reports, one JSON document a line.
type status struct {
	ended chan struct{} // closed when it reports no more

	mu      sync.Mutex
	child   int // pid of the sandbox's first process
	program int // pid of the program, 0 before it was seen
	exit    *int
	said    string // why the program was not started, "" if it was
}

func newStatus() *status { return &status{ended: make(chan struct{})} }

// maxStatus bounds what is read of the reports.
const maxStatus = 64 << 10

func (st *status) read(r io.Reader) {
	defer close(st.ended)
	lines := bufio.NewScanner(io.LimitReader(r, maxStatus))
	for lines.Scan() {
		var doc struct {
			Child int    `json:"child-pid"`
			Exit  *int   `json:"exit-code"`
			Error string `json:"error"`
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
		if st.said == "" {
			st.said = doc.Error
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

// refusal is why the program was not started, "" when nothing was said.
func (st *status) refusal() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.said
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

// children lists the children of a process, those of each thread from the
// oldest on.
func children(pid int) []int {
	if pid == 0 {
		return nil
	}
	lists, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children") // each thread has its own
	if err != nil {
		return nil
	}
	var all []int
	for _, list := range lists {
		data, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(data)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, child)
			}
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
