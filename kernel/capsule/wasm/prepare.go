package wasm

import (
	"encoding/binary"
	"strings"

	"astrid/kernel/fault"
)

// Sections of a module that prepare looks into.
const (
	customSection = 0
	importSection = 2
	tableSection  = 4
	codeSection   = 10
	dataSection   = 11

	// maxSection bounds all others, since the decoder needs many bytes for each
	// that it reads.
	maxSection = 4 << 20
)

// prepare returns the module that is run in place of code: the same, but
//   - each function that could call another begins with an empty loop. The
//     machine code looks at loops alone whether it must end, and lets the Go
//     runtime stop it there; a guest that recurses without loops would hold a
//     thread, and with it each garbage collection, for ever;
//   - tables have a limit, since table.grow knows no other;
//   - custom sections but the names of functions are left out.
//
// What it does not understand it refuses; that the rest is valid the compiler
// finds out.
func prepare(code []byte) ([]byte, error) {
	if !strings.HasPrefix(string(code), "\x00asm\x01\x00\x00\x00") {
		return nil, fault.New(fault.Usage, "the file is no WebAssembly module of version 1: components and other formats are not run here")
	}
	r := &reader{left: code[8:]}
	out := append(make([]byte, 0, len(code)+len(code)/16), code[:8]...)
	for len(r.left) > 0 {
		id := r.byte()
		body, err := section(id, r.take(r.number()))
		if r.torn || err != nil {
			return nil, closing(err, malformed())
		}
		if body != nil {
			out = append(out, id)
			out = appendBytes(out, body)
		}
	}
	return out, nil
}

// section returns what stands in the place of a section; nil: nothing.
func section(id byte, body []byte) ([]byte, error) {
	switch id {
	case customSection:
		r := &reader{left: body}
		if name := r.take(r.number()); string(name) != "name" {
			return nil, nil
		}
		return body, nil
	case codeSection:
		return functions(body)
	case dataSection:
		return body, nil
	}
	if len(body) > maxSection {
		return nil, fault.New(fault.Limit, "section %d of the module has %d bytes, and at most %d are allowed", id, len(body), maxSection)
	}
	switch id {
	case importSection:
		return body, onlyFunctions(body)
	case tableSection:
		return tables(body)
	}
	return body, nil
}

// onlyFunctions refuses imports of anything else: there is none here.
func onlyFunctions(body []byte) error {
	r := &reader{left: body}
	for n := r.number(); n > 0 && !r.torn; n-- {
		module, name := r.take(r.number()), r.take(r.number())
		kind := r.byte()
		if r.number(); !r.torn && kind != 0 {
			return fault.New(fault.Unsupported, "the module imports %.80q of %.80q, which is no function: a capsule brings its own memory and tables", name, module)
		}
	}
	return r.end()
}

func tables(body []byte) ([]byte, error) {
	r := &reader{left: body}
	n := r.number()
	if n > MaxTables {
		return nil, fault.New(fault.Limit, "the module has %d tables, and at most %d are allowed", n, MaxTables)
	}
	out := binary.AppendUvarint(nil, uint64(n))
	for ; n > 0; n-- {
		kind, flags := r.byte(), r.byte()
		low, high := r.number(), uint32(MaxTable)
		if flags == 1 {
			high = min(high, r.number())
		}
		switch {
		case r.torn || flags > 1 || kind != 0x70 && kind != 0x6f:
			return nil, malformed()
		case low > MaxTable:
			return nil, fault.New(fault.Limit, "a table of the module has %d elements, and at most %d are allowed", low, MaxTable)
		}
		out = append(out, kind, 1)
		out = binary.AppendUvarint(out, uint64(low))
		out = binary.AppendUvarint(out, uint64(high))
	}
	return out, r.end()
}

func functions(body []byte) ([]byte, error) {
	r := &reader{left: body}
	n := r.number()
	out := binary.AppendUvarint(make([]byte, 0, len(body)+len(body)/16), uint64(n))
	for ; n > 0 && !r.torn; n-- {
		f := r.take(r.number())
		if len(f) > MaxFunction {
			return nil, fault.New(fault.Limit, "a function of the module has %d bytes, and at most %d are allowed", len(f), MaxFunction)
		}
		if !mayCall(f) {
			out = appendBytes(out, f)
			continue
		}
		locals := &reader{left: f}
		for k := locals.number(); k > 0 && !locals.torn; k-- {
			locals.number()
			if kind := locals.byte(); kind == 0x63 || kind == 0x64 { // a type of more than one byte
				return nil, malformed()
			}
		}
		if locals.torn {
			return nil, malformed()
		}
		head := f[:len(f)-len(locals.left)]
		out = binary.AppendUvarint(out, uint64(len(f)+3))
		out = append(append(out, head...), 0x03, 0x40, 0x0b) // loop, of no type, end
		out = append(out, locals.left...)
	}
	return out, r.end()
}

// mayCall is false when no byte of f, instruction or not, could be a call: such
// a function cannot recurse.
func mayCall(f []byte) bool {
	for _, b := range f {
		if b >= 0x10 && b <= 0x15 {
			return true
		}
	}
	return false
}

func appendBytes(out, b []byte) []byte {
	return append(binary.AppendUvarint(out, uint64(len(b))), b...)
}

func malformed() error {
	return fault.New(fault.Usage, "the module is malformed: build it again")
}

// reader takes a module apart. After torn all it reads is zero.
type reader struct {
	left []byte
	torn bool
}

func (r *reader) number() uint32 {
	n, size := binary.Uvarint(r.left)
	if size <= 0 || size > 5 || n > 1<<32-1 {
		r.torn, r.left = true, nil
		return 0
	}
	r.left = r.left[size:]
	return uint32(n)
}

func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.left)) {
		r.torn, r.left = true, nil
		return nil
	}
	b := r.left[:n:n]
	r.left = r.left[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) end() error {
	if r.torn || len(r.left) > 0 {
		return malformed()
	}
	return nil
}
