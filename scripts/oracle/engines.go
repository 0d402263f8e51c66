package oracle

import (
	"context"
	"errors"
	"time"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"

	"astrid/kernel/capsule/host"
	"astrid/kernel/capsule/wasm"
)

// Stub answers a call of a host function.
type Stub func(name string, args []string) string

// Guest is a module that runs in one of the engines.
type Guest interface {
	Call(ctx context.Context, export string, input []byte) (output []byte, err error)
	Close(ctx context.Context) error
}

// Limit is what a call may take, in both.
const Limit = 10 * time.Second

// ours is a guest of our engine.
type ours struct {
	*wasm.Module
	engine *wasm.Engine
}

// Ours loads a guest into our engine, whose cache is in dir.
func Ours(ctx context.Context, dir string, code []byte, stub Stub) (Guest, error) {
	e, err := wasm.Open(dir, nil)
	if err != nil {
		return nil, err
	}
	var functions []wasm.Func
	for _, f := range host.New(host.Config{}).Functions() {
		functions = append(functions, wasm.Func{Name: f.Name, Params: len(f.Args), Result: wasm.Result(f.Result),
			Call: func(_ context.Context, _ *wasm.Call, args [][]byte) ([]byte, int64, error) {
				texts := make([]string, len(args))
				for i, a := range args {
					texts[i] = string(a)
				}
				return []byte(stub(f.Name, texts)), 1, nil
			}})
	}
	m, err := e.Compile(ctx, wasm.Config{Functions: functions, Timeout: Limit, CPU: Limit}, code, "")
	if err != nil {
		return nil, errors.Join(err, e.Close(ctx))
	}
	return ours{m, e}, nil
}

// Close ends it.
func (o ours) Close(ctx context.Context) error {
	return errors.Join(o.Module.Close(ctx), o.engine.Close(ctx))
}

// theirs is a guest of the Extism SDK.
type theirs struct {
	*extism.CompiledPlugin
	plugin *extism.Plugin
}

// Theirs loads a guest into the Extism SDK. cache may be nil.
func Theirs(ctx context.Context, cache wazero.CompilationCache, code []byte, stub Stub) (Guest, error) {
	var functions []extism.HostFunction
	for _, f := range host.New(host.Config{}).Functions() {
		params := make([]extism.ValueType, len(f.Args))
		for i := range params {
			params[i] = extism.ValueTypeI64
		}
		results := []extism.ValueType{extism.ValueTypeI64}
		if f.Result == host.Nothing {
			results = nil
		}
		functions = append(functions, extism.NewHostFunctionWithStack(f.Name, func(_ context.Context, p *extism.CurrentPlugin, stack []uint64) {
			texts := make([]string, len(params))
			for i := range texts {
				texts[i], _ = p.ReadString(stack[i]) // as 0.2 has it: what is no block is empty
			}
			answer := stub(f.Name, texts)
			switch f.Result {
			case host.Integer:
				stack[0] = 1
			case host.Block:
				if stack[0] = 0; answer != "" {
					stack[0], _ = p.WriteString(answer)
				}
			}
		}, params, results))
	}
	runtime := wazero.NewRuntimeConfig().WithCloseOnContextDone(true)
	if cache != nil {
		runtime = runtime.WithCompilationCache(cache)
	}
	manifest := extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: code}}, Timeout: uint64(Limit.Milliseconds())}
	c, err := extism.NewCompiledPlugin(ctx, manifest, extism.PluginConfig{EnableWasi: true, RuntimeConfig: runtime}, functions)
	if err != nil {
		return nil, err
	}
	p, err := c.Instance(ctx, extism.PluginInstanceConfig{ModuleConfig: wazero.NewModuleConfig().WithSysWalltime()})
	if err != nil {
		return nil, errors.Join(err, c.Close(ctx))
	}
	return theirs{c, p}, nil
}

// Call calls an export.
func (t theirs) Call(ctx context.Context, export string, input []byte) ([]byte, error) {
	_, out, err := t.plugin.CallWithContext(ctx, export, input)
	return append([]byte(nil), out...), err
}

// Close ends it.
func (t theirs) Close(ctx context.Context) error {
	return errors.Join(t.plugin.Close(ctx), t.CompiledPlugin.Close(ctx))
}
