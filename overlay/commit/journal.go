package commit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"astrid/overlay/layer"
)

const (
	journalMagic   = "ASTRIDJ1"
	journalVersion = 1
	headSize       = 12
	// maxRecord bounds one record of a journal, in bytes: a plan of about half a
	// million steps.
	maxRecord = 256 << 20

	journalPrefix = "commit-"
	journalSuffix = ".journal"
	undoPrefix    = "undo-"
	leftPrefix    = "left-"
)

// Kinds of records.
const (
	recBegin   = 'b' // a commit begins: its staging directory
	recPlan    = 'p' // the plan; from here on steps may be visible
	recApplied = 'a' // every step is done
	recFolded  = 'f' // the view knows it
	recBack    = 'r' // the steps were taken back
	recCopies  = 'd' // which pre-images are copies, and of what
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errTooLarge is returned for a plan that no record holds.
var errTooLarge = errors.New("too many changes for one commit: commit by path")

// begin is the first record.
type begin struct {
	Number  uint64
	Stage   Path
	MadeDot bool      // the directory that Stage is in was not there
	Root    layer.Key // of the workspace, with the time that it had
	Time    int64
	// Of is not 0 when Stage is the store of what that operation replaced, which
	// goes back there when this one does not come to be.
	Of uint64 `json:",omitzero"`
}

// journal is the file that one commit is written down in.
type journal struct {
	dir  int
	name string
	fd   int
}

// state is what a journal says.
type state struct {
	begin   *begin
	plan    *plan
	applied bool
	folded  bool
	back    bool
	copies  []copied
}

// copied is a pre-image that is a copy, because its object has a name that stays
// in the workspace.
type copied struct {
	Slot Path // below the staging directory
	Key  layer.Key
}

func journalName(prefix string, n uint64) string {
	return prefix + strconv.FormatUint(n, 10) + journalSuffix
}

// createJournal makes the file and writes its first record.
func createJournal(dir int, b begin) (*journal, error) {
	j := &journal{dir: dir, name: journalName(journalPrefix, b.Number)}
	fd, err := layer.Open(dir, j.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	j.fd = fd
	head := append([]byte(journalMagic), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(head[8:], journalVersion)
	if err := writeAll(fd, head); err != nil {
		return nil, errors.Join(err, j.drop())
	}
	if err := j.record(recBegin, b); err != nil {
		return nil, errors.Join(err, j.drop())
	}
	if err := layer.SyncDir(dir); err != nil {
		return nil, errors.Join(err, j.drop())
	}
	return j, nil
}

// openJournal opens one that is there, for more records.
func openJournal(dir int, name string) (*journal, error) {
	fd, err := layer.Open(dir, name, unix.O_WRONLY|unix.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	return &journal{dir: dir, name: name, fd: fd}, nil
}

// record appends one record; it is on disk when record returns.
func (j *journal) record(kind byte, v any) error {
	payload := []byte{kind}
	if v != nil {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		payload = append(payload, b...)
	}
	if len(payload) > maxRecord {
		return errTooLarge
	}
	buf := make([]byte, 8, 8+len(payload))
	binary.LittleEndian.PutUint32(buf, uint32(len(payload)))
	sum := crc32.Update(crc32.Checksum(buf[:4], castagnoli), castagnoli, payload)
	binary.LittleEndian.PutUint32(buf[4:], sum)
	if err := writeAll(j.fd, append(buf, payload...)); err != nil {
		return err
	}
	return unix.Fsync(j.fd)
}

// rename gives the file another name and closes it.
func (j *journal) rename(name string) error {
	defer j.close()
	if err := unix.Renameat(j.dir, j.name, j.dir, name); err != nil {
		return err
	}
	return layer.SyncDir(j.dir)
}

// drop removes the file and closes it.
func (j *journal) drop() error {
	defer j.close()
	if err := unix.Unlinkat(j.dir, j.name, 0); err != nil {
		return err
	}
	return layer.SyncDir(j.dir)
}

func (j *journal) close() {
	if j.fd >= 0 {
		unix.Close(j.fd)
		j.fd = -1
	}
}

// readJournal reads what is whole of a file. One that is torn anywhere says
// what it says up to there.
func readJournal(dir int, name string) (state, error) {
	fd, err := layer.Open(dir, name, unix.O_RDONLY, 0)
	if err != nil {
		return state{}, err
	}
	defer unix.Close(fd)
	b, err := readAll(fd, 2*maxRecord)
	if err != nil {
		return state{}, err
	}
	return parseJournal(b)
}

func parseJournal(b []byte) (s state, err error) {
	if len(b) < headSize {
		return s, nil
	}
	if string(b[:8]) != journalMagic {
		return s, errors.New("it is not a journal")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != journalVersion {
		return s, fmt.Errorf("it is of version %d, which this program does not know", v)
	}
	for b = b[headSize:]; len(b) > 8; {
		n := int64(binary.LittleEndian.Uint32(b))
		if n < 1 || n > maxRecord || int64(len(b)) < 8+n {
			return s, nil
		}
		payload := b[8 : 8+n]
		if crc32.Update(crc32.Checksum(b[:4], castagnoli), castagnoli, payload) != binary.LittleEndian.Uint32(b[4:]) {
			return s, nil
		}
		if err := s.take(payload[0], payload[1:]); err != nil {
			return s, err
		}
		b = b[8+n:]
	}
	return s, nil
}

func (s *state) take(kind byte, body []byte) error {
	switch kind {
	case recBegin:
		s.begin = new(begin)
		return json.Unmarshal(body, s.begin)
	case recPlan:
		s.plan = new(plan)
		return json.Unmarshal(body, s.plan)
	case recApplied:
		s.applied = true
	case recFolded:
		s.folded = true
	case recBack:
		s.back = true
	case recCopies:
		var l []copied
		err := json.Unmarshal(body, &l)
		s.copies = append(s.copies, l...)
		return err
	default:
		return fmt.Errorf("it has a record of unknown kind %q", kind)
	}
	return nil
}

// numbered returns the numbers of the files of one kind, ascending.
func numbered(dir int, prefix string) ([]uint64, error) {
	fd, err := layer.Open(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var l []uint64
	err = layer.Names(fd, func(name string, _ uint64, _ uint32) bool {
		mid, ok := strings.CutPrefix(name, prefix)
		if !ok {
			return true
		}
		if mid, ok = strings.CutSuffix(mid, journalSuffix); !ok {
			return true
		}
		if n, err := strconv.ParseUint(mid, 10, 64); err == nil {
			l = append(l, n)
		}
		return true
	})
	slices.Sort(l)
	return l, err
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func readAll(fd int, limit int64) ([]byte, error) {
	var st layer.Stat
	if err := layer.Statx(fd, "", &st); err != nil {
		return nil, err
	}
	if st.Size > limit {
		return nil, unix.EFBIG
	}
	b := make([]byte, st.Size)
	for n := 0; n < len(b); {
		k, err := unix.Pread(fd, b[n:], int64(n))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, err
		case k == 0:
			return b[:n], nil
		default:
			n += k
		}
	}
	return b, nil
}
