package commit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"slices"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
)

const (
	historyName = "history.jsonl"
	// historyMax bounds the file, in bytes; beyond it the older half of its lines goes.
	historyMax = 1 << 20
	// historyPaths is how many paths a line names.
	historyPaths = 20
)

// Values of Entry.Op and of a plan's.
const (
	OpCommit = ""
	OpUndo   = "undo"
	OpRedo   = "redo"
)

// Entry is one operation on the workspace, as the history has it.
type Entry struct {
	Number  uint64
	Op      string `json:",omitempty"` // OpCommit, OpUndo, OpRedo
	Commit  uint64 // the commit that it is about
	Time    int64  // ns since 1970
	By      string `json:",omitempty"` // who asked for it; "" is not known
	Message string `json:",omitempty"`
	Paths   int    // how many it changed
	Bytes   int64  // of the regular files that it brought to the workspace
	First   []What // some of the paths

	// State of what the workspace has of it: not written down.
	State State `json:"-"`
}

// State says what can become of an operation.
type State uint8

// The states.
const (
	Past     State = iota // what it replaced is not kept any more
	Kept                  // it can be taken back, when nothing stands in the way
	Reversed              // another operation has taken it back
)

// String is the word for s.
func (s State) String() string {
	switch s {
	case Kept:
		return "kept"
	case Reversed:
		return "reversed"
	}
	return "past"
}

// remember appends the operation to the history; twice is no harm.
func remember(dir int, p *plan) error {
	e := Entry{
		Number: p.Number, Op: p.Op, Commit: p.Commit, Time: p.Time, By: p.By, Message: p.Message,
		Paths: len(p.What), Bytes: p.Bytes, First: p.What[:min(len(p.What), historyPaths)],
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	have, err := readHistory(dir)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	whole := have[:bytes.LastIndexByte(have, '\n')+1]
	if len(have)+len(line) > historyMax {
		whole = laterHalf(whole)
	}
	if len(whole) < len(have) {
		return layer.WriteFile(dir, historyName, append(whole, line...), 0o600)
	}
	fd, err := layer.Open(dir, historyName, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := writeAll(fd, line); err != nil {
		return err
	}
	return errors.Join(unix.Fsync(fd), layer.SyncDir(dir))
}

// laterHalf is the later half of the lines, from the first whole one on.
func laterHalf(b []byte) []byte {
	b = b[len(b)/2:]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[i+1:]
	}
	return nil
}

func readHistory(dir int) ([]byte, error) {
	fd, err := layer.Open(dir, historyName, unix.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return readAll(fd, 4*historyMax)
}

// History lists the operations on the workspace, the last first.
func History(ctx context.Context, cfg Config) ([]Entry, error) {
	dir, err := openDir(cfg.Journal)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	b, err := readHistory(dir)
	if err != nil {
		return nil, err
	}
	kept, err := numbered(dir, undoPrefix)
	if err != nil {
		return nil, err
	}
	byNumber := map[uint64]Entry{}
	for line := range bytes.SplitSeq(b, []byte{'\n'}) {
		var e Entry
		bad := slices.ContainsFunc(e.First, func(w What) bool { return len(w.Op) != 1 })
		if json.Unmarshal(line, &e) == nil && e.Number != 0 && !bad {
			byNumber[e.Number] = e
		}
	}
	l := slices.SortedFunc(maps.Values(byNumber), func(a, b Entry) int { return cmp.Compare(b.Number, a.Number) })
	// Of the operations about one commit each takes back the one before.
	later := map[uint64]bool{}
	for i := range l {
		switch e := &l[i]; {
		case later[e.Commit]:
			e.State = Reversed
		case slices.Contains(kept, e.Number):
			e.State = Kept
		}
		later[l[i].Commit] = true
	}
	return l, ctx.Err()
}

// Paths lists all that operation n changed; false when that is not kept any more.
func Paths(cfg Config, n uint64) ([]What, bool, error) {
	dir, err := openDir(cfg.Journal)
	if err != nil {
		return nil, false, err
	}
	defer unix.Close(dir)
	s, err := readJournal(dir, journalName(undoPrefix, n))
	if errors.Is(err, os.ErrNotExist) || err == nil && s.plan == nil {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return s.plan.What, true, nil
}
