package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
)

// MaxFile is the size of the largest file that is read.
const MaxFile = 1 << 20

// System is the file of the whole machine.
const System = "/etc/astrid/config.toml"

// Sources says where the layers are. Lookup is os.Getenv in the one place that
// may read the environment.
type Sources struct {
	System string // System, or another for tests
	Home   string // config.toml of Astrid's home
	Lookup func(string) string
}

// Load reads the layers. A warning is one sentence for a person; an error, of
// Kind Usage, names the file and the line.
func Load(s Sources) (c Config, warnings []string, err error) {
	c = Default()
	for _, path := range []string{s.System, s.Home} {
		f, warned, err := read(path, s.Lookup)
		warnings = append(warnings, warned...)
		if err != nil {
			return c, warnings, err
		}
		if c, err = f.over(c); err != nil {
			return c, warnings, fault.Wrap(fault.Usage, err, "%s", path)
		}
	}
	warned, err := c.environment(s.Lookup)
	return c, append(warnings, warned...), err
}

// environment is the last layer.
func (c *Config) environment(lookup func(string) string) (warnings []string, err error) {
	if text := lookup("ASTRID_IDLE_TIMEOUT_SECS"); text != "" {
		if seconds, err := strconv.ParseUint(text, 10, 32); err == nil && seconds <= maxSeconds {
			c.Idle = time.Duration(seconds) * time.Second
		} else {
			warnings = append(warnings, fmt.Sprintf("ASTRID_IDLE_TIMEOUT_SECS is %.40q, which is no number of seconds: it is ignored", text))
		}
	}
	if text := lookup("ASTRID_LOG_LEVEL"); text != "" {
		if c.LogLevel, err = parseLevel("ASTRID_LOG_LEVEL", text); err != nil {
			return warnings, err
		}
	}
	return warnings, nil
}

// Tighten reads the file of a workspace and returns c as it holds for its
// session: limits may have become stricter. Everything else in it is a warning.
func (c Config) Tighten(path string) (Config, []string, error) {
	f, warnings, err := read(path, func(string) string { return "" })
	if err != nil {
		return c, warnings, err
	}
	if len(f.Identity.Links) > 0 {
		warnings = append(warnings, path+": a workspace may not add identity links: they are ignored")
	}
	wanted, err := f.over(c)
	if err != nil {
		return c, warnings, fault.Wrap(fault.Usage, err, "%s", path)
	}
	tight := c
	tight.ApprovalTimeout = min(c.ApprovalTimeout, wanted.ApprovalTimeout)
	tight.CapsuleQuota = min(c.CapsuleQuota, wanted.CapsuleQuota)
	wanted.ApprovalTimeout, wanted.CapsuleQuota, wanted.Links = tight.ApprovalTimeout, tight.CapsuleQuota, tight.Links
	if fmt.Sprint(wanted) != fmt.Sprint(tight) {
		warnings = append(warnings, path+": a workspace may only make security.approval_timeout_secs and capsules.quota_mb stricter: the rest of the kernel's settings is ignored")
	}
	return tight, warnings, nil
}

// read reads one file; one that is not there says nothing.
func read(path string, lookup func(string) string) (f file, warnings []string, err error) {
	data, err := slurp(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return f, nil, nil
	case err != nil:
		return f, nil, fault.Wrap(fault.KindOf(err), err, "read %s", path)
	}
	if data, err = expand(path, data, lookup); err != nil {
		return f, nil, err
	}
	warnings, err = Decode(path, data, &f)
	return f, warnings, err
}

// Decode reads TOML into what into points to, by the rules of the package
// comment: name is what warnings and errors call the text. Its errors have Kind
// Usage.
func Decode(name string, data []byte, into any) (warnings []string, err error) {
	err = toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(into)
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		for _, one := range unknown.Errors {
			line, _ := one.Position()
			warnings = append(warnings, fmt.Sprintf("%s:%d: nobody knows the key %s: it is ignored", name, line, strings.Join(one.Key(), ".")))
		}
		reflect.ValueOf(into).Elem().SetZero()
		err = toml.Unmarshal(data, into)
	}
	return warnings, located(name, err)
}

// located says where an error of the TOML library is.
func located(path string, err error) error {
	var bad *toml.DecodeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &bad):
		line, column := bad.Position()
		return fault.New(fault.Usage, "%s:%d:%d: %s", path, line, column, strings.TrimPrefix(bad.Error(), "toml: "))
	}
	return fault.New(fault.Usage, "%s: %s", path, strings.TrimPrefix(err.Error(), "toml: "))
}

// slurp reads a file that must be a regular one of this user or of root, which
// others may not write.
func slurp(path string) ([]byte, error) {
	if path == "" {
		return nil, fs.ErrNotExist
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if why := untrusted(st); why != "" {
		return nil, fault.New(fault.Denied, "it %s: it is not used", why)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		err = fault.New(fault.Limit, "it is larger than %d bytes", MaxFile)
	}
	return data, err
}

func untrusted(st os.FileInfo) string {
	sys, ok := st.Sys().(*syscall.Stat_t)
	switch {
	case !ok || !st.Mode().IsRegular():
		return "is no regular file"
	case sys.Uid != 0 && int(sys.Uid) != os.Geteuid():
		return fmt.Sprintf("belongs to user %d", sys.Uid)
	case st.Mode().Perm()&0o022 != 0:
		return fmt.Sprintf("may be written by others (mode %04o)", st.Mode().Perm())
	}
	return ""
}

// expand puts the environment's variables into the text. Their values are put
// where strings are, and may not end them.
func expand(path string, data []byte, lookup func(string) string) ([]byte, error) {
	var failed error
	reference := regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`)
	out := reference.ReplaceAllFunc(data, func(ref []byte) []byte {
		name := string(ref[2 : len(ref)-1])
		value := lookup(name)
		switch {
		case value == "":
			failed = fault.New(fault.Usage, "%s: the variable %s is not set", path, name)
		case strings.ContainsAny(value, "\"'\\\n\r\x00"):
			failed = fault.New(fault.Usage, "%s: the variable %s holds a quote, a backslash or a newline", path, name)
		}
		return []byte(value)
	})
	return out, failed
}
