package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"astrid/kernel/fault"
	"astrid/kernel/store"
	"astrid/kernel/store/storetest"
)

func TestAValueIsThereUntilItIsDeleted(t *testing.T) {
	_, p := fresh(t)
	_, err := p.Get("a")
	wantKind(t, err, fault.NotFound, `test has no key "a"`)
	set(t, p, "a", "1")
	set(t, p, "a", "2")
	set(t, p, "empty", "")
	wantValue(t, p, "a", "2")
	wantValue(t, p, "empty", "")
	for key, want := range map[string]bool{"a": true, "empty": true, "b": false} {
		if there, err := p.Exists(key); err != nil || there != want {
			t.Errorf("%s exists: %v, %v", key, there, err)
		}
	}
	for _, want := range []bool{true, false} {
		if existed, err := p.Delete("a"); err != nil || existed != want {
			t.Errorf("delete: %v, %v", existed, err)
		}
	}
	wantKeys(t, p, "", "empty")
}

func TestWhatAGetReturnedBelongsToTheCaller(t *testing.T) {
	_, p := fresh(t)
	value := []byte("abc")
	if err := p.Set("k", value); err != nil {
		t.Fatal(err)
	}
	value[0] = 'X'
	got, _ := p.Get("k")
	got[1] = 'Y'
	wantValue(t, p, "k", "abc")
}

func TestNamespacesDoNotMix(t *testing.T) {
	s, _ := fresh(t)
	a := storetest.Space(t, s, store.Capsule("a"), store.SpaceOptions{})
	ab := storetest.Space(t, s, store.Capsule("ab"), store.SpaceOptions{})
	set(t, a, "k", "of a")
	set(t, ab, "k", "of ab")
	wantValue(t, a, "k", "of a")
	if n, err := a.Clear(""); n != 1 || err != nil {
		t.Errorf("cleared %d, %v", n, err)
	}
	wantValue(t, ab, "k", "of ab")
	if ab.Namespace() != "capsule:ab" {
		t.Errorf("it is %s", ab.Namespace())
	}
}

func TestKeysAreValidated(t *testing.T) {
	s, p := fresh(t)
	for name, key := range map[string]string{"empty": "", "NUL": "a\x00b", "long": strings.Repeat("k", store.MaxKey+1)} {
		_, err := p.Get(key)
		wantKind(t, err, fault.Usage, "invalid key: ")
		wantKind(t, p.Set(key, nil), fault.Usage, "invalid key: ")
		_, err = p.Delete(key)
		wantKind(t, err, fault.Usage, "invalid key: ")
		_, err = p.Exists(key)
		wantKind(t, err, fault.Usage, "invalid key: ")
		if name != "empty" {
			_, err = p.List(key)
			wantKind(t, err, fault.Usage, "invalid key: ")
			_, err = p.Clear(key)
			wantKind(t, err, fault.Usage, "invalid key: ")
		}
	}
	longest := strings.Repeat("k", store.MaxKey)
	set(t, p, longest, "v")
	wantValue(t, p, longest, "v")
	for _, ns := range []store.Namespace{"", "a\x00b", "!badger!", store.Namespace(strings.Repeat("n", store.MaxNamespace+1))} {
		_, err := s.Space(ns, store.SpaceOptions{})
		wantKind(t, err, fault.Usage, "invalid key: ")
	}
	_, err := s.Space("x", store.SpaceOptions{Quota: -2})
	wantKind(t, err, fault.Usage, "quota")
}

func TestListingIsSortedAndBounded(t *testing.T) {
	_, p := fresh(t)
	for _, key := range []string{"b/2", "a", "b/10", "b", "c", "b/1"} {
		set(t, p, key, "v"+key)
	}
	wantKeys(t, p, "", "a b b/1 b/10 b/2 c")
	wantKeys(t, p, "b/", "b/1 b/10 b/2")
	wantKeys(t, p, "zz", "")

	items, more, err := p.Page("b", "", 2)
	if diff := cmp.Diff([]store.Item{{Key: "b", Value: []byte("vb")}, {Key: "b/1", Value: []byte("vb/1")}}, items); diff != "" || !more || err != nil {
		t.Errorf("the first page: more %v, %v, %s", more, err, diff)
	}
	items, more, err = p.Page("b", "b/1", 2)
	if len(items) != 2 || items[0].Key != "b/10" || more || err != nil {
		t.Errorf("the second page: %v, more %v, %v", items, more, err)
	}
	if items, more, err = p.Page("b", "c", 2); len(items) != 0 || more || err != nil {
		t.Errorf("past the end: %v, %v, %v", items, more, err)
	}

	var seen []string
	err = p.EachAfter("", "b/0", func(key string, value []byte) error {
		seen = append(seen, key+"="+string(value))
		if key == "b/2" {
			return store.Stop
		}
		return nil
	})
	if got := strings.Join(seen, " "); err != nil || got != "b/1=vb/1 b/10=vb/10 b/2=vb/2" {
		t.Errorf("each: %s, %v", got, err)
	}
	boom := errors.New("boom")
	if err := p.Each("", func(string, []byte) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("each ends with %v", err)
	}
}

func TestAPageIsBoundedInBytes(t *testing.T) {
	_, p := fresh(t)
	for i := range 3 {
		if err := p.Set(fmt.Sprint(i), pattern(6<<20)); err != nil {
			t.Fatal(err)
		}
	}
	items, more, err := p.Page("", "", 0)
	if len(items) != 2 || !more || err != nil {
		t.Errorf("%d items, more %v, %v", len(items), more, err)
	}
}

func TestAListThatIsTooLongSaysSo(t *testing.T) {
	_, p := fresh(t)
	fill(t, p, "", store.MaxList)
	if keys, err := p.List(""); err != nil || len(keys) != store.MaxList {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	set(t, p, "one more", "")
	_, err := p.List("")
	wantKind(t, err, fault.Limit, "read them in pages")
}

// fill makes n keys below prefix, as many as fit in each transaction.
func fill(t testing.TB, p *store.Space, prefix string, n int) {
	t.Helper()
	for from := 0; from < n; from += 1000 {
		err := p.Update(func(tx *store.Tx) error {
			for i := from; i < min(n, from+1000); i++ {
				if err := tx.Set(p, fmt.Sprintf("%s%06d", prefix, i), []byte("v")); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestASecondOpenerIsToldSo(t *testing.T) {
	dir := t.TempDir()
	storetest.Open(t, dir, nil)
	_, err := store.Open(dir, store.Config{})
	wantKind(t, err, fault.Busy, "is open in another process")
	if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "adger") {
		t.Errorf("no clear sentence: %v", err)
	}
}

func TestTheDirectoryIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state.db")
	storetest.Close(t, storetest.Open(t, dir, nil))
	mode := func() fs.FileMode {
		st, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		return st.Mode().Perm()
	}
	if mode() != 0o700 {
		t.Errorf("made with %o", mode())
	}
	for loose, refused := range map[fs.FileMode]bool{0o755: false, 0o770: true, 0o707: true} {
		if err := os.Chmod(dir, loose); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(dir, store.Config{})
		if refused {
			wantKind(t, err, fault.Denied, "chmod 700")
			continue
		}
		if err != nil || mode() != 0o700 {
			t.Errorf("%o: %v, now %o", loose, err, mode())
		}
		storetest.Close(t, s)
	}
}

func TestAClosedStoreRefusesEverything(t *testing.T) {
	s, p := fresh(t)
	set(t, p, "a", "1")
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	_, get := p.Get("a")
	_, list := p.List("")
	_, clear := p.Clear("")
	_, check := s.Check()
	for name, err := range map[string]error{
		"get": get, "list": list, "clear": clear, "check": check, "set": p.Set("a", nil), "sync": s.Sync(),
		"backup": s.Backup(&bytes.Buffer{}), "restore": s.Restore(&bytes.Buffer{}),
	} {
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, open := <-p.Watch(t.Context(), ""); open {
		t.Error("a watcher of a closed store hears something")
	}
}
