package meta

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
)

// Checkpoint is a moment of a view. What it takes to go back there is the place at
// which the log ended then, for a log only grows, and that no data file of then is
// written to any more (Tx.Seal): its cost does not depend on how much there is.
//
// It is a file checkpoint-<seq> beside the logs, JSON with the fields as they are here.
type Checkpoint struct {
	Seq  uint64 // grows with each one made
	Name string // unique among those that are kept
	Time int64  // ns since 1970
	By   string `json:",omitempty"` // who asked, for the record
	Note string `json:",omitempty"`
	// Auto says before what it was made, "rollback" or "discard", when nobody asked
	// for it.
	Auto string `json:",omitempty"`

	Folded uint64 // operations up to this one were in the base
	Epoch  uint64 // the layer
	End    int64  // where its log ended
}

const (
	maxPointName = 64
	maxPointText = 4 << 10 // of By and of Note together, in bytes
	maxPointFile = 32 << 10
	pointPrefix  = "checkpoint-"
)

// Errors of checkpoints.
var (
	ErrCheckpointName = errors.New("a checkpoint's name is 1 to 64 of letters, digits, '.', '_' and '-', begins with a letter or digit, and is neither base nor view, which name other states")
	ErrCheckpointText = fmt.Errorf("what is noted of a checkpoint is at most %d bytes long", maxPointText)
)

// CheckName tells whether a checkpoint may have the name.
func CheckName(name string) error {
	ok := !strings.Contains(name, "..") && len(name) <= maxPointName && name != "base" && name != "view"
	ok = ok && name != ""
	for i, c := range []byte(name) {
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		ok = ok && (alnum || i > 0 && strings.IndexByte("._-", c) >= 0)
	}
	if !ok {
		return ErrCheckpointName
	}
	return nil
}

// File is the name of the file that says all this.
func (c Checkpoint) File() string { return pointPrefix + strconv.FormatUint(c.Seq, 10) }

// Place writes it; it survives SIGKILL then, and a power cut when the directory and
// all in it have been synced since.
func (c Checkpoint) Place(dirfd int) error {
	if len(c.By)+len(c.Note) > maxPointText {
		return ErrCheckpointText
	}
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return layer.PlaceFile(dirfd, c.File(), b, 0o600)
}

// Sync makes the file survive a power cut.
func (c Checkpoint) Sync(dirfd int) error {
	f, err := openFile(dirfd, c.File(), unix.O_RDONLY)
	if err != nil {
		return err
	}
	err = f.Sync()
	return errors.Join(err, f.Close(), layer.SyncDir(dirfd))
}

// Remove removes the file.
func (c Checkpoint) Remove(dirfd int) error { return unix.Unlinkat(dirfd, c.File(), 0) }

// ReadCheckpoints reads those of a directory, in no order. bad has what cannot be
// read, by the name of the file.
func ReadCheckpoints(dirfd int) (l []Checkpoint, bad map[string]error, err error) {
	bad = map[string]error{}
	err = eachName(dirfd, func(name string) {
		if !strings.HasPrefix(name, pointPrefix) || strings.HasSuffix(name, layer.TempSuffix) {
			return
		}
		if c, err := readCheckpoint(dirfd, name); err != nil {
			bad[name] = err
		} else {
			l = append(l, c)
		}
	})
	return l, bad, err
}

func readCheckpoint(dirfd int, name string) (c Checkpoint, err error) {
	b, err := ReadBeside(dirfd, name, maxPointFile)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if c.File() != name || CheckName(c.Name) != nil || c.Epoch == 0 || c.End < headerSize {
		return c, fmt.Errorf("it does not describe a checkpoint: %w", ErrFormat)
	}
	return c, nil
}

// LoadAt replays a layer up to the place at which its log once ended, to be read
// only. ErrFormat when no record ends there: the log lost its tail in a power cut.
func LoadAt(dirfd int, epoch uint64, end int64) (*Layer, error) {
	f, err := openFile(dirfd, logName(epoch), unix.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("open layer %d: %w", epoch, err)
	}
	l, err := replay(f, epoch, end)
	if err == nil && l.log.end != end {
		err = fmt.Errorf("no record ends at %d: %w", end, ErrFormat)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("layer %d: %w", epoch, err)
	}
	return l, nil
}

// Named adds the numbers of the data files that a layer named when its log ended at
// each of the places, which ascend.
func Named(dirfd int, epoch uint64, ends []int64, named map[uint64]bool) error {
	l, err := LoadAt(dirfd, epoch, ends[0])
	if err != nil {
		return err
	}
	defer l.Close()
	l.named(named)
	for _, end := range ends[1:] {
		if l.log.end, err = scan(l.log.f, l.log.end, end, l.apply); err == nil && l.log.end != end {
			err = ErrFormat
		}
		if err != nil {
			return fmt.Errorf("layer %d at %d: %w", epoch, end, err)
		}
		l.named(named)
	}
	return nil
}

func (l *Layer) named(named map[uint64]bool) {
	for _, x := range l.Recs {
		if x.Where == Data {
			named[x.DataID] = true
		}
	}
}

// NamedBy adds the numbers of the data files that layers name.
func NamedBy(layers []*Layer, named map[uint64]bool) {
	for _, l := range layers {
		l.named(named)
	}
}

// TrimAt gives the space back that is reserved behind a log to which nothing is
// added any more.
func TrimAt(dirfd int, epoch uint64) error {
	f, err := openFile(dirfd, logName(epoch), os.O_RDWR)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	return f.Truncate(st.Size())
}
