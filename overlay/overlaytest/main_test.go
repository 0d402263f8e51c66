package overlaytest

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	unix.Umask(0)
	if code, ok := Child(); ok {
		os.Exit(code)
	}
	parts := map[string]func() error{partServe: serve, partWork: work, partChurn: churn}
	if part := parts[os.Getenv(childEnv)]; part != nil {
		if err := part(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// opsEnv is the number of operations of the model; each mode of driving a view
// takes its part of it.
const opsEnv = "ASTRID_MODEL_OPS"

const defaultOps = 10_000

// perCase is how many operations a case has.
const perCase = 100

// cases sets how many cases the next rapid.Check runs: percent of all operations.
func cases(t *testing.T, percent int) {
	t.Helper()
	ops := defaultOps
	if s := os.Getenv(opsEnv); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n <= 0 {
			t.Fatalf("%s=%q is no number of operations", opsEnv, s)
		}
		ops = n
	}
	f := flag.Lookup("rapid.checks")
	old := f.Value.String()
	t.Cleanup(func() { f.Value.Set(old) })
	if err := f.Value.Set(strconv.Itoa(max(ops*percent/100/perCase, 1))); err != nil {
		t.Fatal(err)
	}
}
