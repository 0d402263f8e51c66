package kernel

import (
	"context"
	"io"
	"strings"

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
	family, _, _ := strings.Cut(namespace, ":")
	switch family {
	case "system", "caps", "allowances", "approvals", "bus", "audit":
		return fault.New(fault.Denied, "the namespace %.64q is the kernel's own: change it by its operations", namespace)
	}
	return nil
}

// readable is the namespace unless what it holds is nobody's to see.
func (s state) readable(namespace string) (*store.Space, error) {
	if namespace == string(store.SystemTokens) {
		return nil, fault.New(fault.Denied, "the namespace %s is the kernel's own: nobody reads it", namespace)
	}
	return s.space(namespace)
}

// Get implements op.State.
func (s state) Get(_ context.Context, req wire.KVKey) (wire.KVValue, error) {
	p, err := s.readable(req.Namespace)
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
	p, err := s.readable(req.Namespace)
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

// Backup implements op.State. It holds what is nobody's to see.
func (s state) Backup(ctx context.Context, _ wire.None, w io.Writer) error {
	if op.CallerOf(ctx).Principal != op.Owner {
		return fault.New(fault.Denied, "a backup holds everything: only the owner of this kernel makes one")
	}
	return s.Store.Backup(w)
}
