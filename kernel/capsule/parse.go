package capsule

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"astrid/kernel/bus"
	"astrid/kernel/config"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// MaxManifest is the size of the largest manifest that is read.
const MaxManifest = 1 << 20

// Parse reads a manifest; name is what errors and warnings call it. Errors have
// Kind Usage.
func Parse(name string, data []byte) (m Manifest, warnings []string, err error) {
	if warnings, err = config.Decode(name, data, &m); err != nil {
		return m, warnings, err
	}
	for i := range m.Components {
		c := &m.Components[i]
		if c.File == "" {
			c.File = c.Entrypoint
		}
		m.Capabilities = m.Capabilities.with(c.Capabilities)
	}
	for _, check := range []func() error{
		m.checkPackage, m.checkComponents, m.checkDependencies, m.checkCapabilities, m.checkEnv,
		m.checkFiles, m.checkOffers, m.checkTopics,
	} {
		if err := check(); err != nil {
			return m, warnings, fault.New(fault.Usage, "%s: %w", name, err)
		}
	}
	return m, warnings, nil
}

// with adds what a component asks for.
func (c Capabilities) with(o Capabilities) Capabilities {
	join := func(a, b []string) []string { return slices.Concat(a, b) }
	return Capabilities{
		Uplink: c.Uplink || o.Uplink, PromptInjection: c.PromptInjection || o.PromptInjection,
		Net: join(c.Net, o.Net), KV: join(c.KV, o.KV), FSRead: join(c.FSRead, o.FSRead), FSWrite: join(c.FSWrite, o.FSWrite),
		HostProcess: join(c.HostProcess, o.HostProcess), NetBind: join(c.NetBind, o.NetBind),
		IPCPublish: join(c.IPCPublish, o.IPCPublish), IPCSubscribe: join(c.IPCSubscribe, o.IPCSubscribe), Identity: join(c.Identity, o.Identity),
	}
}

func (m *Manifest) checkPackage() error {
	p := m.Package
	if !regexp.MustCompile(`^[a-z0-9-]{1,64}$`).MatchString(string(p.Name)) {
		return fmt.Errorf("the name %.80q in [package] is not of a-z, 0-9 and -, 1 to 64 of them", p.Name)
	}
	if _, err := semver.StrictNewVersion(p.Version); err != nil {
		return fmt.Errorf("invalid version '%.40s' in [package] - must be valid semver (MAJOR.MINOR.PATCH)", p.Version)
	}
	if p.Astrid == "" {
		return nil
	}
	wanted, err := requirement(p.Astrid)
	if err != nil {
		return fmt.Errorf("astrid-version %.40q in [package] is no version requirement: %w", p.Astrid, err)
	}
	if !wanted.Check(semver.MustParse(wire.Version)) {
		return fmt.Errorf("it needs Astrid %s, and this is %s", p.Astrid, wire.Version)
	}
	return nil
}

// requirement reads a requirement as Cargo does, in which a bare version means
// that one and what is compatible with it.
func requirement(text string) (*semver.Constraints, error) {
	parts := strings.Split(text, ",")
	for i, part := range parts {
		part = strings.TrimSpace(part)
		if part != "" && part[0] >= '0' && part[0] <= '9' {
			part = "^" + part
		}
		parts[i] = part
	}
	return semver.NewConstraint(strings.Join(parts, ", "))
}

func (m *Manifest) checkComponents() error {
	for _, c := range m.Components {
		if c.File == "" {
			return fmt.Errorf("component %q names no file", c.ID)
		}
		if c.Hash != "" && !regexp.MustCompile(`^(blake3:)?[0-9a-f]{64}$`).MatchString(c.Hash) {
			return fmt.Errorf("the hash of component %q is not 64 hex digits of BLAKE3", c.ID)
		}
	}
	return nil
}

func (m *Manifest) checkDependencies() error {
	for _, p := range m.Dependencies.Provides {
		if strings.Contains(p, "*") {
			return fmt.Errorf("%q in provides: a capsule provides no wildcard", p)
		}
		if err := checkNeed(p); err != nil {
			return err
		}
	}
	for _, r := range m.Dependencies.Requires {
		if err := checkNeed(r); err != nil {
			return err
		}
	}
	if m.Capabilities.Uplink && len(m.Dependencies.Requires) > 0 {
		return fmt.Errorf("an uplink is loaded before all others and may require nothing")
	}
	return nil
}

// checkNeed checks "kind:body".
func checkNeed(text string) error {
	kind, body, _ := strings.Cut(text, ":")
	switch kind {
	case "topic", "tool", "llm", "uplink":
	default:
		return fmt.Errorf("%q: a dependency begins with topic:, tool:, llm: or uplink:", text)
	}
	if _, err := bus.ParsePattern(body); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	return nil
}

func (m *Manifest) checkCapabilities() error {
	c := m.Capabilities
	for _, p := range slices.Concat(c.IPCPublish, c.IPCSubscribe) {
		if _, err := bus.ParsePattern(p); err != nil {
			return err
		}
	}
	for _, level := range c.Identity {
		if !slices.Contains([]string{"resolve", "link", "admin"}, level) {
			return fmt.Errorf("the identity capability %q is none of resolve, link and admin", level)
		}
	}
	for _, p := range slices.Concat(c.FSRead, c.FSWrite) {
		if slices.Contains(strings.Split(p, "/"), "..") {
			return fmt.Errorf("the path %q climbs with ..", p)
		}
	}
	return nil
}

func (m *Manifest) checkEnv() error {
	for key, e := range m.Env {
		if !slices.Contains([]string{"string", "secret", "array"}, e.Type) {
			return fmt.Errorf("the type %q of [env.%s] is none of string, secret and array", e.Type, key)
		}
		if strings.ContainsAny(key, ":\x00") {
			return fmt.Errorf("the key %q of env contains ':' or a null byte", key)
		}
	}
	return nil
}

// checkFiles keeps every file that the manifest names below its directory.
func (m *Manifest) checkFiles() error {
	files := map[string][]string{}
	for _, c := range m.Components {
		files["component"] = append(files["component"], c.File)
	}
	for _, c := range m.ContextFiles {
		files["context_file"] = append(files["context_file"], c.File)
	}
	for _, c := range m.Commands {
		if c.File != "" {
			files["command"] = append(files["command"], c.File)
		}
	}
	for _, s := range m.Skills {
		files["skill"] = append(files["skill"], s.File)
	}
	for _, t := range m.Topics {
		if t.Schema != "" {
			files["topic"] = append(files["topic"], t.Schema)
		}
	}
	for table, names := range files {
		for _, name := range names {
			if !filepath.IsLocal(name) || strings.ContainsRune(name, 0) {
				return fmt.Errorf("the file %.80q of [[%s]] does not lie below the capsule", name, table)
			}
		}
	}
	return nil
}

// checkOffers checks what the capsule offers to people, agents and the kernel.
func (m *Manifest) checkOffers() error {
	names := map[string]bool{}
	once := func(table, name string) error {
		if name == "" {
			return fmt.Errorf("an entry of [[%s]] has no name", table)
		}
		if names[table+" "+name] {
			return fmt.Errorf("[[%s]] has %q twice", table, name)
		}
		names[table+" "+name] = true
		return nil
	}
	var failed []error
	for _, c := range m.Commands {
		failed = append(failed, once("command", c.Name))
	}
	for _, t := range m.Tools {
		failed = append(failed, once("tool", t.Name))
		if t.Description == "" || t.InputSchema == nil {
			failed = append(failed, fmt.Errorf("the tool %q needs a description and an input_schema", t.Name))
		}
	}
	for _, l := range m.LLMProviders {
		failed = append(failed, once("llm_provider", l.ID))
	}
	for _, s := range m.MCPServers {
		failed = append(failed, once("mcp_server", s.ID))
		if s.Type == "stdio" && s.Command == "" {
			failed = append(failed, fmt.Errorf("the MCP server %q names no command", s.ID))
		}
	}
	for _, u := range m.Uplinks {
		failed = append(failed, once("uplink", u.Name))
		if !slices.Contains([]string{"chat", "interactive", "notify", "bridge"}, u.Profile) {
			failed = append(failed, fmt.Errorf("the profile %q of the uplink %q is none of chat, interactive, notify and bridge", u.Profile, u.Name))
		}
	}
	for _, i := range m.Interceptors {
		if _, err := bus.ParsePattern(i.Event); err != nil || i.Action == "" {
			failed = append(failed, fmt.Errorf("an interceptor needs an action and the pattern of an event, and has %q and %q", i.Action, i.Event))
		}
	}
	for _, c := range m.Crons {
		failed = append(failed, once("cron", c.Name))
	}
	return firstOf(failed)
}

func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) checkTopics() error {
	seen := map[string]bool{}
	for _, t := range m.Topics {
		if !regexp.MustCompile(`^[A-Za-z0-9_.-]+$`).MatchString(t.Name) {
			return fmt.Errorf("the topic %q is not of A-Z, a-z, 0-9, _, . and -", t.Name)
		}
		if _, err := bus.ParseTopic(t.Name); err != nil {
			return err
		}
		if t.Direction != "publish" && t.Direction != "subscribe" {
			return fmt.Errorf("the direction %q of the topic %s is neither publish nor subscribe", t.Direction, t.Name)
		}
		if seen[t.Name+" "+t.Direction] {
			return fmt.Errorf("[[topic]] has %s, %s, twice", t.Name, t.Direction)
		}
		seen[t.Name+" "+t.Direction] = true
	}
	return nil
}
