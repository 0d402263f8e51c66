package config

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"astrid/kernel/fault"
)

// Config is what the kernel is configured with. It is a value; nobody changes it
// after Load.
type Config struct {
	// ApprovalTimeout is how long a request for approval waits for an answer.
	ApprovalTimeout time.Duration
	// AuditRefuses says whether a broken audit log keeps the kernel from booting;
	// otherwise it boots and says so.
	AuditRefuses bool
	// AuditMax is how many bytes of records the audit log keeps in its store; what is
	// over it is archived.
	AuditMax int64
	// Idle is how long nobody may need the kernel before it ends; Never: it stays.
	Idle time.Duration
	// StopTimeout bounds a stop.
	StopTimeout time.Duration
	LogLevel    slog.Level
	// LogJSON says that the kernel's log is lines of JSON instead of text. Whoever
	// makes the log asks for it.
	LogJSON bool
	// CapsuleQuota is how many bytes a capsule may keep in the state store.
	CapsuleQuota int64
	Links        []Link
	// Issuers are the public keys, beside the kernel's own, whose capability
	// tokens are taken.
	Issuers []ed25519.PublicKey
}

// Never is the Idle of a kernel that stays.
const Never = time.Duration(-1)

// Link is an account that is to be linked to a user.
type Link struct {
	Platform string `toml:"platform"`
	Account  string `toml:"platform_user_id"`
	User     string `toml:"astrid_user"` // id, or a name, which is made when there is none
	Method   string `toml:"method"`      // default admin
}

// Default is the configuration without any file.
func Default() Config {
	return Config{
		ApprovalTimeout: 60 * time.Second,
		Idle:            300 * time.Second,
		StopTimeout:     20 * time.Second,
		LogLevel:        slog.LevelInfo,
		CapsuleQuota:    1 << 30,
		AuditMax:        100 << 20,
	}
}

// file is config.toml. What is nil was not said.
type file struct {
	Security struct {
		ApprovalTimeout   *float64 `toml:"approval_timeout_secs"`
		RequireSignatures *bool    `toml:"require_signatures"`
		Issuers           []string `toml:"trusted_issuers"` // base64
		Policy            any      `toml:"policy"`
	} `toml:"security"`
	Audit struct {
		Broken  *string `toml:"on_broken"`
		MaxSize *int64  `toml:"max_size_mb"`
	} `toml:"audit"`
	Gateway struct {
		Idle            *float64 `toml:"idle_shutdown_secs"`
		Stop            *float64 `toml:"shutdown_timeout_secs"`
		HotReload       *bool    `toml:"hot_reload"`
		HealthInterval  *float64 `toml:"health_interval_secs"`
		CleanupInterval *float64 `toml:"session_cleanup_interval_secs"`
	} `toml:"gateway"`
	Logging struct {
		Level      *string `toml:"level"`
		Format     *string `toml:"format"`
		Directives any     `toml:"directives"`
	} `toml:"logging"`
	Capsules struct {
		Quota *int64 `toml:"quota_mb"`
	} `toml:"capsules"`
	Identity struct {
		Links []Link `toml:"links"`
	} `toml:"identity"`

	// Of frontends and capsules.
	Model      any `toml:"model"`
	Runtime    any `toml:"runtime"`
	Budget     any `toml:"budget"`
	RateLimits any `toml:"rate_limits"`
	Servers    any `toml:"servers"`
	Workspace  any `toml:"workspace"`
	Git        any `toml:"git"`
	Hooks      any `toml:"hooks"`
	Timeouts   any `toml:"timeouts"`
	Sessions   any `toml:"sessions"`
	Subagents  any `toml:"subagents"`
	Retry      any `toml:"retry"`
	Uplinks    any `toml:"uplinks"`
	Spark      any `toml:"spark"`
}

// maxSeconds bounds every time that is configured: a year.
const maxSeconds = 366 * 24 * 3600

// over puts what the file says over c.
func (f file) over(c Config) (Config, error) {
	var bad error
	seconds := func(key string, from *float64, to *time.Duration) {
		switch {
		case from == nil:
		case !(*from >= 0 && *from <= maxSeconds):
			bad = fault.New(fault.Usage, "%s is %v: it may be 0 to %d", key, *from, maxSeconds)
		default:
			*to = time.Duration(*from * float64(time.Second))
		}
	}
	seconds("security.approval_timeout_secs", f.Security.ApprovalTimeout, &c.ApprovalTimeout)
	seconds("gateway.shutdown_timeout_secs", f.Gateway.Stop, &c.StopTimeout)
	if idle := f.Gateway.Idle; idle != nil && *idle == -1 {
		c.Idle = Never
	} else {
		seconds("gateway.idle_shutdown_secs", idle, &c.Idle)
	}
	if f.Audit.Broken != nil {
		c.AuditRefuses = *f.Audit.Broken == "refuse"
		bad = orElse(bad, oneOf("audit.on_broken", *f.Audit.Broken, "warn", "refuse"))
	}
	if f.Logging.Format != nil {
		c.LogJSON = *f.Logging.Format == "json"
		bad = orElse(bad, oneOf("logging.format", *f.Logging.Format, "text", "compact", "full", "pretty", "json"))
	}
	if f.Logging.Level != nil {
		level, err := parseLevel("logging.level", *f.Logging.Level)
		c.LogLevel, bad = level, orElse(bad, err)
	}
	megabytes := func(key string, from *int64, to *int64) {
		switch {
		case from == nil:
		case *from < 1 || *from > 1<<20:
			bad = orElse(bad, fault.New(fault.Usage, "%s is %d: it may be 1 to %d", key, *from, 1<<20))
		default:
			*to = *from << 20
		}
	}
	megabytes("capsules.quota_mb", f.Capsules.Quota, &c.CapsuleQuota)
	megabytes("audit.max_size_mb", f.Audit.MaxSize, &c.AuditMax)
	for _, text := range f.Security.Issuers {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) != ed25519.PublicKeySize {
			bad = orElse(bad, fault.New(fault.Usage, "security.trusted_issuers holds %.64q, which is no public key of %d bytes in base64", text, ed25519.PublicKeySize))
		}
		c.Issuers = append(slices.Clone(c.Issuers), key)
	}
	for _, l := range f.Identity.Links {
		if l.Method == "" {
			l.Method = "admin"
		}
		if l.Platform == "" || l.Account == "" || l.User == "" {
			bad = orElse(bad, fault.New(fault.Usage, "an entry of identity.links needs platform, platform_user_id and astrid_user"))
		}
		c.Links = append(c.Links, l)
	}
	return c, bad
}

func orElse(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

func oneOf(key, value string, words ...string) error {
	if slices.Contains(words, value) {
		return nil
	}
	return fault.New(fault.Usage, "%s is %.40q: it may be %s", key, value, fmt.Sprintf("%q", words))
}

func parseLevel(key, word string) (slog.Level, error) {
	switch word {
	case "trace", "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return slog.LevelInfo, oneOf(key, word, "trace", "debug", "info", "warn", "error")
}
