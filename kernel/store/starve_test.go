package store_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
)

// starvingWrites are more than one log of values and one memtable hold.
const starvingWrites = 12_000

func starvingValue(i int) []byte { return pattern(i % 17 * 500) }

// starving writes while this process can open nothing, says what was acknowledged,
// and ends as if it were killed.
func starving(p *store.Space, part string) error {
	limit := unix.Rlimit{Cur: 128, Max: 128}
	if part == partLow {
		limit = unix.Rlimit{Cur: 0, Max: 128}
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	for {
		if _, err := unix.Dup(1); errors.Is(err, unix.EMFILE) {
			break
		} else if err != nil {
			return err
		}
	}
	for i := range starvingWrites {
		if err := p.Set(strconv.Itoa(i), starvingValue(i)); err != nil {
			fmt.Println("refused:", fault.KindOf(err).Code(), err)
			_, err := p.Get("0")
			fmt.Println("read:", err)
			break
		}
		fmt.Println(i)
	}
	os.Exit(0)
	return nil
}

func starved(t *testing.T, dir, part string) (acked int, said string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childPart+"="+part)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	var rest []string
	for line := range strings.Lines(string(out)) {
		if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
			acked = n + 1
		} else {
			rest = append(rest, line)
		}
	}
	return acked, strings.Join(rest, "")
}

func wantAcknowledged(t *testing.T, dir string, n int) {
	t.Helper()
	s := storetest.Open(t, dir, nil)
	p := storetest.Space(t, s, "synced", store.SpaceOptions{Sync: true})
	for i := range n {
		wantValue(t, p, strconv.Itoa(i), string(starvingValue(i)))
	}
	set(t, p, "after", "it goes on")
}

// A process that has used up its descriptors still writes, over new files of
// Badger too.
func TestAStoreBeginsNewFilesWithoutADescriptorLeft(t *testing.T) {
	dir := t.TempDir()
	n, said := starved(t, dir, partFull)
	if n != starvingWrites {
		t.Errorf("%d of %d were written: %s", n, starvingWrites, said)
	}
	wantAcknowledged(t, dir, n)
}

// When that does not help either the store ends, says so, and has all when it is
// opened again.
func TestAStoreThatCanBeginNoFileEndsAndIsOpenedAgain(t *testing.T) {
	dir := t.TempDir()
	n, said := starved(t, dir, partLow)
	if n == 0 || n == starvingWrites {
		t.Errorf("%d were written", n)
	}
	for _, want := range []string{"failed:", "refused:", "too many open files", "read: the store takes no more writes"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q lacks in %s", want, said)
		}
	}
	wantAcknowledged(t, dir, n)
}
