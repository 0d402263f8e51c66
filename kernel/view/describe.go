package view

import (
	"fmt"

	"astrid/kernel/wire"
)

// describe says in one line what a commit did.
func describe(r wire.CommitReply) string {
	return fmt.Sprintf("commit %d: %d applied, %d held back, %d left out", r.Number, len(r.Applied), len(r.Held), len(r.Skipped))
}
