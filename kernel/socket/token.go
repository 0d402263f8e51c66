package socket

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"astrid/kernel/home"
)

const tokenBytes = 32

// Token is a secret that a client shows. Printing it shows nothing.
type Token struct{ secret [tokenBytes]byte }

// NewToken draws the token of one run of the kernel and writes it, 64 lower-case hex digits, to the home
// by way of sessions/system.PID.tmp.
func NewToken(h home.Home, pid int) (Token, error) {
	var t Token
	if _, err := rand.Read(t.secret[:]); err != nil {
		return t, err
	}
	temp := filepath.Join(h.Sessions(), fmt.Sprintf("system.%d.tmp", pid))
	return t, home.WriteFileVia(temp, h.Token(), []byte(hex.EncodeToString(t.secret[:])))
}

// matches compares in constant time.
func (t Token) matches(shown [tokenBytes]byte) bool {
	return subtle.ConstantTimeCompare(shown[:], t.secret[:]) == 1
}

// parseToken reads 64 hex digits, of either case.
func parseToken(shown string) (token [tokenBytes]byte, ok bool) {
	raw, err := hex.DecodeString(shown)
	return [tokenBytes]byte(append(raw, make([]byte, tokenBytes)...)[:tokenBytes]), err == nil && len(raw) == tokenBytes
}

// String hides the secret from every log and format.
func (Token) String() string { return "…" }

// GoString hides it from %#v too.
func (Token) GoString() string { return "…" }
