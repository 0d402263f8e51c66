package session

import (
	"context"
	"errors"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Retire ends the views that nobody works in, as an idle kernel does before it
// ends itself; uncommitted work is kept. If one refuses, because a program works
// in it, those that were ended come back, and the error, of Kind Busy, says who
// refused.
func (t *Table) Retire(ctx context.Context) error {
	var ended []*entry
	for _, e := range t.all() {
		if state, _, _ := e.look(); state == stopped || state == failed {
			continue
		}
		if err := e.down(ctx, wire.DownRequest{Session: e.name}, "nobody needed it"); err != nil {
			return t.bringBack(ctx, ended, err)
		}
		ended = append(ended, e)
	}
	return nil
}

func (t *Table) bringBack(ctx context.Context, ended []*entry, refused error) error {
	failed := []error{refused}
	for _, e := range ended {
		if err := e.up(ctx, wire.Up{}); err != nil {
			failed = append(failed, err)
		}
	}
	return fault.New(fault.KindOf(refused), "%w", errors.Join(failed...))
}
