package wasm

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"astrid/kernel/fault"
)

// Module is a compiled module and its instances. Its methods may be called from
// any goroutine.
type Module struct {
	engine   *Engine
	config   Config
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	exports  map[string]bool
	start    string        // the export that initialises an instance, if it is there
	slots    chan struct{} // one for each call that has an instance

	work sync.WaitGroup // calls, runs, and instances that are being dropped

	mu     sync.Mutex
	closed bool
	calls  map[*Call]bool // true: a Run
	idle   []*instance    // the last one was used last
	stats  Stats
}

// Stats is what a Module has done and does.
type Stats struct {
	Calls uint64 // begun, runs included
	Made  uint64 // instances
	Lost  uint64 // of them, ended by their guest, a limit or the caller
	Busy  int    // calls that go on or wait
	Idle  int    // instances
}

func newModule(e *Engine, c Config, rt wazero.Runtime, compiled wazero.CompiledModule) *Module {
	m := &Module{
		engine: e, config: c, runtime: rt, compiled: compiled, exports: map[string]bool{}, start: "_initialize",
		slots: make(chan struct{}, c.MaxInstances), calls: map[*Call]bool{},
	}
	all := compiled.ExportedFunctions()
	if _, reactor := all[m.start]; !reactor {
		m.start = "__wasm_call_ctors"
	}
	for name, f := range all {
		if callable(f) && name[:min(1, len(name))] != "_" {
			m.exports[name] = true
		}
	}
	return m
}

// callable tells whether f is ()→(), ()→i32 or ()→i64.
func callable(f api.FunctionDefinition) bool {
	results := f.ResultTypes()
	return len(f.ParamTypes()) == 0 &&
		(len(results) == 0 || len(results) == 1 && (results[0] == api.ValueTypeI32 || results[0] == api.ValueTypeI64))
}

// Exports are the names of what can be called, sorted: functions without
// parameters and with at most one integer as result. Names that begin with "_"
// belong to the guest's own runtime.
func (m *Module) Exports() []string { return slices.Sorted(maps.Keys(m.exports)) }

// Has tells whether name can be called.
func (m *Module) Has(name string) bool { return m.exports[name] }

// Stats tells what the Module has done and does.
func (m *Module) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Busy, s.Idle = len(m.calls), len(m.idle)
	return s
}

func (m *Module) count(what func(*Stats)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	what(&m.stats)
}

// begin makes a Call and registers it. finish must follow.
func (m *Module) begin(ctx context.Context, export string, run bool) (*Call, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return nil, fault.Wrap(fault.Unavailable, unloaded(), "call %s", export)
	case run && slices.Contains(slices.Collect(maps.Values(m.calls)), true):
		return nil, fault.New(fault.Busy, "run the module: it runs already")
	}
	c := &Call{module: m, export: export, run: run, arena: arena{most: m.config.MaxBlock, forgetful: run}}
	c.ctx, c.end = context.WithCancelCause(ctx)
	m.calls[c] = run
	m.stats.Calls++
	m.work.Add(1)
	return c, nil
}

func unloaded() *Ended {
	return &Ended{Closed, fault.New(fault.Unavailable, "the capsule is being unloaded")}
}

func (m *Module) finish(c *Call) {
	c.end(nil)
	m.mu.Lock()
	delete(m.calls, c)
	m.mu.Unlock()
	m.work.Done()
}

// take returns the idle instance that was used last, nil when there is none.
func (m *Module) take() *instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.idle)
	if n == 0 {
		return nil
	}
	i := m.idle[n-1]
	m.idle = m.idle[:n-1]
	i.expires.Stop()
	return i
}

// leave keeps an instance that is whole for the next call, for a while. That of
// a run is nobody else's.
func (m *Module) leave(i *instance, whole, run bool) {
	i.call = nil // and its blocks
	if !whole || run {
		i.close()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !whole:
		m.stats.Lost++
	case !run:
		m.idle = append(m.idle, i)
		i.expires = time.AfterFunc(m.config.Idle, func() { m.drop(i) })
	}
}

// drop closes i if it is still idle.
func (m *Module) drop(i *instance) {
	m.mu.Lock()
	at := slices.Index(m.idle, i)
	if m.closed {
		at = -1 // Close does it
	}
	if at >= 0 {
		m.idle = slices.Delete(m.idle, at, at+1)
		m.work.Add(1)
	}
	m.mu.Unlock()
	if at >= 0 {
		i.close()
		m.work.Done()
	}
}

// Close refuses new calls and ends the Run. Calls may finish until ctx ends, and
// are ended then. It returns after the last; a host function that does not heed
// its context holds it up. A second Close waits like the first.
func (m *Module) Close(ctx context.Context) error {
	m.mu.Lock()
	first := !m.closed
	m.closed = true
	m.mu.Unlock()
	m.endCalls(true)
	stop := context.AfterFunc(ctx, func() { m.endCalls(false) })
	m.work.Wait()
	stop()
	if !first {
		return nil
	}
	m.mu.Lock()
	idle := m.idle
	m.idle = nil
	m.mu.Unlock()
	for _, i := range idle {
		i.expires.Stop()
		i.close()
	}
	m.engine.closed()
	return closing(m.compiled.Close(context.Background()), m.runtime.Close(context.Background()))
}

// endCalls ends the calls, or the runs only.
func (m *Module) endCalls(runs bool) {
	var ending []*Call
	m.mu.Lock()
	for c, run := range m.calls {
		if run || !runs {
			ending = append(ending, c)
		}
	}
	m.mu.Unlock()
	for _, c := range ending {
		c.unload()
	}
}
