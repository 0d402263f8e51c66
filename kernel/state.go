package kernel

import (
	"context"
	"io"

	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

// state is the state store as the operation table sees it.
type state struct {
	*store.Store
	quota int64 // of each capsule
}

var _ op.State = state{}

// maxKeys is how many keys one answer lists.
const maxKeys = 1000

func (s state) space(namespace string) (*store.Space, error) {
	return s.Space(store.Namespace(namespace), store.SpaceOptions{Sync: true, Quota: s.quota})
}

// own refuses to change what the kernel itself keeps, which has operations of
// its own that keep it sound.
func own(namespace string) error {
	switch store.Namespace(namespace) {
	case store.Identity, store.SystemTokens, store.CapTokens, store.CapRevoked, store.CapUsed, store.Allowances, store.Deferred, store.BusCursors, committed:
		return fault.New(fault.Denied, "the namespace %s is the kernel's own: change it by its operations", namespace)
	}
	return nil
}

// Get implements op.State.
func (s state) Get(_ context.Context, req wire.KVKey) (wire.KVValue, error) {
	if req.Namespace == string(store.SystemTokens) {
		return wire.KVValue{}, own(req.Namespace)
	}
	p, err := s.space(req.Namespace)
	if err != nil {
		return wire.KVValue{}, err
	}
	value, err := p.Get(req.Key)
	if err != nil {
		return wire.KVValue{}, err
	}
	return wire.NewKVValue(value), nil
}

// Set implements op.State.
func (s state) Set(_ context.Context, req wire.KVSet) (none wire.None, err error) {
	p, err := s.changing(req.Namespace)
	if err != nil {
		return none, err
	}
	ttl, err := seconds(req.TTL)
	if err != nil {
		return none, err
	}
	value := req.Value()
	if value == nil {
		value = []byte{}
	}
	if req.Old == nil && !req.Absent {
		if ttl > 0 {
			return none, p.SetTTL(req.Key, value, ttl)
		}
		return none, p.Set(req.Key, value)
	}
	if ttl > 0 {
		return none, fault.New(fault.Usage, "a compare-and-swap takes no time to live")
	}
	var old []byte
	if req.Old != nil {
		if old = req.Old.Value(); old == nil {
			old = []byte{}
		}
	}
	swapped, err := p.CompareAndSwap(req.Key, old, value)
	if err == nil && !swapped {
		err = fault.New(fault.Conflict, "the value of %.64q is not the one that was expected: read it again", req.Key)
	}
	return none, err
}

func (s state) changing(namespace string) (*store.Space, error) {
	if err := own(namespace); err != nil {
		return nil, err
	}
	return s.space(namespace)
}

// Delete implements op.State.
func (s state) Delete(_ context.Context, req wire.KVKey) (wire.Removed, error) {
	p, err := s.changing(req.Namespace)
	if err != nil {
		return wire.Removed{}, err
	}
	existed, err := p.Delete(req.Key)
	return wire.Removed{Removed: existed}, err
}

// Keys implements op.State.
func (s state) Keys(_ context.Context, req wire.KVList) (wire.KVKeys, error) {
	p, err := s.space(req.Namespace)
	if err != nil {
		return wire.KVKeys{}, err
	}
	if req.Max < 1 || req.Max > maxKeys {
		req.Max = maxKeys
	}
	items, more, err := p.Page(req.Prefix, req.After, req.Max)
	keys := wire.KVKeys{Keys: make([]string, 0, len(items)), More: more}
	for _, item := range items {
		keys.Keys = append(keys.Keys, item.Key)
	}
	return keys, err
}

// Clear implements op.State.
func (s state) Clear(_ context.Context, req wire.KVClear) (wire.Cleared, error) {
	p, err := s.changing(req.Namespace)
	if err != nil {
		return wire.Cleared{}, err
	}
	n, err := p.Clear(req.Prefix)
	return wire.Cleared{Cleared: n}, err
}

// Backup implements op.State.
func (s state) Backup(_ context.Context, _ wire.None, w io.Writer) error { return s.Store.Backup(w) }
