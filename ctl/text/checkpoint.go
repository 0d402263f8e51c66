package text

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// ParseCheckpoint reads one line of a checkpoint file: the name of one to be made, or -
// for any, and a note; or --drop and names; or a JSON object. It is like ParseCommit.
func ParseCheckpoint(line string) (req wire.CheckpointRequest, drop []string, ok bool, err error) {
	type either struct {
		wire.CheckpointRequest
		Drop []string `json:"drop"`
	}
	in, ok, err := read(line, func(words []string) (in either, err error) {
		if words[0] == "--drop" {
			if in.Drop = words[1:]; len(in.Drop) == 0 {
				err = fault.New(fault.Usage, "checkpoint: --drop needs the names of checkpoints")
			}
			return in, err
		}
		if in.Name = words[0]; in.Name == "-" {
			in.Name = ""
		}
		in.Note = strings.Join(words[1:], " ")
		return in, nil
	})
	return in.CheckpointRequest, in.Drop, ok, err
}

// ParseRollback reads one line of a rollback file: the name of a checkpoint, and paths
// if not all is meant; or a JSON object. It is like ParseCommit.
func ParseRollback(line string) (req wire.RollbackRequest, ok bool, err error) {
	return read(line, func(words []string) (req wire.RollbackRequest, err error) {
		req.To, req.Paths = words[0], words[1:]
		if slices.Contains(req.Paths, "") {
			err = fault.New(fault.Usage, "rollback: an empty path")
		}
		return req, err
	})
}

// Checkpoints prints one line a checkpoint: name, when, who, the number of the last
// commit then, and before what it was made by itself, or -; then the note.
func Checkpoints(list []wire.Checkpoint) []byte {
	var b bytes.Buffer
	for _, c := range list {
		fmt.Fprintf(&b, "%s %s %s %d %s", Quote(c.Name), c.At.Format(time.RFC3339), word(c.By), c.Commits, word(c.Auto))
		if c.Note != "" {
			b.WriteString(" " + line(c.Note))
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// Rollback prints what a rollback did.
func Rollback(r wire.RollbackReply) []byte {
	var p pairs
	p.add("to", r.To)
	p.add("kept", r.Kept)
	return p.Bytes()
}

// ParseFork reads one line of a fork file: the name of a fork, and the checkpoint that
// it begins with if that is not the view as it is; or a JSON object. It is like
// ParseCommit.
func ParseFork(line string) (req wire.ForkRequest, ok bool, err error) {
	return read(line, func(words []string) (req wire.ForkRequest, err error) {
		if req.Name = words[0]; len(words) == 2 {
			req.From = words[1]
		}
		if len(words) > 2 {
			err = fault.New(fault.Usage, "fork: say the name of the fork and, if you like, a checkpoint")
		}
		return req, err
	})
}

// Fork prints what a fork is.
func Fork(s wire.Session) []byte {
	var p pairs
	p.add("session", s.Name)
	p.add("view", Quote(s.Workspace))
	return p.Bytes()
}
