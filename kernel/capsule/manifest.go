package capsule

// ID is the name of a capsule: [a-z0-9-]+.
type ID string

// Manifest is a Capsule.toml that Parse has taken.
type Manifest struct {
	Package      Package        `toml:"package"`
	Components   []Component    `toml:"component"`
	Dependencies Dependencies   `toml:"dependencies"`
	Capabilities Capabilities   `toml:"capabilities"` // with those of the components
	Env          map[string]Env `toml:"env"`
	ContextFiles []ContextFile  `toml:"context_file"`
	Commands     []Command      `toml:"command"`
	MCPServers   []MCPServer    `toml:"mcp_server"`
	Skills       []Skill        `toml:"skill"`
	Uplinks      []Uplink       `toml:"uplink"`
	LLMProviders []LLMProvider  `toml:"llm_provider"`
	Interceptors []Interceptor  `toml:"interceptor"`
	Crons        []Cron         `toml:"cron"`
	Tools        []Tool         `toml:"tool"`
	Topics       []Topic        `toml:"topic"`
}

// Package is what a capsule is.
type Package struct {
	Name          ID       `toml:"name"`
	Version       string   `toml:"version"` // semver
	Description   string   `toml:"description"`
	Authors       []string `toml:"authors"`
	Keywords      []string `toml:"keywords"`
	Categories    []string `toml:"categories"`
	Repository    string   `toml:"repository"`
	Homepage      string   `toml:"homepage"`
	Documentation string   `toml:"documentation"`
	License       string   `toml:"license"`
	LicenseFile   string   `toml:"license-file"`
	Readme        string   `toml:"readme"`
	Astrid        string   `toml:"astrid-version"` // semver requirement
	Publish       bool     `toml:"publish"`
	Include       []string `toml:"include"`
	Exclude       []string `toml:"exclude"`
	Metadata      any      `toml:"metadata"`
}

// Component is a WASM module.
type Component struct {
	ID           string       `toml:"id"`
	File         string       `toml:"file"` // below the capsule's directory
	Entrypoint   string       `toml:"entrypoint"`
	Hash         string       `toml:"hash"` // BLAKE3 in hex, with or without "blake3:"; empty: not said
	Type         string       `toml:"type"`
	Link         []string     `toml:"link"`
	Capabilities Capabilities `toml:"capabilities"`
}

// Dependencies are what a capsule offers to others and needs of them, as
// "topic:…", "tool:…", "llm:…" or "uplink:…".
type Dependencies struct {
	Provides []string `toml:"provides"`
	Requires []string `toml:"requires"` // may hold "*"
}

// Capabilities are what a capsule asks to be allowed. An empty list allows
// nothing.
type Capabilities struct {
	Uplink          bool     `toml:"uplink"`
	Net             []string `toml:"net"`
	KV              []string `toml:"kv"`
	FSRead          []string `toml:"fs_read"`
	FSWrite         []string `toml:"fs_write"`
	HostProcess     []string `toml:"host_process"`
	NetBind         []string `toml:"net_bind"`
	IPCPublish      []string `toml:"ipc_publish"`
	IPCSubscribe    []string `toml:"ipc_subscribe"`
	Identity        []string `toml:"identity"`
	PromptInjection bool     `toml:"allow_prompt_injection"`
}

// Env is a value that a person sets for the capsule.
type Env struct {
	Type        string   `toml:"type"` // string, secret or array
	Request     string   `toml:"request"`
	Description string   `toml:"description"`
	Placeholder string   `toml:"placeholder"`
	Default     any      `toml:"default"`
	Enum        []string `toml:"enum_values"`
}

// ContextFile is text for those who build prompts.
type ContextFile struct {
	Name string `toml:"name"`
	File string `toml:"file"`
}

// Command is a slash command of a frontend.
type Command struct {
	Name        string `toml:"name"`
	Description string `toml:"description"`
	File        string `toml:"file"`
}

// MCPServer is a server of the Model Context Protocol that the capsule brings.
type MCPServer struct {
	ID          string   `toml:"id"`
	Description string   `toml:"description"`
	Type        string   `toml:"type"` // wasm-ipc, stdio or openclaw; only stdio is run
	Command     string   `toml:"command"`
	Args        []string `toml:"args"`
}

// Skill is a text that teaches an agent something.
type Skill struct {
	Name        string `toml:"name"`
	Description string `toml:"description"`
	File        string `toml:"file"`
}

// Uplink is a connection to a platform of messages.
type Uplink struct {
	Name     string `toml:"name"`
	Platform string `toml:"platform"`
	Profile  string `toml:"profile"` // chat, interactive, notify or bridge
}

// LLMProvider is a provider of models.
type LLMProvider struct {
	ID           string   `toml:"id"`
	Description  string   `toml:"description"`
	Capabilities []string `toml:"capabilities"`
}

// Interceptor is an action that runs when a message or event matches.
type Interceptor struct {
	Event    string `toml:"event"` // pattern of topics
	Action   string `toml:"action"`
	Priority *int   `toml:"priority"` // lower first; default 100
}

// Cron is an action that runs at times.
type Cron struct {
	Name     string `toml:"name"`
	Schedule string `toml:"schedule"`
	Action   string `toml:"action"`
}

// Tool is a function that agents may call.
type Tool struct {
	Name        string `toml:"name"`
	Description string `toml:"description"`
	InputSchema any    `toml:"input_schema"` // JSON Schema
}

// Topic documents a topic that the capsule speaks or hears on.
type Topic struct {
	Name        string `toml:"name"`
	Direction   string `toml:"direction"` // publish or subscribe
	Description string `toml:"description"`
	Schema      string `toml:"schema"`
}

// Provides is what the capsule offers: what it says, or what follows from the
// rest of the manifest.
func (m *Manifest) Provides() []string {
	if len(m.Dependencies.Provides) > 0 {
		return m.Dependencies.Provides
	}
	var all []string
	for _, p := range m.Capabilities.IPCPublish {
		all = append(all, "topic:"+p)
	}
	for _, t := range m.Tools {
		all = append(all, "tool:"+t.Name)
	}
	for _, l := range m.LLMProviders {
		all = append(all, "llm:"+l.ID)
	}
	for _, u := range m.Uplinks {
		all = append(all, "uplink:"+u.Name)
	}
	return all
}
