package cap

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
	"astrid/kernel/home"
)

// Key is the runtime key. Printing, logging or encoding it shows nothing.
type Key struct{ private ed25519.PrivateKey }

// NewKey is the key of a seed of 32 bytes.
func NewKey(seed [ed25519.SeedSize]byte) Key { return Key{ed25519.NewKeyFromSeed(seed[:])} }

// Private is the key itself, for who must sign with it.
func (k Key) Private() ed25519.PrivateKey { return k.private }

// Public is the half that everybody may know.
func (k Key) Public() PublicKey { return PublicKey(k.private.Public().(ed25519.PublicKey)) }

// String hides the key.
func (Key) String() string { return "…" }

// Format hides the key from every verb.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "…") }

// LogValue hides the key from logs.
func (Key) LogValue() slog.Value { return slog.StringValue("…") }

// MarshalText hides the key from encoders.
func (Key) MarshalText() ([]byte, error) { return []byte("…"), nil }

// PublicKey is an Ed25519 public key.
type PublicKey [ed25519.PublicKeySize]byte

// User is the user id of the key's owner.
func (p PublicKey) User() UserID { return UserID(p[:8]) }

// LoadKey reads the runtime key from path, or makes one, 0600 from its first
// moment and whole after a power cut, when there is none. A key of another
// length or owner, or one that others may read, is refused.
func LoadKey(path string) (Key, error) {
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	var seed [ed25519.SeedSize]byte
	_, _ = rand.Read(seed[:]) // never fails
	if err := home.WriteFileAtomic(path, seed[:]); err != nil {
		return Key{}, err
	}
	return readKey(path)
}

func readKey(path string) (Key, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return Key{}, fault.Wrap(fault.KindOf(err), err, "read the runtime key")
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return Key{}, fault.Wrap(fault.KindOf(err), err, "read the runtime key")
	}
	var seed [ed25519.SeedSize]byte
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return Key{}, fault.New(fault.Denied, "invalid runtime key: %s is not a regular file", path)
	case int(st.Uid) != os.Geteuid():
		return Key{}, fault.New(fault.Denied, "invalid runtime key: %s belongs to user %d, not to you (%d)", path, st.Uid, os.Geteuid())
	case st.Mode&0o077 != 0:
		return Key{}, fault.New(fault.Denied, "invalid runtime key: others may use %s (mode %#o), so it is no secret any more: remove it for a new one", path, st.Mode&0o7777)
	case st.Size != int64(len(seed)):
		return Key{}, fault.New(fault.Denied, "invalid runtime key: %s has %d bytes, not %d: bring the right one back, or remove it for a new one", path, st.Size, len(seed))
	}
	if _, err := io.ReadFull(f, seed[:]); err != nil {
		return Key{}, fault.Wrap(fault.KindOf(err), err, "read the runtime key")
	}
	return NewKey(seed), nil
}
