package wasm

import (
	"context"
	"encoding/hex"
	"log/slog"
	"runtime"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
	"lukechampine.com/blake3"

	"astrid/kernel/fault"
)

// Engine compiles modules and keeps what it compiled. Its methods may be called
// from any goroutine.
type Engine struct {
	dir   string
	cache wazero.CompilationCache
	log   *slog.Logger

	mu   sync.Mutex
	open int // modules that are not closed
}

// Open makes an Engine that keeps machine code in dir, which it makes or closes
// to others and prunes to MaxCache; dir is empty: in memory only. Close ends it.
func Open(dir string, log *slog.Logger) (*Engine, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{dir: dir, log: log, cache: wazero.NewCompilationCache()}
	if dir == "" {
		return e, nil
	}
	if err := prepareCache(dir); err != nil {
		return nil, err
	}
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, fault.Wrap(fault.KindOf(err), err, "open the cache of compiled modules %s", dir)
	}
	e.cache = cache
	return e, nil
}

// Close frees the compiled code. All modules must be closed; else it is Busy and
// nothing has happened.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open > 0 {
		return fault.New(fault.Busy, "close the WASM engine: %d modules are open; close them first", e.open)
	}
	return e.cache.Close(ctx)
}

// Compile makes a Module of code, which it does not keep. hash is the BLAKE3 hash
// that code must have, in hex, with or without "blake3:"; empty: any. Nothing of
// the guest runs. A module that is malformed is Usage, one that asks for more
// than there is Limit or Unsupported, one with another hash Conflict.
func (e *Engine) Compile(ctx context.Context, c Config, code []byte, hash string) (*Module, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := verify(code, hash); err != nil {
		return nil, err
	}
	code, err := prepare(code)
	if err != nil {
		return nil, err
	}
	m, err := e.build(ctx, c, code, e.cache)
	if err != nil && e.dir != "" {
		m, err = e.withoutCache(ctx, c, code, err)
	}
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.open++
	e.mu.Unlock()
	return m, nil
}

// withoutCache finds out whether the cache was why a module could not be
// compiled: a torn file, a full disk. Then it clears the cache.
func (e *Engine) withoutCache(ctx context.Context, c Config, code []byte, cause error) (*Module, error) {
	m, err := e.build(ctx, c, code, nil)
	if err != nil {
		return nil, err
	}
	e.log.Warn("the cache of compiled modules was of no use and is cleared", "dir", e.dir, "err", cause)
	if err := prune(e.dir, -1); err != nil {
		e.log.Warn("clear the cache of compiled modules", "dir", e.dir, "err", err)
	}
	return m, nil
}

func verify(code []byte, hash string) error {
	if len(code) > MaxModule {
		return fault.New(fault.Limit, "the module has %d bytes, and at most %d are allowed", len(code), MaxModule)
	}
	if hash == "" {
		return nil
	}
	sum := blake3.Sum256(code)
	if got := hex.EncodeToString(sum[:]); got != strings.TrimPrefix(hash, "blake3:") {
		return fault.New(fault.Conflict, "the module's BLAKE3 hash is %s, but its manifest says %.80s: install the capsule again", got, hash)
	}
	return nil
}

// build makes a runtime of its own for the module: the table of functions and
// the limit of memory are the capsule's, and closing it ends all there is.
func (e *Engine) build(ctx context.Context, c Config, code []byte, cache wazero.CompilationCache) (_ *Module, err error) {
	config := wazero.NewRuntimeConfig().WithCloseOnContextDone(true).WithDebugInfoEnabled(false).
		WithMemoryLimitPages(c.MemoryPages)
	if cache != nil {
		config = config.WithCompilationCache(cache)
	}
	rt := wazero.NewRuntimeWithConfig(ctx, config)
	defer func() {
		if err != nil {
			err = closing(err, rt.Close(ctx))
		}
	}()
	if err := serve(ctx, rt, c.Functions); err != nil {
		return nil, err
	}
	compiled, err := rt.CompileModule(experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0)), code)
	if err != nil {
		kind := fault.Usage
		if ctx.Err() != nil {
			kind = fault.KindOf(ctx.Err())
		}
		return nil, fault.Wrap(kind, err, "compile the module")
	}
	if err := imports(rt, compiled); err != nil {
		return nil, closing(err, compiled.Close(ctx))
	}
	return newModule(e, c, rt, compiled), nil
}

func (e *Engine) closed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open--
}

// closing is err; what went wrong while closing after it matters only when
// nothing else did.
func closing(err, also error) error {
	if err != nil {
		return err
	}
	return also
}
