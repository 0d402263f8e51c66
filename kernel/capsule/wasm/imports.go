package wasm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"astrid/kernel/fault"
)

// maxNamed is how many imports an error names.
const maxNamed = 8

// serve puts all that a guest can import into rt.
func serve(ctx context.Context, rt wazero.Runtime, functions []Func) error {
	user := rt.NewHostModuleBuilder("extism:host/user")
	for _, f := range functions {
		define(user, f.Name, strings.Repeat("I", f.Params), f.signature(), f.serve)
	}
	env := rt.NewHostModuleBuilder("extism:host/env")
	for _, f := range extism() {
		define(env, f.name, f.params, f.results, f.serve)
	}
	shim := rt.NewHostModuleBuilder("shim")
	table := table(slices.Clone(functions))
	define(shim, "__get_function_arg_type", "ii", "i", table.argument)
	define(shim, "__get_function_return_type", "i", "i", table.result)
	define(shim, "__invokeHostFunc", "iIIIII", "I", table.invoke)

	_, err := wasi_snapshot_preview1.Instantiate(ctx, rt)
	for _, b := range []wazero.HostModuleBuilder{env, user, shim} {
		if err == nil {
			_, err = b.Instantiate(ctx)
		}
	}
	if err != nil {
		return fault.Wrap(fault.Usage, err, "put the host functions together")
	}
	return nil
}

// define adds a function; its types are written with i for i32 and I for i64.
func define(b wazero.HostModuleBuilder, name, params, results string, serve func(c *Call, stack []uint64)) {
	b.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(ctx context.Context, stack []uint64) {
		serve(callOf(ctx), stack)
	}), types(params), types(results)).Export(name)
}

func types(text string) []api.ValueType {
	var all []api.ValueType
	for _, t := range text {
		if t == 'i' {
			all = append(all, api.ValueTypeI32)
		} else {
			all = append(all, api.ValueTypeI64)
		}
	}
	return all
}

// imports refuses a module that imports what rt has not.
func imports(rt wazero.Runtime, compiled wazero.CompiledModule) error {
	var unknown []string
	for _, f := range compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		var is api.FunctionDefinition
		if host := rt.Module(module); host != nil {
			is = host.ExportedFunctionDefinitions()[name]
		}
		switch {
		case is == nil:
			unknown = append(unknown, fmt.Sprintf("%.80s of %.80s", name, module))
		case !slices.Equal(f.ParamTypes(), is.ParamTypes()) || !slices.Equal(f.ResultTypes(), is.ResultTypes()):
			unknown = append(unknown, fmt.Sprintf("%.80s of %.80s with other types", name, module))
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	text := strings.Join(unknown[:min(len(unknown), maxNamed)], ", ")
	if more := len(unknown) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return fault.New(fault.Unsupported, "the module imports functions that are not there: %s; build the capsule for Astrid 0.2", text)
}
