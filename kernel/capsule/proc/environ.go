package proc

import "strings"

// deaf are variables that name sockets and directories which the sandbox hides.
func deaf() []string {
	return []string{"SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "PWD", "OLDPWD", "TMPDIR", "TMP", "TEMP"}
}

// environ is the program's environment.
func (s *Sandbox) environ() []string {
	drop := map[string]bool{}
	for _, name := range deaf() {
		drop[name] = true
	}
	env := []string{}
	for _, v := range s.Env {
		name, _, _ := strings.Cut(v, "=")
		if !drop[name] && !strings.HasPrefix(name, "ASTRID_") {
			env = append(env, v)
		}
	}
	env = append(env, "PWD="+s.Cwd, "TMPDIR=/tmp")
	return append(env, s.cacheEnv()...)
}

// getenv looks a variable up in the environment that was given.
func (s *Sandbox) getenv(name string) string {
	value := ""
	for _, v := range s.Env {
		if n, val, _ := strings.Cut(v, "="); n == name {
			value = val
		}
	}
	return value
}
