package text

import (
	"bytes"
	"fmt"
	"time"

	"astrid/kernel/wire"
)

// Blame prints one line a change: as Changes does, and then who made it and when.
func Blame(changes []wire.Change) []byte {
	var b bytes.Buffer
	for i := range changes {
		c := changes[i]
		c.Note = Author(c.By)
		change(&b, &c)
	}
	return b.Bytes()
}

// Author says who made a change, and when.
func Author(a *wire.Author) string {
	switch {
	case a == nil:
		return "unknown"
	case a.PID == 0:
		return "unknown, " + a.At.Format(time.RFC3339)
	}
	who := a.Exe
	switch {
	case who == "" && a.Command != "":
		who = a.Command
	case who == "":
		who = "unknown program"
	}
	return fmt.Sprintf("%s, pid %d, uid %d, %s", who, a.PID, a.UID, a.At.Format(time.RFC3339))
}
