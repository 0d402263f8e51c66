package approve

import (
	"context"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// keep stores a request for a late answer.
func (d *Desk) keep(r *Request) error {
	r.Deferred, r.Expires = true, r.Asked.Add(DeferredFor)
	data, err := wire.EncodeExact(r)
	if err != nil {
		return err
	}
	left := r.Expires.Sub(d.config.Now())
	return d.deferred.Update(func(tx *store.Tx) error {
		keys, err := tx.List(d.deferred, "")
		if err != nil {
			return err
		}
		if len(keys) >= MaxDeferred {
			return fault.New(fault.Limit, "%d requests are kept for a late answer already", len(keys))
		}
		return tx.SetTTL(d.deferred, r.ID, data, left)
	})
}

func (d *Desk) kept() ([]Request, error) {
	var list []Request
	err := d.deferred.Each("", func(_ string, value []byte) error {
		var r Request
		if err := wire.Decode(value, &r); err != nil {
			return fault.Wrap(fault.Internal, err, "a kept request for approval is damaged")
		}
		list = append(list, r)
		return nil
	})
	return list, err
}

// find returns a kept request: Kind NotFound when there is none.
func (d *Desk) find(id string) (r Request, err error) {
	if _, err := wire.ParseUUID(id); err != nil {
		return r, noRequest(id)
	}
	data, err := d.deferred.Get(id)
	if fault.Is(err, fault.NotFound) {
		return r, noRequest(id)
	}
	if err == nil {
		err = wire.Decode(data, &r)
	}
	return r, err
}

func noRequest(id string) error {
	return fault.New(fault.NotFound, "no request %.64q waits for approval: it was answered, withdrawn or forgotten", id)
}

// answerKept answers a request that nobody waits for any more.
func (d *Desk) answerKept(ctx context.Context, a Answer) (Answer, error) {
	r, err := d.find(a.ID)
	if err != nil {
		return Answer{}, err
	}
	existed, err := d.deferred.Delete(a.ID)
	if err == nil && !existed {
		err = noRequest(a.ID)
	}
	if err == nil {
		err = d.config.Record(ctx, r, &a)
	}
	if err == nil && a.Approved {
		err = d.config.Memory.Allow(r, a.Decision)
	}
	if err != nil {
		return Answer{}, err
	}
	d.config.Announce(r, &a)
	return a, nil
}
