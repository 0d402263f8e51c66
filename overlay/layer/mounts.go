package layer

import (
	"os"
	"strconv"
	"strings"
)

// Mountpoints returns the mount points below path, relative to it, in the order
// in which they were mounted and each once; path itself is not among them. path
// is absolute and without symbolic links. Nothing is looked up on the way, so
// that a dead mount cannot make it wait.
func Mountpoints(path string) ([]string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return mountpointsIn(string(b), path), nil
}

func mountpointsIn(info, path string) []string {
	prefix := strings.TrimRight(path, "/") + "/"
	var rel []string
	seen := make(map[string]bool)
	for line := range strings.Lines(info) {
		fields := strings.SplitN(line, " ", 6)
		if len(fields) < 6 {
			continue
		}
		below, ok := strings.CutPrefix(unescape(fields[4]), prefix)
		if ok && below != "" && !seen[below] {
			seen[below] = true
			rel = append(rel, below)
		}
	}
	return rel
}

// unescape undoes the \040 of mountinfo.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
