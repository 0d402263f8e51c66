package session

import (
	"strconv"

	"astrid/kernel/wire"
)

// askedFor is the reason of an end that needs no words.
const askedFor = "astrid down"

// counted says a number of changes in words.
func counted(n int) string {
	if n == 1 {
		return "1 change"
	}
	return strconv.Itoa(n) + " changes"
}

// keptBy is the note on a session whose view has ended: why, unless somebody
// asked for it, and what it keeps. exit is nil when nothing is known.
func keptBy(exit *wire.ViewExit) string {
	if exit == nil || exit.Error != nil {
		return ""
	}
	note := exit.Why
	if note == askedFor {
		note = ""
	}
	if exit.Changes == 0 {
		return note
	}
	if note != "" {
		note += "; "
	}
	return note + counted(exit.Changes) + " kept, not committed"
}
