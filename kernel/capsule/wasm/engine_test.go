package wasm

import (
	"context"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lukechampine.com/blake3"

	"astrid/kernel/fault"
)

// smallModule is a module that answers.
var smallModule = module{types: "()→()", bodies: []string{""}, exports: map[string]int{"f": 0}}

func TestAModuleMustHaveItsHash(t *testing.T) {
	code := smallModule.bytes()
	sum := blake3.Sum256(code)
	hash := hex.EncodeToString(sum[:])
	for _, right := range []string{"", hash, "blake3:" + hash} {
		m, err := engine(t).Compile(t.Context(), Config{}, code, right)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for _, wrong := range []string{strings.Repeat("0", 64), "sha256:" + hash, hash[1:]} {
		_, err := engine(t).Compile(t.Context(), Config{}, code, wrong)
		wantKind(t, err, fault.Conflict, "the module's BLAKE3 hash is "+hash)
	}
}

func TestWhatIsNoSoundModuleIsRefused(t *testing.T) {
	of := func(m module) string { return string(m.bytes()) }
	many := make([]string, 10)
	for i := range many {
		many[i] = "env f" + string(rune('0'+i)) + " 0000"
	}
	for name, c := range map[string]struct {
		code string
		kind fault.Kind
		text string
	}{
		"nothing":                            {"", fault.Usage, "no WebAssembly module"},
		"a component":                        {"\x00asm\x0d\x00\x01\x00", fault.Usage, "components"},
		"a torn section":                     {of(smallModule)[:12], fault.Usage, "malformed"},
		"a torn function":                    {strings.Replace(of(smallModule), "\x0a\x04\x01\x02", "\x0a\x04\x01\x09", 1), fault.Usage, "malformed"},
		"a function of the wrong type":       {of(module{types: "()→i", bodies: []string{""}}), fault.Usage, "compile the module"},
		"a global that is not there":         {of(module{types: "()→()", bodies: []string{"2300 1a"}}), fault.Usage, "compile the module"},
		"an unknown function":                {of(module{types: "()→()", imports: []string{"env abort 0000"}}), fault.Unsupported, "functions that are not there: abort of env;"},
		"an unknown host function":           {of(module{types: "()→()", imports: []string{"extism:host/user teleport 0000"}}), fault.Unsupported, "teleport of extism:host/user"},
		"many unknown functions":             {of(module{types: "()→()", imports: many}), fault.Unsupported, "f7 of env and 2 more"},
		"a function with other types":        {of(module{types: "()→()", imports: []string{"extism:host/env alloc 0000"}}), fault.Unsupported, "alloc of extism:host/env with other types"},
		"an imported memory":                 {of(module{imports: []string{"env memory 020001"}}), fault.Unsupported, `"memory" of "env", which is no function`},
		"an imported table":                  {of(module{imports: []string{"env table 01700001"}}), fault.Unsupported, "no function"},
		"more memory than there is":          {of(module{types: "()→()", bodies: []string{""}, memory: "00 8108"}), fault.Usage, "over limit of 1024 pages"},
		"a table that is too big":            {of(module{types: "()→()", bodies: []string{""}, table: "70 00 818010"}), fault.Limit, "a table of the module has 262145 elements"},
		"too many tables":                    {of(module{types: "()→()", bodies: []string{""}}) + "\x04\x01\x09", fault.Limit, "9 tables"},
		"a section that is too long":         {of(module{types: "()→()", imports: []string{"env " + strings.Repeat("n", maxSection) + " 0000"}}), fault.Limit, "section 2"},
		"a function that is too long":        {of(module{types: "()→()", bodies: []string{strings.Repeat("01", MaxFunction)}}), fault.Limit, "a function of the module"},
		"a module that is too long":          {of(smallModule) + strings.Repeat("\x00", MaxModule), fault.Limit, "at most"},
		"two functions without a trampoline": {of(module{types: "()→()", bodies: []string{"1001", "1002"}}), fault.Usage, "compile the module"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := engine(t).Compile(t.Context(), Config{}, []byte(c.code), "")
			wantKind(t, err, c.kind, c.text)
		})
	}
}

func TestAConfigurationMustMakeSense(t *testing.T) {
	for _, c := range []Config{
		{MemoryPages: 1<<16 + 1}, {MaxBlock: -1}, {MaxBlock: MaxArena}, {MaxInstances: MaxPool + 1}, {MaxInstances: -1},
		{Functions: []Func{{Name: "f", Params: MaxArguments + 1}}}, {Functions: []Func{{Name: "f", Limits: []int{1}}}},
		{Functions: []Func{{Name: "f"}, {Name: "f", Params: 1}}},
	} {
		m, err := engine(t).Compile(t.Context(), c, smallModule.bytes(), "")
		if err == nil {
			t.Errorf("%+v is taken", c)
			_ = m.Close(t.Context())
		}
		wantKind(t, err, fault.Usage, "")
	}
}

func TestAnEngineOutlivesItsModulesOnly(t *testing.T) {
	e, err := Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Compile(t.Context(), Config{}, smallModule.bytes(), "")
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, e.Close(t.Context()), fault.Busy, "1 modules are open")
	if _, err := m.Call(t.Context(), "f", nil); err != nil {
		t.Error(err)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// once opens an engine on dir, compiles a module and calls it.
func once(t *testing.T, dir string) {
	t.Helper()
	e, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Compile(t.Context(), Config{}, smallModule.bytes(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Call(t.Context(), "f", nil); err != nil {
		t.Error(err)
	}
	if err := closing(m.Close(context.Background()), e.Close(context.Background())); err != nil {
		t.Error(err)
	}
}

func cached(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestACacheThatIsDamagedIsMadeAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wasm")
	once(t, dir)
	files := cached(t, dir)
	if len(files) != 1 {
		t.Fatalf("%v", files)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string][]byte{"torn": whole[:len(whole)/2], "empty": nil, "changed": append([]byte{}, whole...)}
	damage["changed"][len(whole)/2] ^= 1
	for name, bytes := range damage {
		if err := os.WriteFile(files[0], bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		once(t, dir) // without it
		once(t, dir) // writes it again
		if again, err := os.ReadFile(files[0]); err != nil || string(again) != string(whole) {
			t.Errorf("%s: it is not made anew: %v", name, err)
		}
	}
}

func TestACacheIsPrivateAndBounded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wasm")
	once(t, dir)
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	once(t, dir)
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, nil)
	wantKind(t, err, fault.Denied, "others may write")
	_, err = Open(cached(t, dir)[0], nil)
	wantKind(t, err, fault.Usage, "is no directory")

	room := t.TempDir()
	for i, name := range []string{"old", "older", "new"} {
		path := filepath.Join(room, name)
		at := time.Unix([]int64{20, 10, 30}[i], 0)
		if err := closing(os.WriteFile(path, make([]byte, 100), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := prune(room, 250); err != nil || len(cached(t, room)) != 2 {
		t.Errorf("%v, %v", cached(t, room), err)
	}
	if err := prune(room, 100); err != nil || filepath.Base(cached(t, room)[0]) != "new" {
		t.Errorf("%v, %v", cached(t, room), err)
	}
}

func FuzzPrepare(f *testing.F) {
	f.Add(smallModule.bytes())
	f.Add(module{types: "()→() (i)→()", bodies: []string{"413c 1001", fork("1001")}, typed: []int{0, 1}, memory: "00 01", table: "70 01 01 02",
		imports: []string{"env abort 0000"}, start: 1, declared: "01"}.bytes())
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x0a\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, code []byte) {
		out, err := prepare(code)
		if err != nil {
			return
		}
		if len(out) > 16*len(code)+16 {
			t.Errorf("%d bytes became %d", len(code), len(out))
		}
		if _, err := prepare(out); err != nil && !fault.Is(err, fault.Limit) {
			t.Errorf("what was prepared is not understood: %v", err)
		}
	})
}
