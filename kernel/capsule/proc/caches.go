package proc

import (
	"os"
	"path/filepath"
	"strings"

	"astrid/kernel/fault"
)

// cache is a directory in the user's home that tools fill for their own speed.
type cache struct {
	rel string // below the user's home
	env string // names the directory where it does not exist, or ""
}

// knownCaches are replaced by directories of the session. What is not listed
// stays readable: a module cache that is full serves builds without network.
func knownCaches() []cache {
	return []cache{
		{".cache", "XDG_CACHE_HOME"},
		{".npm", "npm_config_cache"},
		{".yarn/berry/cache", ""},
		{".local/share/pnpm/store", ""},
		{".bun/install/cache", "BUN_INSTALL_CACHE_DIR"},
		{".gradle/caches", ""},
	}
}

// cacheRoot is where the session's caches are in the sandbox, for tools that
// are told by a variable.
const cacheRoot = "/run/astrid-cache"

// caches binds the session's directories over the user's.
func (p *plan) caches() error {
	if err := os.MkdirAll(p.s.Cache, 0o700); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "make the session's cache directory")
	}
	p.bind(p.s.Cache, cacheRoot)
	for _, c := range p.s.present() {
		if p.covered(c.at) {
			continue
		}
		own := filepath.Join(p.s.Cache, c.own)
		if err := os.MkdirAll(own, 0o700); err != nil {
			return fault.Wrap(fault.KindOf(err), err, "make the session's cache directory")
		}
		p.bind(own, c.at)
	}
	return nil
}

// placed is a cache directory that exists: where it is, and its name in the
// session's cache.
type placed struct{ at, own string }

// present lists the caches that exist, those that the environment names included.
func (s *Sandbox) present() []placed {
	var found []placed
	look := func(path, own string) {
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			found = append(found, placed{real(path), own})
		}
	}
	if s.UserHome != "" {
		for _, c := range knownCaches() {
			look(filepath.Join(s.UserHome, c.rel), ownName(c.rel))
		}
	}
	for _, name := range []string{"GOCACHE", "XDG_CACHE_HOME", "npm_config_cache"} {
		if path := s.getenv(name); filepath.IsAbs(path) && !within(path, filepath.Join(s.UserHome, ".cache")) {
			look(path, name)
		}
	}
	return found
}

// cacheEnv names the caches that do not exist in the user's home.
func (s *Sandbox) cacheEnv() []string {
	var env []string
	for _, c := range knownCaches() {
		if c.env == "" || s.getenv(c.env) != "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(s.UserHome, c.rel)); s.UserHome == "" || err != nil {
			env = append(env, c.env+"="+filepath.Join(cacheRoot, ownName(c.rel)))
		}
	}
	return env
}

// ownName is the name of a cache in the session's cache directory.
func ownName(rel string) string { return strings.ReplaceAll(strings.TrimPrefix(rel, "."), "/", "-") }
