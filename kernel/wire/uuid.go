package wire

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"astrid/kernel/fault"
)

// NewUUID returns a random UUID (version 4) in lower case with hyphens.
func NewUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return formatUUID(b)
}

func formatUUID(b [16]byte) string {
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// ParseUUID checks a UUID of 36 characters and returns it in lower case. Its
// errors have Kind Usage.
func ParseUUID(s string) (string, error) {
	b, err := UUIDBytes(s)
	if err != nil {
		return "", err
	}
	return formatUUID(b), nil
}

// UUIDBytes returns the sixteen bytes of a UUID of 36 characters.
func UUIDBytes(s string) (b [16]byte, err error) {
	bad := fault.New(fault.Usage, "%.64q is no UUID", s)
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return b, bad
	}
	if n, err := hex.Decode(b[:], []byte(strings.ReplaceAll(s, "-", ""))); err != nil || n != 16 {
		return b, bad
	}
	return b, nil
}
