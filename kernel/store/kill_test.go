package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
)

const (
	childDir  = "STORE_TEST_DIR"
	childPart = "STORE_TEST_PART"

	partWrite = "write"
	partClear = "clear"
	partFull  = "full" // no descriptor is left
	partLow   = "low"  // nor does it help that some are given up

	clearKeys = 9000
)

// child is what a process does until it is killed.
func child(dir, part string) error {
	s, err := store.Open(dir, store.Config{Failed: func(err error) { fmt.Println("failed:", err) }})
	if err != nil {
		return err
	}
	synced, err := s.Space("synced", store.SpaceOptions{Sync: true})
	if err != nil {
		return err
	}
	if part == partFull || part == partLow {
		return starving(synced, part)
	}
	lazy, err := s.Space("lazy", store.SpaceOptions{})
	if err != nil {
		return err
	}
	if part == partClear {
		events := lazy.Watch(context.Background(), "")
		go func() {
			for e := range events {
				fmt.Println(e.Key)
			}
		}()
		_, err := lazy.Clear("")
		return err
	}
	for i := 0; ; i++ {
		p := lazy
		if i%8 == 0 {
			p = synced
		}
		key := fmt.Sprintf("%07d", i)
		if err := p.Set(key, pattern(i*37%9000)); err != nil {
			return err
		}
		if i%5 == 4 {
			if _, err := p.Delete(key); err != nil {
				return err
			}
		}
		fmt.Println(i)
	}
}

// killed runs child in dir, kills it after it has said lines lines, and returns
// all that it said.
func killed(t *testing.T, dir, part string, lines int) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childPart+"="+part)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	var said []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			_ = cmd.Wait()
			return said
		}
		if said = append(said, strings.TrimSuffix(line, "\n")); len(said) == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestWhatWasAcknowledgedSurvivesSIGKILL(t *testing.T) {
	for _, lines := range []int{1, 40, 700, 3000, 6000} {
		dir := t.TempDir()
		acked := len(killed(t, dir, partWrite, lines))
		s := storetest.Open(t, dir, nil)
		spaces := []*store.Space{storetest.Space(t, s, "synced", store.SpaceOptions{}), storetest.Space(t, s, "lazy", store.SpaceOptions{})}
		for i := range acked {
			p := spaces[min(i%8, 1)]
			got, err := p.Get(fmt.Sprintf("%07d", i))
			switch {
			case i%5 == 4:
				wantKind(t, err, fault.NotFound, "")
			case err != nil || string(got) != string(pattern(i*37%9000)):
				t.Fatalf("%d of %d: %d bytes, %v", i, acked, len(got), err)
			}
		}
		storetest.Close(t, s)
	}
}

func TestAClearThatIsKilledIsFinishedOrNeverBegan(t *testing.T) {
	dir := t.TempDir()
	for _, lines := range []int{1, 200, 257, 300, 600, 900} {
		s := storetest.Open(t, dir, nil)
		p := storetest.Space(t, s, "lazy", store.SpaceOptions{})
		fill(t, p, "", clearKeys)
		storetest.Close(t, s)
		killed(t, dir, partClear, lines)
		s = storetest.Open(t, dir, nil)
		p = storetest.Space(t, s, "lazy", store.SpaceOptions{})
		if keys, err := p.List(""); err != nil || len(keys) != 0 && len(keys) != clearKeys {
			t.Errorf("killed at line %d: %d keys, %v", lines, len(keys), err)
		}
		storetest.Close(t, s)
	}
}
