package capsule

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"astrid/kernel/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engine makes units that do as their names say.
type engine struct {
	mu     sync.Mutex
	events []string
	broken map[ID]error // what starting a capsule fails with
	dead   map[ID]error // what a unit that runs says of itself
	late   bool         // units are never ready
}

func (e *engine) say(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events = append(e.events, text)
}

func (e *engine) take() (events []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	events, e.events = e.events, nil
	return events
}

func (e *engine) Start(_ context.Context, f Found) (Unit, error) {
	e.mu.Lock()
	err := e.broken[f.Package.Name]
	delete(e.dead, f.Package.Name)
	e.mu.Unlock()
	if err != nil {
		e.say("fail " + string(f.Package.Name))
		return nil, err
	}
	e.say("start " + string(f.Package.Name))
	return &fakeUnit{e, f.Package.Name}, nil
}

type fakeUnit struct {
	e  *engine
	id ID
}

func (u *fakeUnit) Ready() <-chan struct{} {
	ready := make(chan struct{})
	if !u.e.late {
		close(ready)
	}
	return ready
}

func (u *fakeUnit) Alive() error {
	u.e.mu.Lock()
	defer u.e.mu.Unlock()
	return u.e.dead[u.id]
}

func (u *fakeUnit) Close(context.Context) error { u.e.say("close " + string(u.id)); return nil }

func bench(t *testing.T) (root string, e *engine, r *Registry) {
	t.Helper()
	root = t.TempDir()
	e = &engine{broken: map[ID]error{}, dead: map[ID]error{}}
	return root, e, NewRegistry(Config{Roots: []string{root}, Engine: e})
}

func load(t *testing.T, r *Registry) {
	t.Helper()
	if _, err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// D3: a reload touches only what changed, and leaves no ghost.
func TestAReloadTouchesOnlyWhatChanged(t *testing.T) {
	root, e, r := bench(t)
	for _, name := range []string{"a", "b", "c"} {
		write(t, filepath.Join(root, name, ManifestName), manifest(name, ""))
	}
	write(t, filepath.Join(root, "u", ManifestName), manifest("u", "[capabilities]\nuplink = true\n"))
	load(t, r)
	if got := e.take(); !slices.Equal(got, []string{"start u", "start a", "start b", "start c"}) {
		t.Errorf("loaded: %q", got)
	}
	load(t, r)
	if got := e.take(); len(got) != 0 {
		t.Errorf("nothing changed: %q", got)
	}
	write(t, filepath.Join(root, "a", "new"), "x")
	if err := os.RemoveAll(filepath.Join(root, "b")); err != nil {
		t.Fatal(err)
	}
	load(t, r)
	got := e.take()
	slices.Sort(got)
	if !slices.Equal(got, []string{"close a", "close b", "start a"}) {
		t.Errorf("one changed and one went: %q", got)
	}
	if list := r.List(); len(list) != 3 || list[1].State != Ready {
		t.Errorf("%+v", list)
	}
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := r.Load(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after the end: %v", err)
	}
}

func TestWhatIsSwitchedOffIsNotLoaded(t *testing.T) {
	root, e, r := bench(t)
	off := false
	r.config.Off = func(ID) bool { return off }
	write(t, filepath.Join(root, "a", ManifestName), manifest("a", ""))
	load(t, r)
	off = true
	load(t, r)
	if got := e.take(); !slices.Equal(got, []string{"start a", "close a"}) || r.List()[0].State != Disabled {
		t.Errorf("%q, %+v", got, r.List())
	}
	off = false
	load(t, r)
	if got := e.take(); !slices.Equal(got, []string{"start a"}) {
		t.Errorf("%q", got)
	}
}

// D12: restarts are counted in a window, whether the capsule came up in between
// or not, and a restart that fails is tried again.
func TestACapsuleThatCrashesIsStartedAgainEverLaterAndNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root, e, r := bench(t)
		write(t, filepath.Join(root, "a", ManifestName), manifest("a", ""))
		load(t, r)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Supervise(ctx) }()
		for range 120 { // it crashes as soon as it is up
			time.Sleep(10 * time.Second)
			synctest.Wait()
			e.mu.Lock()
			e.dead["a"] = errors.New("trap")
			e.mu.Unlock()
		}
		starts := 0
		for _, event := range e.take() {
			if event == "start a" {
				starts++
			}
		}
		if starts != 1+maxRestarts {
			t.Errorf("started %d times in twenty minutes", starts)
		}
		if s := r.List()[0]; s.State != Failed || s.Why != "trap" || s.Restarts != maxRestarts {
			t.Errorf("%+v", s)
		}
		e.mu.Lock()
		e.broken["a"] = errors.New("no disk")
		e.mu.Unlock()
		load(t, r) // a person asks, in vain at first
		time.Sleep(time.Minute)
		e.mu.Lock()
		delete(e.broken, "a")
		e.mu.Unlock()
		if got := strings.Join(e.take(), ","); !strings.Contains(got, "fail a") {
			t.Errorf("a load tries it again: %s", got)
		}
		cancel()
		<-done
	})
}

func TestAFailedStartIsTriedAgainUnlessThatCannotHelp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root, e, r := bench(t)
		for _, name := range []string{"a", "b"} {
			write(t, filepath.Join(root, name, ManifestName), manifest(name, ""))
		}
		e.broken["a"], e.broken["b"] = errors.New("busy"), fault.New(fault.Usage, "the module is broken")
		load(t, r)
		delete(e.broken, "a")
		delete(e.broken, "b")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Supervise(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := e.take(); !slices.Equal(got, []string{"fail a", "fail b", "start a"}) {
			t.Errorf("%q", got)
		}
		cancel()
		<-done
	})
}

func TestALateCapsuleHoldsUpNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root, e, r := bench(t)
		e.late = true
		for _, name := range []string{"a", "b", "c"} {
			write(t, filepath.Join(root, name, ManifestName), manifest(name, ""))
		}
		began := time.Now()
		load(t, r)
		if took := time.Since(began); took != 2*readiness && took != readiness {
			t.Errorf("a load of late capsules takes %v", took)
		}
	})
}

// What is not permitted any more ends, and is not loaded until it is again.
func TestACapsuleIsLoadedAsItIsPermitted(t *testing.T) {
	root, e, _ := bench(t)
	no := map[ID]bool{}
	r := NewRegistry(Config{Roots: []string{root}, Engine: e, Permit: func(f Found) (Found, error) {
		f.Manifest = f.Within(Rights{})
		if no[f.Package.Name] {
			return f, fault.New(fault.Denied, "not this one")
		}
		return f, nil
	}})
	for _, name := range []string{"a", "b"} {
		write(t, filepath.Join(root, name, ManifestName), manifest(name, "[capabilities]\nnet = [\"*\"]\n"))
	}
	for _, step := range []struct {
		refused             ID
		loaded, kept, ended []ID
	}{
		{"a", []ID{"b"}, nil, nil},
		{"b", []ID{"a"}, nil, []ID{"b"}},
		{"b", nil, []ID{"a"}, nil},
		{"", []ID{"b"}, []ID{"a"}, nil},
	} {
		no = map[ID]bool{step.refused: true}
		did, err := r.Load(t.Context())
		if err != nil || !slices.Equal(did.Loaded, step.loaded) || !slices.Equal(did.Kept, step.kept) || !slices.Equal(did.Ended, step.ended) {
			t.Errorf("without %q it did %+v, %v", step.refused, did, err)
		}
		for _, s := range r.List() {
			if (s.State == Untrusted) != no[s.Package.Name] || s.State != Untrusted && len(s.Capabilities.Net) > 0 {
				t.Errorf("without %q %s is %s and may reach %q", step.refused, s.Package.Name, s.State, s.Capabilities.Net)
			}
		}
	}
}
