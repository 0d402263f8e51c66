package host

import (
	"slices"
	"strings"
	"sync"

	"astrid/kernel/fault"
	"astrid/kernel/store"
)

// Values are what a capsule has stored.
type Values interface {
	Get(key string) ([]byte, error)
	Exists(key string) (bool, error)
	Set(key string, value []byte) error
	Delete(key string) (existed bool, err error)
	List(prefix string) ([]string, error)
	Clear(prefix string) (n int, err error)
}

// Bounds of a Draft.
const (
	maxDraft     = 4 << 20 // bytes
	maxDraftKeys = 1000
)

// Draft is Values whose changes count once they are kept: those of a hook, which
// may fail. Its methods may be called from any goroutine.
type Draft struct {
	space *store.Space

	mu      sync.Mutex
	changed map[string][]byte // nil: deleted
	bytes   int
}

var (
	_ Values = (*Draft)(nil)
	_ Values = (*store.Space)(nil)
)

// NewDraft makes a Draft over a space.
func NewDraft(s *store.Space) *Draft { return &Draft{space: s, changed: map[string][]byte{}} }

// Keep stores the changes of all drafts, of one store, in one transaction.
func Keep(drafts ...*Draft) error {
	return drafts[0].space.Update(func(tx *store.Tx) error {
		for _, d := range drafts {
			for key, value := range d.changed {
				var err error
				if value == nil {
					_, err = tx.Delete(d.space, key)
				} else {
					err = tx.Set(d.space, key, value)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Get implements Values.
func (d *Draft) Get(key string) ([]byte, error) {
	d.mu.Lock()
	value, changed := d.changed[key]
	d.mu.Unlock()
	switch {
	case !changed:
		return d.space.Get(key)
	case value == nil:
		return nil, fault.New(fault.NotFound, "there is no value %.64q", key)
	}
	return slices.Clone(value), nil
}

// Exists implements Values.
func (d *Draft) Exists(key string) (bool, error) {
	d.mu.Lock()
	value, changed := d.changed[key]
	d.mu.Unlock()
	if changed {
		return value != nil, nil
	}
	return d.space.Exists(key)
}

// Set implements Values.
func (d *Draft) Set(key string, value []byte) error {
	if _, err := d.space.Exists(key); err != nil { // what is no key is none here either
		return err
	}
	return d.change(key, append([]byte{}, value...))
}

func (d *Draft) change(key string, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, changed := d.changed[key]
	if d.bytes += len(key) + len(value); d.bytes > maxDraft || !changed && len(d.changed) >= maxDraftKeys {
		return fault.New(fault.Limit, "a hook stores at most %d values and %d bytes", maxDraftKeys, maxDraft)
	}
	d.changed[key] = value
	return nil
}

// Delete implements Values.
func (d *Draft) Delete(key string) (existed bool, err error) {
	if existed, err = d.Exists(key); err != nil || !existed {
		return existed, err
	}
	return true, d.change(key, nil)
}

// List implements Values.
func (d *Draft) List(prefix string) ([]string, error) {
	stored, err := d.space.List(prefix)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	keys := slices.DeleteFunc(stored, func(key string) bool { _, changed := d.changed[key]; return changed })
	for key, value := range d.changed {
		if value != nil && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// Clear implements Values.
func (d *Draft) Clear(prefix string) (n int, err error) {
	keys, err := d.List(prefix)
	for _, key := range keys {
		if err == nil {
			err = d.change(key, nil)
		}
	}
	return len(keys), err
}
