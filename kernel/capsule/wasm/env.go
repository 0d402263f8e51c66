package wasm

import (
	"context"
	"encoding/binary"
	"log/slog"

	"astrid/kernel/fault"
)

// envFunc is a function of Extism's own ABI.
type envFunc struct {
	name, params, results string
	serve                 func(c *Call, stack []uint64)
}

// extism is the module extism:host/env. HTTP is only named, since guests of
// Extism's PDKs import it whether they use it or not.
func extism() []envFunc {
	return []envFunc{
		{"alloc", "I", "I", (*Call).envAlloc},
		{"free", "I", "", (*Call).envFree},
		{"length", "I", "I", (*Call).envLength},
		{"length_unsafe", "I", "I", (*Call).envLength},
		{"load_u8", "I", "i", (*Call).envLoadByte},
		{"load_u64", "I", "I", (*Call).envLoadWord},
		{"store_u8", "Ii", "", (*Call).envStoreByte},
		{"store_u64", "II", "", (*Call).envStoreWord},
		{"input_offset", "", "I", func(c *Call, s []uint64) { s[0] = c.inputAt }},
		{"input_length", "", "I", func(c *Call, s []uint64) { s[0] = uint64(len(c.input)) }},
		{"input_load_u8", "I", "i", (*Call).envInputByte},
		{"input_load_u64", "I", "I", (*Call).envInputWord},
		{"output_set", "II", "", (*Call).envOutput},
		{"error_set", "I", "", (*Call).envSetError},
		{"error_get", "", "I", func(c *Call, s []uint64) { s[0] = c.troubleAt }},
		{"reset", "", "", (*Call).envReset},
		{"config_get", "I", "I", func(c *Call, s []uint64) { c.handle(s[0]); s[0] = 0 }},
		{"var_get", "I", "I", (*Call).envGetVar},
		{"var_set", "II", "", (*Call).envSetVar},
		{"get_log_level", "", "i", (*Call).envLogLevel},
		{"log_trace", "I", "", envLog(levelTrace)},
		{"log_debug", "I", "", envLog(slog.LevelDebug)},
		{"log_info", "I", "", envLog(slog.LevelInfo)},
		{"log_warn", "I", "", envLog(slog.LevelWarn)},
		{"log_error", "I", "", envLog(slog.LevelError)},
		{"http_request", "II", "I", (*Call).envHTTP},
		{"http_status_code", "", "i", func(_ *Call, s []uint64) { s[0] = 0 }},
		{"http_headers", "", "I", func(_ *Call, s []uint64) { s[0] = 0 }},
	}
}

// levelTrace is below all levels that slog names.
const levelTrace = slog.LevelDebug - 4

func (c *Call) envAlloc(s []uint64) {
	at, _, err := c.arena.alloc(s[0])
	c.must(err)
	s[0] = at
}

// envFree frees a block. That it was set as output or error still counts.
func (c *Call) envFree(s []uint64) {
	if c.arena.free(s[0]); s[0] == c.inputAt {
		c.input, c.inputAt = nil, 0
	}
}

func (c *Call) envLength(s []uint64) { s[0] = uint64(len(c.arena.block(s[0]))) }

// bytesAt is for loads and stores: outside of a block they trap.
func (c *Call) bytesAt(at, n uint64) []byte {
	b, err := c.arena.bytesAt(at, n)
	c.must(err)
	return b
}

func (c *Call) envLoadByte(s []uint64) { s[0] = uint64(c.bytesAt(s[0], 1)[0]) }

func (c *Call) envLoadWord(s []uint64) { s[0] = binary.LittleEndian.Uint64(c.bytesAt(s[0], 8)) }

func (c *Call) envStoreByte(s []uint64) { c.bytesAt(s[0], 1)[0] = byte(s[1]) }

func (c *Call) envStoreWord(s []uint64) { binary.LittleEndian.PutUint64(c.bytesAt(s[0], 8), s[1]) }

// The input is zero beyond its end, as Extism has it.

func (c *Call) envInputByte(s []uint64) {
	at := s[0]
	s[0] = 0
	if at < uint64(len(c.input)) {
		s[0] = uint64(c.input[at])
	}
}

func (c *Call) envInputWord(s []uint64) {
	at := s[0]
	s[0] = 0
	if n := uint64(len(c.input)); n >= 8 && at <= n-8 {
		s[0] = binary.LittleEndian.Uint64(c.input[at:])
	}
}

func (c *Call) envOutput(s []uint64) {
	c.output = nil
	if s[1] > 0 {
		c.output = c.bytesAt(s[0], s[1])
	}
}

func (c *Call) envSetError(s []uint64) { c.trouble, c.troubleAt = c.handle(s[0]), s[0] }

func (c *Call) envReset([]uint64) {
	c.arena.reset()
	c.input, c.inputAt, c.output, c.trouble, c.troubleAt = nil, 0, nil, nil, 0
}

func (c *Call) envGetVar(s []uint64) {
	at, err := c.arena.put(c.instance.vars[string(c.handle(s[0]))])
	c.must(err)
	s[0] = at
}

// envSetVar sets a variable, or removes it when the value is no block.
func (c *Call) envSetVar(s []uint64) {
	i, key := c.instance, string(c.handle(s[0]))
	if old, there := i.vars[key]; there {
		i.varBytes -= len(key) + len(old) + blockCost
		delete(i.vars, key)
	}
	if s[1] == 0 {
		return
	}
	value := c.handle(s[1])
	size := len(key) + len(value) + blockCost
	if i.varBytes+size > MaxVars {
		c.must(fault.New(fault.Limit, "the guest sets a variable of %d bytes, and all its variables may have %d together", len(value), MaxVars))
	}
	i.varBytes += size
	i.vars[key] = append([]byte{}, value...)
}

// envLogLevel is the lowest level that is kept, in Extism's numbers: trace is 0,
// error 4.
func (c *Call) envLogLevel(s []uint64) {
	s[0] = 0
	for level := levelTrace; level < slog.LevelError && !c.module.config.Log.Enabled(context.Background(), level); level += 4 {
		s[0]++
	}
}

func envLog(level slog.Level) func(c *Call, s []uint64) {
	return func(c *Call, s []uint64) {
		text := c.handle(s[0])
		if log := c.module.config.Log; log.Enabled(c.ctx, level) {
			if q := &c.instance.quota; q.open() {
				q.left -= len(text)
				log.Log(c.ctx, level, "guest", "text", clean(text))
			} else {
				q.dropped += len(text)
			}
		}
	}
}

func (c *Call) envHTTP([]uint64) {
	c.must(fault.New(fault.Denied, "the guest asks Extism for HTTP, which knows no permissions: it must use astrid_http_request"))
}
