package store_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
)

const modelQuota = 400

type modelValue struct {
	value  string
	expiry time.Time // zero: never
}

// model is a store as a map.
type model struct {
	t      *testing.T
	dir    string
	clock  *clock
	store  *store.Store
	spaces map[string]*store.Space
	values map[string]map[string]modelValue
}

func (m *model) open() {
	m.store = storetest.Open(m.t, m.dir, m.clock.Now)
	m.spaces = map[string]*store.Space{}
	for ns := range m.values {
		m.spaces[ns] = storetest.Space(m.t, m.store, store.Namespace(ns), store.SpaceOptions{Quota: modelQuota})
	}
}

// live is what a namespace holds now.
func (m *model) live(ns string) map[string]string {
	live := map[string]string{}
	for key, v := range m.values[ns] {
		if v.expiry.IsZero() || m.clock.Now().Before(v.expiry) {
			live[key] = v.value
		}
	}
	return live
}

// fits tells whether ns has room for key with value. What is past its time
// counts for nothing.
func (m *model) fits(ns, key, value string) bool {
	live := m.live(ns)
	old, there := live[key]
	if there && len(value) <= len(old) {
		return true
	}
	live[key] = value
	return size(live) <= modelQuota
}

func size(live map[string]string) (n int) {
	for key, value := range live {
		n += len(key) + len(value)
	}
	return n
}

func (m *model) put(r *rapid.T, err error, ns, key string, v modelValue) {
	if m.fits(ns, key, v.value) {
		if err != nil {
			r.Fatalf("set %s %s: %v", ns, key, err)
		}
		m.values[ns][key] = v
	} else if !fault.Is(err, fault.NoSpace) {
		r.Fatalf("set %s %s over the quota: %v", ns, key, err)
	}
}

func (m *model) compare(r *rapid.T) {
	for ns, p := range m.spaces {
		live := m.live(ns)
		keys, err := p.List("")
		if want := slices.Sorted(maps.Keys(live)); err != nil || !slices.Equal(keys, want) {
			r.Fatalf("%s lists %v, %v, want %v", ns, keys, err, want)
		}
		for key, want := range live {
			if got, err := p.Get(key); err != nil || string(got) != want {
				r.Fatalf("%s %s is %q, %v, want %q", ns, key, got, err, want)
			}
		}
		if n, err := p.Usage(); err != nil || n < int64(size(live)) || n > modelQuota {
			r.Fatalf("the usage of %s is %d, %v, alive are %d", ns, n, err, size(live))
		}
	}
	if _, err := m.store.Check(); err != nil {
		r.Fatal(err)
	}
}

func TestAStoreIsAMap(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := &model{t: t, dir: t.TempDir(), clock: newClock(), values: map[string]map[string]modelValue{"a": {}, "ab": {}}}
		m.open()
		defer func() { storetest.Close(t, m.store) }()
		ns := rapid.SampledFrom([]string{"a", "ab"})
		key := rapid.StringOfN(rapid.SampledFrom([]rune("ab/")), 1, 3, -1)
		value := rapid.Custom(func(r *rapid.T) string {
			return strings.Repeat("v", rapid.IntRange(0, 120).Draw(r, "length"))
		})
		r.Repeat(map[string]func(*rapid.T){
			"": m.compare,
			"set": func(r *rapid.T) {
				n, k, v := ns.Draw(r, "ns"), key.Draw(r, "key"), value.Draw(r, "value")
				m.put(r, m.spaces[n].Set(k, []byte(v)), n, k, modelValue{value: v})
			},
			"set for a while": func(r *rapid.T) {
				n, k, v := ns.Draw(r, "ns"), key.Draw(r, "key"), value.Draw(r, "value")
				ttl := time.Duration(rapid.IntRange(1, 5).Draw(r, "ttl")) * time.Second
				m.put(r, m.spaces[n].SetTTL(k, []byte(v), ttl), n, k, modelValue{value: v, expiry: m.clock.Now().Add(ttl)})
			},
			"swap": func(r *rapid.T) {
				n, k, v := ns.Draw(r, "ns"), key.Draw(r, "key"), value.Draw(r, "value")
				old, there := m.live(n)[k]
				var expected []byte
				if there {
					expected = []byte(old)
				}
				swapped, err := m.spaces[n].CompareAndSwap(k, expected, []byte(v))
				if err == nil && !swapped {
					r.Fatal("not swapped")
				}
				m.put(r, err, n, k, modelValue{value: v})
			},
			"delete": func(r *rapid.T) {
				n, k := ns.Draw(r, "ns"), key.Draw(r, "key")
				_, want := m.live(n)[k]
				if existed, err := m.spaces[n].Delete(k); err != nil || existed != want {
					r.Fatalf("delete: %v, %v", existed, err)
				}
				delete(m.values[n], k)
			},
			"clear": func(r *rapid.T) {
				n, prefix := ns.Draw(r, "ns"), rapid.SampledFrom([]string{"", "a", "b", "ab", "/"}).Draw(r, "prefix")
				want := 0
				for k := range m.live(n) {
					if strings.HasPrefix(k, prefix) {
						want++
					}
				}
				if got, err := m.spaces[n].Clear(prefix); err != nil || got != want {
					r.Fatalf("cleared %d, %v, want %d", got, err, want)
				}
				maps.DeleteFunc(m.values[n], func(k string, _ modelValue) bool { return strings.HasPrefix(k, prefix) })
			},
			"move": func(r *rapid.T) {
				k := key.Draw(r, "key")
				v, there := m.live("a")[k]
				err := m.spaces["a"].Update(func(tx *store.Tx) error {
					got, err := tx.Get(m.spaces["a"], k)
					if err != nil {
						return err
					}
					if _, err := tx.Delete(m.spaces["a"], k); err != nil {
						return err
					}
					return tx.Set(m.spaces["ab"], k, bytes.Clone(got))
				})
				if !there {
					if !fault.Is(err, fault.NotFound) {
						r.Fatal(err)
					}
					return
				}
				if m.put(r, err, "ab", k, modelValue{value: v}); err == nil {
					delete(m.values["a"], k)
				}
			},
			"time passes": func(r *rapid.T) {
				m.clock.advance(time.Duration(rapid.IntRange(1, 3000).Draw(r, "ms")) * time.Millisecond)
			},
			"reopen": func(r *rapid.T) {
				if rapid.IntRange(0, 9).Draw(r, "whether") == 0 {
					storetest.Close(t, m.store)
					m.open()
				}
			},
		})
	})
}
