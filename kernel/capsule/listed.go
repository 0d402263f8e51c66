package capsule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"lukechampine.com/blake3"

	"astrid/kernel/config"
	"astrid/kernel/fault"
	"astrid/kernel/home"
)

// ServersName is the name of the file that lists MCP servers which are no capsules.
const ServersName = "servers.toml"

// Listed is what that file says of a server, beside what a manifest can.
type Listed struct {
	File    string            // where it stands
	Auto    bool              // it is loaded unless switched off, and else when switched on
	Hash    string            // BLAKE3 of its program, in hex; empty: any
	Env     map[string]string // of its program
	Read    []string          // what its program may read although it would be hidden
	Cwd     string            // within the workspace, or absolute; empty: the workspace
	MaxEnds int               // so often its programs may end by themselves; 0: always
}

// listing is the file (section 14.1 of the 0.2 protocol).
type listing struct {
	Servers map[string]listedServer `toml:"servers"`
}

type listedServer struct {
	Transport   string            `toml:"transport"`
	Command     string            `toml:"command"`
	Args        []string          `toml:"args"`
	URL         string            `toml:"url"`
	Cwd         string            `toml:"cwd"`
	Env         map[string]string `toml:"env"`
	BinaryHash  string            `toml:"binary_hash"`
	AutoStart   bool              `toml:"auto_start"`
	Description string            `toml:"description"`
	Trusted     bool              `toml:"trusted"`
	Network     *bool             `toml:"allow_network"`
	Read        []string          `toml:"allowed_read_paths"`
	Write       []string          `toml:"allowed_write_paths"`
	Restart     any               `toml:"restart_policy"`
}

// LoadListed reads a servers.toml: each server as a capsule that has nothing else.
// The file is the owner's word, so nobody else may touch it. A file that is not
// there has none.
func LoadListed(file string) (found []Found, problems []Problem) {
	data, err := home.ReadPrivate(file, MaxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var l listing
	var warnings []string
	if err == nil {
		warnings, err = config.Decode(file, data, &l)
	}
	if err != nil {
		if fault.Is(err, fault.Denied) {
			err = fault.New(fault.Denied, "%s lists programs that are run, and is to be yours alone: chmod 600 %s (%w)", file, file, err)
		}
		return nil, []Problem{{file, err.Error()}}
	}
	for name, s := range l.Servers {
		f, err := s.found(file, name)
		if err != nil {
			problems = append(problems, Problem{filepath.Join(file, name), err.Error()})
			continue
		}
		found = append(found, f)
	}
	slices.SortFunc(found, func(a, b Found) int { return strings.Compare(string(a.Package.Name), string(b.Package.Name)) })
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.Dir, b.Dir) })
	for _, w := range warnings {
		problems = append(problems, Problem{"", w})
	}
	return found, problems
}

// found is a server as a capsule.
func (s listedServer) found(file, name string) (f Found, err error) {
	if err := s.check(name); err != nil {
		return f, err
	}
	l := &Listed{File: file, Auto: s.AutoStart, Env: s.Env, Read: s.Read, Cwd: s.Cwd, Hash: s.BinaryHash}
	for _, kind := range []string{"sha256:", "blake3:"} { // 0.2 says sha256 and means BLAKE3
		l.Hash = strings.TrimPrefix(l.Hash, kind)
	}
	if l.MaxEnds, err = maxEnds(s.Restart); err != nil {
		return f, err
	}
	f = Found{Listed: l, Manifest: Manifest{
		Package:      Package{Name: ID(name), Version: "0.0.0", Description: s.Description},
		MCPServers:   []MCPServer{{ID: name, Type: "stdio", Command: s.Command, Args: s.Args, Description: s.Description}},
		Capabilities: Capabilities{HostProcess: []string{s.Command}},
	}}
	if s.Network == nil || *s.Network {
		f.Capabilities.Net = []string{"*"}
	}
	data, err := json.Marshal(s)
	if err != nil {
		return f, fault.Wrap(fault.Usage, err, "read the server")
	}
	f.Source = sourceOf(f.Package.Name, blake3.Sum256(append([]byte(ServersName+"\x00"), data...)))
	return f, nil
}

// check refuses what is not served here, with what to do instead.
func (s listedServer) check(name string) error {
	switch {
	case !regexp.MustCompile(`^[A-Za-z0-9_:-][A-Za-z0-9_:.-]{0,63}$`).MatchString(name):
		return fault.New(fault.Usage, "the name %.80q of a server is not of letters, digits, _ : . and -, 1 to 64 of them", name)
	case s.Transport != "" && s.Transport != "stdio" || s.URL != "":
		return fault.New(fault.Unsupported, "the server %s is to be reached over the network: only the transport stdio is served", name)
	case s.Command == "":
		return fault.New(fault.Usage, "the server %s has no command", name)
	case s.Trusted:
		return fault.New(fault.Unsupported, "the server %s is trusted, and no server runs outside of the sandbox: leave trusted out", name)
	case len(s.Write) > 0:
		return fault.New(fault.Unsupported, "the server %s has allowed_write_paths, and a server writes to the view only: leave them out", name)
	case s.BinaryHash != "" && !regexp.MustCompile(`^((sha256|blake3):)?[0-9a-f]{64}$`).MatchString(s.BinaryHash):
		return fault.New(fault.Usage, "the binary_hash of the server %s is not 64 hex digits of BLAKE3", name)
	}
	for _, p := range s.Read {
		if !filepath.IsAbs(p) {
			return fault.New(fault.Usage, "the path %.128q in allowed_read_paths of the server %s is not absolute", p, name)
		}
	}
	return nil
}

// maxEnds reads a restart policy: never (the default), always, or
// {on_failure={max_retries=N}}.
func maxEnds(policy any) (int, error) {
	switch p := policy.(type) {
	case nil:
		return 1, nil
	case string:
		switch p {
		case "never":
			return 1, nil
		case "always":
			return 0, nil
		}
	case map[string]any:
		if inner, ok := p["on_failure"].(map[string]any); ok && len(p) == 1 {
			if n, ok := inner["max_retries"].(int64); ok && len(inner) == 1 && n >= 0 && n < 1000 {
				return int(n) + 1, nil
			}
		}
	}
	return 0, fault.New(fault.Usage, "the restart_policy %s is none: it is never, always or {on_failure={max_retries=3}}", fmt.Sprintf("%.60v", policy))
}
