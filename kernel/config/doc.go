// Package config reads what people write in config.toml.
//
// # Layers
//
// Later ones win, member by member:
//
//	what Default says
//	/etc/astrid/config.toml
//	HOME/config.toml             only if it is the kernel's user's, and nobody else may write it
//	the environment              ASTRID_IDLE_TIMEOUT_SECS, ASTRID_LOG_LEVEL; over the files
//
// A workspace may have DIR/.astrid/config.toml; it comes with the workspace and
// is not trusted: Tighten lets it make limits stricter for its session, and
// nothing else. What it may not set, identity links above all, is a warning.
//
// # Files
//
// At most MaxFile bytes of TOML. A key that nobody knows is a warning with its
// line, since another version may know it. A table or key given twice, a value
// of a wrong type or out of range, is an error with its line, and the file
// counts for nothing: a kernel must not run on half of what was meant.
//
// Tables of 0.2 that are for frontends and capsules (model, runtime, budget and
// the like) are accepted and left to them.
//
// A string may hold ${NAME}: the environment variable, which must be set.
package config
