package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"astrid/kernel/store"
)

const (
	childDir      = "AUDIT_TEST_DIR"
	childArchives = "AUDIT_TEST_ARCHIVES"
	childMax      = "AUDIT_TEST_MAX"
)

// child appends from several goroutines and says what was acknowledged, until
// it is killed.
func child(dir string) error {
	s, err := store.Open(dir, store.Config{})
	if err != nil {
		return err
	}
	max, _ := strconv.ParseInt(os.Getenv(childMax), 10, 64)
	l, err := Open(Config{Store: s, Key: testKey(0), MaxBytes: max, Archives: os.Getenv(childArchives)})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				l.Note(example(i))
				if err := l.Append(context.Background(), example(w)); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				fmt.Println(w)
			}
		})
	}
	wg.Wait()
	return nil
}

func TestALogSurvivesSIGKILL(t *testing.T) {
	b := &bench{t: t, dir: t.TempDir()}
	acked := map[string]int{}
	for _, lines := range []int{1, 50, 500} {
		for _, w := range killed(t, b.dir, lines) {
			acked["op"+w]++
		}
		b.open()
		wantWhole(t, b.log)
		written := map[string]int{}
		err := b.log.each(t.Context(), 0, Filter{}, func(e Entry) error {
			written[e.Action.Fields["method"]]++
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		for w, n := range acked {
			if written[w] < n {
				t.Errorf("%s: %d acknowledged, %d written", w, n, written[w])
			}
		}
		b.close()
	}
}

// killed runs child in dir, kills it after it has said lines lines, and returns
// all that it said.
func killed(t *testing.T, dir string, lines int, env ...string) (said []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childDir+"="+dir), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	for in.Scan() {
		if said = append(said, in.Text()); len(said) == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := in.Err(); err != nil && !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	_ = cmd.Wait()
	return said
}
