package text

import (
	"fmt"
	"strconv"
	"strings"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// ParseBrake reads one line of a brake file: limits as NAME=NUMBER, reset, off; or a
// JSON object. It is like ParseCommit.
func ParseBrake(line string) (req wire.BrakeRequest, ok bool, err error) {
	return read(line, func(words []string) (req wire.BrakeRequest, err error) {
		for _, w := range words {
			if err := brakeWord(&req, w); err != nil {
				return req, err
			}
		}
		return req, nil
	})
}

func brakeWord(req *wire.BrakeRequest, w string) error {
	name, value, _ := strings.Cut(w, "=")
	var to **int64
	switch name {
	case "off":
		req.Off = true
	case "reset":
		req.Reset = true
	case "deleted":
		to = &req.Deleted
	case "changed":
		to = &req.Changed
	case "bytes":
		to = &req.Bytes
	case "ops-per-second":
		to = &req.OpsPerSecond
	case "bytes-per-second":
		to = &req.BytesPerSecond
	default:
		return fault.New(fault.Usage, "brake has no limit %.40q: deleted, changed, bytes, ops-per-second and bytes-per-second are the limits, reset and off the other words", name)
	}
	if to == nil {
		return nil
	}
	n, err := ParseSize(value)
	if err == nil {
		*to = &n
	}
	return err
}

// ParseSize reads a number, perhaps followed by K, M, G or T for its powers of 1024.
func ParseSize(s string) (int64, error) {
	digits, shift := s, 0
	if n := len(s); n > 0 {
		if i := strings.IndexByte("KMGT", s[n-1]&^0x20); i >= 0 && s[n-1] > '9' {
			digits, shift = s[:n-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n<<shift>>shift != n {
		return 0, fault.New(fault.Usage, "%.40q is no number such as 100, 20K, 3M or 4G", s)
	}
	return n << shift, nil
}

// Brake prints limits with what was used of them.
func Brake(b wire.Brake) []byte {
	var p pairs
	for _, x := range []struct {
		name        string
		used, limit int64
	}{
		{"deleted", b.Used.Deleted, b.Limits.Deleted},
		{"changed", b.Used.Changed, b.Limits.Changed},
		{"bytes", b.Used.Bytes, b.Limits.Bytes},
	} {
		if x.limit > 0 {
			p.add("brake", fmt.Sprintf("%s %d of %d", x.name, x.used, x.limit))
		}
	}
	if b.Limits.OpsPerSecond > 0 {
		p.add("brake", fmt.Sprintf("ops-per-second %d", b.Limits.OpsPerSecond))
	}
	if b.Limits.BytesPerSecond > 0 {
		p.add("brake", fmt.Sprintf("bytes-per-second %d", b.Limits.BytesPerSecond))
	}
	p.some("braked", b.Why)
	return p.Bytes()
}
