package home

import (
	"path/filepath"
	"strconv"
	"strings"

	"astrid/kernel/fault"
)

// MaxName is the length of the longest session name.
const MaxName = 32

// CheckSession tells whether name may name a session: [a-z0-9][a-z0-9._-]{0,31}
// and none of the names that mean something else beside sessions.
func CheckSession(name string) error {
	switch {
	case !wellFormed(name):
		return fault.New(fault.Usage, "%q is no session name: use up to %d of a-z 0-9 . _ - and begin with a letter or digit", name, MaxName)
	case reserved(name):
		return fault.New(fault.Usage, "the session name %q is reserved: choose another", name)
	}
	return nil
}

func wellFormed(name string) bool {
	if name == "" || len(name) > MaxName || !alphanumeric(name[0]) {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !alphanumeric(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

// reserved names are entries of sessions/ or of a session's directory.
func reserved(name string) bool {
	switch name {
	case "ctl", "system", "workspace", "forks", "at", "base":
		return true
	}
	return strings.HasPrefix(name, "system.")
}

// NameFor derives a session name from the last element of a workspace's path;
// it always returns a valid one, which may be taken.
func NameFor(dir string) string {
	var b strings.Builder
	for _, c := range []byte(strings.ToLower(filepath.Base(dir))) {
		switch {
		case alphanumeric(c), b.Len() > 0 && (c == '.' || c == '_' || c == '-'):
			b.WriteByte(c)
		case b.Len() > 0:
			b.WriteByte('-')
		}
		if b.Len() == MaxName {
			break
		}
	}
	name := strings.TrimRight(b.String(), ".-_")
	switch {
	case name == "":
		return "session"
	case reserved(name):
		return "session-" + name[:min(len(name), MaxName-len("session-"))]
	}
	return name
}

// Unique returns name, or name with the first free number from 2 on behind it.
func Unique(name string, taken func(string) bool) string {
	for n := 2; ; n++ {
		if !taken(name) {
			return name
		}
		suffix := "-" + strconv.Itoa(n)
		stem := strings.TrimSuffix(name, "-"+strconv.Itoa(n-1))
		name = stem[:min(len(stem), MaxName-len(suffix))] + suffix
	}
}
