package wasm

import (
	"context"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

// From bytes to a Module, with nothing in the cache and with all.
func BenchmarkCompile(b *testing.B) {
	code := goGuest(b)
	for name, warm := range map[string]bool{"cold": false, "warm": true} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			if warm {
				load(b, dir, code)
			}
			for n := 0; b.Loop(); n++ {
				if !warm {
					dir = filepath.Join(b.TempDir(), strconv.Itoa(n))
				}
				load(b, dir, code)
			}
		})
	}
}

func load(b *testing.B, dir string, code []byte) {
	b.Helper()
	e, err := Open(dir, nil)
	if err != nil {
		b.Fatal(err)
	}
	m, err := e.Compile(b.Context(), Config{Functions: (&bench{}).functions()}, code, "")
	if err != nil {
		b.Fatal(err)
	}
	if err := closing(m.Close(context.Background()), e.Close(context.Background())); err != nil {
		b.Fatal(err)
	}
}

// A call of a guest that does nothing, by a fresh instance each time.
func BenchmarkFreshInstance(b *testing.B) {
	for name, code := range map[string][]byte{"go": goGuest(b), "tiny": smallModule.bytes()} {
		b.Run(name, func(b *testing.B) {
			m := compile(b, Config{}, code)
			export := m.Exports()[0]
			if name == "go" {
				export = "count"
			}
			for b.Loop() {
				if _, err := m.Call(b.Context(), export, nil); err != nil {
					b.Fatal(err)
				}
				m.take().close()
			}
		})
	}
}

// One host function without arguments, called in a loop by a guest.
func BenchmarkHostCall(b *testing.B) {
	const calls = 1000
	m := compile(b, Config{Timeout: DefaultTimeout}, module{types: "()→() (i)→()", imports: []string{"extism:host/user nothing 0000"},
		bodies: []string{"41e807 1002", "0340 1000 2000 4101 6b 2200 0d00 0b"}, typed: []int{0, 1}, exports: map[string]int{"f": 1}}.bytes())
	for b.Loop() {
		if _, err := m.Call(b.Context(), "f", nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/calls, "ns/hostcall")
}

// A call like a tool's: 1 KiB in, read, changed and written by the guest, 1 KiB
// out; and one that does nothing.
func BenchmarkCall(b *testing.B) {
	kib := []byte(strings.Repeat("astrid. ", 128))
	for name, c := range map[string]Config{"plain": {}, "deadline": {Timeout: DefaultTimeout}, "deadline and cpu": {Timeout: DefaultTimeout, CPU: DefaultTimeout}} {
		m := compile(b, c, goGuest(b))
		for export, input := range map[string][]byte{"upper": kib, "joined": []byte("a b")} {
			b.Run(export+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := m.Call(b.Context(), export, input); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		tiny := compile(b, c, smallModule.bytes())
		b.Run("nothing/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tiny.Call(b.Context(), "f", nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What an idle instance keeps resident, and a module without one.
func BenchmarkIdle(b *testing.B) {
	const modules = 20
	code := goGuest(b)
	for b.Loop() {
		before := resident(b)
		var all []*bench
		for range modules {
			m := compile(b, Config{}, code)
			if _, err := m.Call(b.Context(), "echo", nil); err != nil {
				b.Fatal(err)
			}
			all = append(all, m)
		}
		with := resident(b)
		for _, m := range all {
			m.take().close()
		}
		without := resident(b)
		b.ReportMetric(float64(with-without)/modules/1024, "KiB/instance")
		b.ReportMetric(float64(without-before)/modules/1024, "KiB/module")
		for _, m := range all {
			if err := m.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// resident is the memory of this process, without what Go's heap could give back.
func resident(b *testing.B) int {
	b.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}
