package proc

import (
	"bufio"
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

	mu    sync.Mutex
	child int // pid of the sandbox's first process
	exit  *int
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
	st.mu.Lock()
	child := st.child
	st.mu.Unlock()
	if child == 0 {
		return false
	}
	first := strconv.Itoa(child)
	data, err := os.ReadFile("/proc/" + first + "/task/" + first + "/children")
	if err != nil {
		return false
	}
	sent := false
	for _, field := range strings.Fields(string(data)) {
		if pid, err := strconv.Atoi(field); err == nil && syscall.Kill(pid, sig) == nil {
			sent = true
		}
	}
	return sent
}
