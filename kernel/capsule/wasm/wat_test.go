package wasm

import (
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// module is a WebAssembly module in the making. Types are written as
// "(iI)→()", one after another, with i, I, f and F; code is in hex, without the
// end of its function.
type module struct {
	types    string
	imports  []string // "module name type"
	bodies   []string
	typed    []int  // type of each body; 0 where it says nothing
	memory   string // hex of the limits
	table    string // hex of kind and limits
	start    int    // function that starts, counted from 1
	exports  map[string]int
	declared string // hex of a function that ref.func may name
}

func vec[T any](all []T, each func(T) []byte) []byte {
	out := binary.AppendUvarint(nil, uint64(len(all)))
	for _, v := range all {
		out = append(out, each(v)...)
	}
	return out
}

func text(s string) []byte { return appendBytes(nil, []byte(s)) }

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func valueTypes(s string) []byte {
	return vec([]byte(strings.Trim(s, "()")), func(b byte) []byte {
		return []byte{map[byte]byte{'i': 0x7f, 'I': 0x7e, 'f': 0x7d, 'F': 0x7c}[b]}
	})
}

func (m module) bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, body []byte) {
		if len(body) > 1 {
			out = appendBytes(append(out, id), body)
		}
	}
	index := func(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }
	section(1, vec(strings.Fields(m.types), func(s string) []byte {
		params, results, _ := strings.Cut(s, "→")
		return append(append([]byte{0x60}, valueTypes(params)...), valueTypes(results)...)
	}))
	section(2, vec(m.imports, func(s string) []byte {
		f := strings.Fields(s)
		return slices.Concat(text(f[0]), text(f[1]), unhex(f[2]))
	}))
	typed := append(slices.Clone(m.typed), make([]int, len(m.bodies)-len(m.typed))...)
	section(3, vec(typed, index))
	if m.table != "" {
		section(4, append([]byte{1}, unhex(m.table)...))
	}
	if m.memory != "" {
		section(5, append([]byte{1}, unhex(m.memory)...))
	}
	section(7, vec(slices.Sorted(maps.Keys(m.exports)), func(name string) []byte {
		return append(append(text(name), 0), index(m.exports[name])...)
	}))
	if m.start > 0 {
		out = appendBytes(append(out, 8), index(m.start-1))
	}
	if m.declared != "" {
		section(9, slices.Concat([]byte{1, 3, 0, 1}, unhex(m.declared)))
	}
	section(10, vec(m.bodies, func(s string) []byte {
		return appendBytes(nil, append(append([]byte{0}, unhex(s)...), 0x0b))
	}))
	return out
}
