package store

import (
	"bytes"
	"encoding/binary"
	"strings"

	"astrid/kernel/fault"
)

// Namespace is the first part of every key: who a value belongs to.
type Namespace string

// The namespaces of the kernel. Those of audit are in a store of their own.
const (
	Identity     Namespace = "system:identity"
	SystemTokens Namespace = "system:tokens"
	CapTokens    Namespace = "caps:tokens"
	CapRevoked   Namespace = "caps:revoked"
	CapUsed      Namespace = "caps:used"
	Allowances   Namespace = "allowances"
	Deferred     Namespace = "approvals:deferred"
	AuditRecords Namespace = "audit:records"
	AuditHead    Namespace = "audit:head"
)

// Capsule is the namespace of the capsule id.
func Capsule(id string) Namespace { return Namespace("capsule:" + id) }

// Bounds of names.
const (
	MaxNamespace = 256
	MaxKey       = 4 << 10
)

func (n Namespace) check() error {
	switch {
	case n == "":
		return fault.New(fault.Usage, "invalid key: a namespace must not be empty")
	case strings.ContainsRune(string(n), 0):
		return fault.New(fault.Usage, "invalid key: the namespace %q contains a NUL byte", clip(string(n)))
	case n[0] == '!':
		return fault.New(fault.Usage, "invalid key: the namespace %q begins with '!'", clip(string(n)))
	case len(n) > MaxNamespace:
		return fault.New(fault.Usage, "invalid key: a namespace of %d bytes, the limit is %d", len(n), MaxNamespace)
	}
	return nil
}

func checkKey(key string) error {
	if key == "" {
		return fault.New(fault.Usage, "invalid key: a key must not be empty")
	}
	return checkPrefix(key)
}

// checkPrefix is checkKey for what may be empty.
func checkPrefix(key string) error {
	switch {
	case strings.ContainsRune(key, 0):
		return fault.New(fault.Usage, "invalid key: %q contains a NUL byte", clip(key))
	case len(key) > MaxKey:
		return fault.New(fault.Usage, "invalid key: %d bytes, the limit is %d", len(key), MaxKey)
	}
	return nil
}

// clip bounds what a key puts into an error.
func clip(text string) string { return text[:min(len(text), 64)] }

func fullKey(ns Namespace, key string) []byte {
	full := make([]byte, 0, len(ns)+1+len(key))
	full = append(full, ns...)
	full = append(full, 0)
	return append(full, key...)
}

// splitKey is the inverse of fullKey; ok is false for what is none.
func splitKey(full []byte) (ns Namespace, key string, ok bool) {
	before, after, found := bytes.Cut(full, []byte{0})
	return Namespace(before), string(after), found && len(before) > 0
}

// Keys that are no values begin with NUL, which no namespace does.
const (
	keyFormat    = "\x00format"
	keyUsage     = "\x00usage\x00"
	keyExpiry    = "\x00expiry\x00"
	keyClearing  = "\x00clearing"
	keyRestoring = "\x00restoring"

	formatText = "astrid-store 1"
)

func usageKey(ns Namespace) []byte { return append([]byte(keyUsage), ns...) }

func expiryKey(expiry int64, full []byte) []byte {
	return append(binary.BigEndian.AppendUint64([]byte(keyExpiry), uint64(expiry)), full...)
}

// splitExpiryKey is the inverse of expiryKey.
func splitExpiryKey(key []byte) (expiry int64, full []byte, ok bool) {
	rest, found := bytes.CutPrefix(key, []byte(keyExpiry))
	if !found || len(rest) < 8 {
		return 0, nil, false
	}
	return int64(binary.BigEndian.Uint64(rest)), rest[8:], true
}
