package cap

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"astrid/kernel/fault"
	"astrid/kernel/store"
)

const childDir = "CAP_TEST_DIR"

// child mints, uses and revokes, and says what was done, until it is killed.
func child(dir string) error {
	s, err := store.Open(dir, store.Config{})
	if err != nil {
		return err
	}
	space := func(ns store.Namespace) *store.Space {
		p, _ := s.Space(ns, store.SpaceOptions{Sync: true})
		return p
	}
	c := Config{Key: testKey(0), Tokens: space(store.CapTokens), Revoked: space(store.CapRevoked), Used: space(store.CapUsed)}
	tokens, err := Open(c)
	if err != nil {
		return err
	}
	allow, err := OpenAllowances(AllowanceConfig{Space: space(store.Allowances), Key: c.Key})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		g := grant(fmt.Sprintf("file:///w/%d", i))
		g.SingleUse = i%3 == 1
		t, err := tokens.Mint(g)
		if err != nil {
			return err
		}
		fmt.Println("minted", t.ID)
		switch i % 3 {
		case 1:
			if err := tokens.Use(t.ID); err != nil {
				return err
			}
			fmt.Println("used", t.ID)
		case 2:
			if _, err := tokens.Revoke(Selector{ID: t.ID}); err != nil {
				return err
			}
			fmt.Println("revoked", t.ID)
		}
		a, err := allow.Add(Allowance{Principal: "p", MaxUses: 2, Pattern: Pattern{Type: CommandPattern, Command: fmt.Sprint("run", i)}})
		if err != nil {
			return err
		}
		fmt.Println("allowed", a.ID)
		if _, ok, err := allow.Match(Request{Principal: "p", Action: Action{Kind: ExecuteCommand, Command: fmt.Sprint("run", i)}}); !ok || err != nil {
			return fmt.Errorf("no match: %w", err)
		}
		fmt.Println("once", a.ID)
	}
}

func TestWhatWasSaidToBeDoneSurvivesSIGKILL(t *testing.T) {
	for _, lines := range []int{1, 2, 3, 20, 301} {
		b := newBench(t)
		if err := b.state.Close(); err != nil {
			t.Fatal(err)
		}
		said := killed(t, b.dir, lines)
		b.open()
		for id, last := range said {
			_, err := b.tokens.Get(id)
			switch last {
			case "minted":
				if err != nil && !strings.Contains(err.Error(), "used") && !strings.Contains(err.Error(), "revoked") {
					t.Errorf("%s was %s: %v", id, last, err)
				}
			case "used", "revoked":
				if !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), last) {
					t.Errorf("%s was %s: %v", id, last, err)
				}
			}
		}
		left := map[ID]uint32{}
		for _, a := range b.allow.List() {
			left[a.ID] = a.UsesRemaining
		}
		for id, last := range said {
			if last == "once" && left[id] != 1 || last == "allowed" && left[id] == 0 {
				t.Errorf("%s was %s, %d uses are left", id, last, left[id])
			}
		}
	}
}

// killed runs child in dir, kills it after it has said lines lines, and returns
// the last that it said of each id.
func killed(t *testing.T, dir string, lines int) map[ID]string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said, n := map[ID]string{}, 0
	for in := bufio.NewScanner(out); in.Scan(); {
		what, id, _ := strings.Cut(in.Text(), " ")
		said[ID(id)] = what
		if n++; n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Wait()
	return said
}
