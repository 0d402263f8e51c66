package wire

import "time"

// Author is the process that changed a path last.
type Author struct {
	PID     uint32    `json:"pid,omitzero"` // 0: unknown, as of a write to a mapped file
	UID     uint32    `json:"uid"`
	Exe     string    `json:"exe,omitempty"`     // path of its program; absent: it is not known
	Command string    `json:"command,omitempty"` // its name
	At      time.Time `json:"at"`
}
