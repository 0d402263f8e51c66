package fs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// How a process holds a mount.
const (
	HoldsCwd  = "cwd"
	HoldsRoot = "root"
	HoldsExe  = "exe"
	HoldsFd   = "fd"
	HoldsMap  = "map"
)

// Holder is a process that keeps a mount busy.
type Holder struct {
	PID  int
	Comm string
	Exe  string // empty when we may not know
	How  string // Holds…
	Path string // what it holds
}

// Stands tells whether the process only stands in the mount and has nothing of
// it open: a lazy detach takes nothing from it.
func (h Holder) Stands() bool { return h.How == HoldsCwd || h.How == HoldsRoot }

// BusyError says who keeps a mount from being unmounted.
type BusyError struct {
	Dir     string
	Holders []Holder
	Hidden  bool // nobody was found: a process that we may not see holds it
}

// Unwrap makes errors.Is(err, EBUSY) true.
func (e *BusyError) Unwrap() error { return eBusy }

// Opened tells whether somebody has, or may have, something open in the mount,
// rather than only standing in it.
func (e *BusyError) Opened() bool {
	for _, h := range e.Holders {
		if !h.Stands() {
			return true
		}
	}
	return e.Hidden
}

const maxNamed = 5

func (e *BusyError) Error() string {
	if len(e.Holders) == 0 {
		return e.Dir + " is busy: held by a process we may not see"
	}
	var who []string
	for i, h := range e.Holders {
		if i == maxNamed {
			who = append(who, fmt.Sprintf("and %d more", len(e.Holders)-i))
			break
		}
		who = append(who, fmt.Sprintf("%d %s (%s %s)", h.PID, h.Comm, h.How, h.Path))
	}
	return e.Dir + " is busy: held by " + strings.Join(who, ", ")
}

// Holders lists the processes that hold the mount at dir, or something below
// dir where nothing is mounted, by what /proc shows of them. hidden tells that
// some process could not be looked into. The mount itself is not touched.
func Holders(dir string) (holders []Holder, hidden bool, err error) {
	at, err := mountAt(dir)
	if err != nil {
		return nil, false, err
	}
	var minor uint32
	if at != nil && at.Major == 0 {
		minor = at.Minor
	}
	holders, hidden = holdersOf(minor, []string{dir})
	return holders, hidden, nil
}

// holdersOf looks into every process for paths below dirs, or below wherever
// the device 0:minor is mounted in that process's own namespace.
func holdersOf(minor uint32, dirs []string) (holders []Holder, hidden bool) {
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, true
	}
	look := &looker{minor: minor, dirs: dirs, spaces: make(map[string][]string)}
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		found, seen := look.within(pid)
		holders = append(holders, found...)
		hidden = hidden || !seen
	}
	return holders, hidden
}

// lookTime is how long one process may keep us from looking into it. Its maps
// cannot be listed while it changes them, and it may be stuck in that.
const lookTime = 2 * time.Second

// looker remembers what mount namespaces hold.
type looker struct {
	minor uint32
	dirs  []string

	mu     sync.Mutex
	spaces map[string][]string // by the namespace's name: where the device is mounted in it
}

// within is process with a bound on its time; a process that takes longer could
// not be looked into.
func (l *looker) within(pid int) (found []Holder, seen bool) {
	type answer struct {
		found []Holder
		seen  bool
	}
	answers := make(chan answer, 1)
	go func() {
		found, seen := l.process(pid)
		answers <- answer{found, seen}
	}()
	timer := time.NewTimer(lookTime)
	defer timer.Stop()
	select {
	case a := <-answers:
		return a.found, a.seen
	case <-timer.C:
		return nil, false
	}
}

// process lists how one process holds the mount; seen is false when it would
// not let us look.
func (l *looker) process(pid int) (found []Holder, seen bool) {
	proc := "/proc/" + strconv.Itoa(pid)
	dirs, seen := l.dirsOf(proc, pid)
	add := func(how, link string) {
		path, err := os.Readlink(link)
		if errors.Is(err, fs.ErrPermission) && how != HoldsMap {
			seen = false
		}
		if err != nil || !underAny(path, dirs) {
			return
		}
		for _, h := range found {
			if h.How == how {
				return // one of a kind is enough
			}
		}
		found = append(found, Holder{PID: pid, How: how, Path: path})
	}
	add(HoldsCwd, proc+"/cwd")
	add(HoldsRoot, proc+"/root")
	add(HoldsExe, proc+"/exe")
	for how, dir := range map[string]string{HoldsFd: proc + "/fd", HoldsMap: proc + "/map_files"} {
		names, err := readNames(dir)
		if errors.Is(err, fs.ErrPermission) && how != HoldsMap {
			seen = false
		}
		for _, name := range names {
			add(how, dir+"/"+name)
		}
	}
	for i := range found {
		comm, _ := os.ReadFile(proc + "/comm")
		found[i].Comm = strings.TrimSpace(string(comm))
		found[i].Exe, _ = os.Readlink(proc + "/exe")
	}
	return found, seen
}

// dirsOf is where the mount appears to a process.
func (l *looker) dirsOf(proc string, pid int) (dirs []string, seen bool) {
	space, err := os.Readlink(proc + "/ns/mnt")
	if err != nil {
		return l.dirs, !errors.Is(err, fs.ErrPermission)
	}
	if l.minor == 0 {
		return l.dirs, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	there, ok := l.spaces[space]
	if !ok {
		mounts, err := mountsOf(strconv.Itoa(pid), func(string) bool { return true })
		if err != nil {
			return l.dirs, !errors.Is(err, fs.ErrPermission)
		}
		there = append(there, l.dirs...)
		for _, m := range mounts {
			if m.Major == 0 && m.Minor == l.minor {
				there = append(there, m.Dir)
			}
		}
		l.spaces[space] = there
	}
	return there, true
}

func underAny(path string, dirs []string) bool {
	for _, d := range dirs {
		if under(path, d) {
			return true
		}
	}
	return false
}

// readNames lists a directory of /proc without looking at what it lists.
func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func openProc(name string) (*os.File, error) { return os.Open("/proc/" + name) }
