package overlay_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"astrid/fs"
	"astrid/fs/fstest"
)

// list is an access list as its attribute: triples of tag, permission and id.
func list(entries ...uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for i := 0; i < len(entries); i += 3 {
		b = binary.LittleEndian.AppendUint16(b, uint16(entries[i]))
		b = binary.LittleEndian.AppendUint16(b, uint16(entries[i+1]))
		b = binary.LittleEndian.AppendUint32(b, entries[i+2])
	}
	return b
}

const noID = 0xffffffff

// TestAccessListsAreThoseOfADisk plays one story in a view and on the disk.
func TestAccessListsAreThoseOfADisk(t *testing.T) {
	fstest.NeedUsers(t)
	disk, base := t.TempDir(), t.TempDir()
	for _, dir := range []string{disk, base} {
		seedACL(t, dir)
	}
	mnt := fstest.Mount(t, open(t, base, t.TempDir()), fs.Options{})
	want, got := storyACL(t, disk), storyACL(t, mnt)
	for i := range want {
		if want[i] != got[i] {
			t.Errorf("the disk has %s\nthe view has %s", want[i], got[i])
		}
	}
}

func seedACL(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"listed", "plain", "masked"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	named := list(1, 6, noID, 2, 5, 65534, 4, 4, noID, 16, 5, noID, 32, 0, noID)
	err := unix.Setxattr(filepath.Join(dir, "listed"), "system.posix_acl_access", named, 0)
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("this disk keeps no access lists")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	def := list(1, 7, noID, 2, 5, 65534, 4, 5, noID, 16, 5, noID, 32, 1, noID)
	if err := unix.Setxattr(filepath.Join(dir, "d"), "system.posix_acl_default", def, 0); err != nil {
		t.Fatal(err)
	}
}

// storyACL does all that touches a list and returns what each step left.
func storyACL(t *testing.T, dir string) []string {
	t.Helper()
	var seen []string
	see := func(name string, err error) {
		seen = append(seen, fmt.Sprintf("%s: %v %s", name, err, describeACL(t, filepath.Join(dir, name))))
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	set := func(name, attr string, v []byte) { see(name, unix.Setxattr(at(name), "system.posix_acl_"+attr, v, 0)) }
	set("plain", "access", list(1, 6, noID, 4, 4, noID, 32, 4, noID))
	set("masked", "access", list(1, 7, noID, 2, 7, 65534, 4, 0, noID, 16, 6, noID, 32, 0, noID))
	set("masked", "access", []byte("nonsense"))
	see("listed", unix.Chmod(at("listed"), 0o764))
	see("masked", unix.Chmod(at("masked"), 0o4700))
	see("masked", unix.Removexattr(at("masked"), "system.posix_acl_access"))
	see("masked", unix.Removexattr(at("masked"), "system.posix_acl_access"))
	see("listed", unix.Setxattr(at("listed"), "system.posix_acl_access", list(1, 6, noID, 4, 0, noID, 32, 0, noID), 0))
	set("plain", "default", list(1, 6, noID, 4, 4, noID, 32, 4, noID))
	see("d/f", os.WriteFile(at("d/f"), nil, 0o666))
	see("d/x", os.WriteFile(at("d/x"), nil, 0o700))
	see("d/d", os.Mkdir(at("d/d"), 0o777))
	see("d/d/f", unix.Mkfifo(at("d/d/f"), 0o600))
	see("d", os.Symlink("f", at("d/l")))
	set("d", "default", list(1, 7, noID, 4, 0, noID, 32, 0, noID))
	see("d/p", os.Mkdir(at("d/p"), 0o777))
	return seen
}

func describeACL(t *testing.T, path string) string {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(st.Mode().String())
	for _, attr := range []string{"access", "default"} {
		v := make([]byte, 200)
		n, err := unix.Getxattr(path, "system.posix_acl_"+attr, v)
		fmt.Fprintf(&b, " %s %v %x", attr, err, v[:max(n, 0)])
	}
	return b.String()
}

// TestXattrNames are refused as a disk refuses them.
func TestXattrNames(t *testing.T) {
	fstest.NeedUsers(t)
	disk, base := t.TempDir(), t.TempDir()
	for _, dir := range []string{disk, base} {
		if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mnt := fstest.Mount(t, open(t, base, t.TempDir()), fs.Options{})
	for _, name := range []string{"user.", "user.a", "trusted.", "security.", "system.posix_acl_x", "system.", "other.a", "a", "user." + strings.Repeat("n", 251)} {
		want := unix.Setxattr(filepath.Join(disk, "f"), name, []byte("v"), 0)
		if got := unix.Setxattr(filepath.Join(mnt, "f"), name, []byte("v"), 0); got != want {
			t.Errorf("%.20q: %v, and a disk says %v", name, got, want)
		}
	}
}
