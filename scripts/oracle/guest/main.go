//go:build wasip1

// Command guest is made with Extism's own development kit, as 0.2 guests are with
// that for Rust.
package main

import (
	"bytes"
	"errors"
	"strings"

	"github.com/extism/go-pdk"
)

//go:wasmexport echo
func echo() int32 {
	pdk.Output(pdk.Input())
	return 0
}

//go:wasmexport nothing
func nothing() int32 { return 0 }

//go:wasmexport upper
func upper() int32 {
	pdk.OutputString(strings.ToUpper(pdk.InputString()))
	return 0
}

//go:wasmexport fail
func fail() int32 {
	pdk.Output([]byte("half of it"))
	pdk.SetError(errors.New("it failed: " + pdk.InputString()))
	return 1
}

//go:wasmexport crash
func crash() int32 {
	var none map[string]int
	none[pdk.InputString()] = 1
	return 0
}

// count keeps a number in a variable: of the instance, not of the call.
//
//go:wasmexport count
func count() int32 {
	pdk.SetVar("n", append(pdk.GetVar("n"), pdk.Input()...))
	pdk.Output(pdk.GetVar("n"))
	return 0
}

//go:wasmexport forget
func forget() int32 {
	pdk.RemoveVar("n")
	pdk.Output(append([]byte("now: "), pdk.GetVar("n")...))
	return 0
}

// blocks makes and frees memory of the host's, of odd lengths.
//
//go:wasmexport blocks
func blocks() int32 {
	var out bytes.Buffer
	for n := range 100 {
		m := pdk.AllocateBytes(bytes.Repeat([]byte{byte(n)}, n+1))
		out.Write(m.ReadBytes()[:1])
		if n%3 == 0 {
			m.Free()
		}
	}
	pdk.Output(out.Bytes())
	return 0
}

//go:wasmexport settings
func settings() int32 {
	value, there := pdk.GetConfig("none")
	pdk.Log(pdk.LogInfo, "said")
	if there {
		value = "there: " + value
	}
	pdk.OutputString("[" + value + "]")
	return 0
}

//go:wasmimport extism:host/user astrid_signal_ready
func signalReady()

// ask calls the host a thousand times, with nothing to say.
//
//go:wasmexport ask
func ask() int32 {
	for range 1000 {
		signalReady()
	}
	return 0
}

func main() {}
