package overlay

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// process is one that changed something, or a thread of one: requests name these.
// leader, exe and command are guarded by authors.mu.
type process struct {
	pid, uid     uint32
	leader       uint32 // the pid of the process; pid, until that is known
	exe, command string

	start string        // when it began, in the words of /proc; of the looker alone
	used  atomic.Bool   // since it was looked at last
	known chan struct{} // closed when it has been looked at
}

const (
	// maxProcs bounds the processes that are watched at a time.
	maxProcs = 1024
	// lookEach is how often it is looked whether a pid is still the same process.
	lookEach = time.Second
)

func (a *authors) init() {
	a.objects, a.removed, a.procs = map[uint64]signed{}, map[removal]signed{}, map[uint32]*process{}
	a.ask, a.quit, a.over = make(chan *process, maxProcs), make(chan struct{}), make(chan struct{})
	go a.look()
}

func (a *authors) close() {
	if a.quit == nil {
		return // it takes no changes
	}
	close(a.quit)
	<-a.over
}

// introduce returns the process that has a pid, and has it looked at when it is new.
func (a *authors) introduce(pid, uid uint32) *process {
	if p := a.last.Load(); p != nil && p.pid == pid && p.uid == uid {
		p.used.Store(true)
		return p
	}
	a.mu.Lock()
	p := a.procs[pid]
	if p != nil && p.uid == uid {
		p.used.Store(true)
		a.last.Store(p)
		a.mu.Unlock()
		return p
	}
	if len(a.procs) >= maxProcs {
		clear(a.procs)
	}
	p = &process{pid: pid, leader: pid, uid: uid, known: make(chan struct{})}
	p.used.Store(true)
	a.procs[pid] = p
	a.last.Store(p)
	a.mu.Unlock()
	select {
	case a.ask <- p:
	default:
		return p // too many at a time: it stays unknown
	}
	wait := time.NewTimer(introduceTime)
	defer wait.Stop()
	select {
	case <-p.known:
	case <-wait.C:
	}
	return p
}

// look reads of /proc what no request may wait for, and drops pids that are others'
// now or that change nothing any more.
func (a *authors) look() {
	defer close(a.over)
	var tick *time.Ticker
	var ticks <-chan time.Time
	for {
		select {
		case p := <-a.ask:
			a.meet(p)
			if tick == nil {
				tick = time.NewTicker(lookEach)
				ticks = tick.C
			}
		case <-ticks:
			if a.review() == 0 {
				tick.Stop()
				tick, ticks = nil, nil
			}
		case <-a.quit:
			if tick != nil {
				tick.Stop()
			}
			return
		}
	}
}

// meet looks at a process for the first time.
func (a *authors) meet(p *process) {
	defer close(p.known)
	dir := "/proc/" + strconv.FormatUint(uint64(p.pid), 10)
	start, command := startOf(dir)
	exe, _ := os.Readlink(dir + "/exe")
	leader := leaderOf(dir)
	if again, _ := startOf(dir); start == "" || again != start {
		return // it ended meanwhile
	}
	p.start = start
	a.mu.Lock()
	p.exe, p.command = exe, command
	if leader != 0 {
		p.leader = leader
	}
	a.mu.Unlock()
}

// review looks again at all processes and returns how many there are still.
func (a *authors) review() int {
	a.mu.Lock()
	all := make([]*process, 0, len(a.procs))
	for _, p := range a.procs {
		all = append(all, p)
	}
	a.mu.Unlock()
	for _, p := range all {
		start, _ := startOf("/proc/" + strconv.FormatUint(uint64(p.pid), 10))
		a.mu.Lock()
		if same := start != "" && start == p.start; !p.used.Swap(false) || !same {
			if a.procs[p.pid] == p {
				delete(a.procs, p.pid)
			}
			a.last.CompareAndSwap(p, nil)
		}
		a.mu.Unlock()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.procs)
}

// startOf returns when a process began and what it is called; "" when it is gone.
func startOf(dir string) (start, command string) {
	b, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return "", ""
	}
	text := string(b)
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return "", ""
	}
	fields := strings.Fields(text[end+1:])
	const began = 22 - 3 // field 22 of proc_pid_stat(5); the third comes after the name
	if len(fields) <= began {
		return "", ""
	}
	return fields[began], text[open+1 : end]
}

// leaderOf returns the pid of the process that a thread is of; 0 when it is gone.
func leaderOf(dir string) uint32 {
	b, err := os.ReadFile(dir + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "\nTgid:")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}
