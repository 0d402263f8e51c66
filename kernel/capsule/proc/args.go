package proc

import (
	"os"
	"path/filepath"
	"strings"

	"astrid/kernel/fault"
)

// plan collects bubblewrap's arguments; later mounts lie over earlier ones.
type plan struct {
	s    *Sandbox
	dir  string // the workspace, resolved
	home string // Astrid's home, resolved
	user string // the user's home, resolved, or ""
	args []string
}

func (p *plan) add(args ...string) { p.args = append(p.args, args...) }

// args is everything up to the command.
func (s *Sandbox) args() ([]string, error) {
	p := &plan{s: s, dir: real(s.Dir), home: real(s.Home)}
	if s.UserHome != "" {
		p.user = real(s.UserHome)
	}
	p.namespaces()
	p.machine()
	if err := p.caches(); err != nil {
		return nil, err
	}
	p.secrets()
	if !p.covered(p.home) {
		p.add("--perms", "0700", "--tmpfs", p.home)
	}
	if p.dir != "/" {
		p.add("--bind", s.View, p.dir)
	}
	if s.Program != "" {
		p.add("--ro-bind", s.Program, Program)
	}
	if err := p.readable(); err != nil {
		return nil, err
	}
	p.add("--chdir", s.Cwd)
	return p.args, nil
}

func (p *plan) namespaces() {
	p.add("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
	if !p.s.Net {
		p.add("--unshare-net")
	}
	p.add("--cap-drop", "ALL", "--die-with-parent")
	if newSession(p.s.Stdin, p.s.Stdout, p.s.Stderr) {
		p.add("--new-session")
	}
}

// private are the directories that each program has to itself.
func private() []string { return []string{"/tmp", "/var/tmp", "/run"} }

// machine is the file system around the view.
func (p *plan) machine() {
	if p.dir == "/" {
		p.add("--bind", p.s.View, "/")
	} else {
		p.add("--ro-bind", "/", "/")
	}
	p.add("--dev", "/dev", "--proc", "/proc")
	p.guardProc()
	for _, dir := range private() {
		if st, err := os.Lstat(dir); err == nil && st.IsDir() {
			p.add("--perms", "1777", "--tmpfs", dir)
		}
	}
}

// guardProc covers what root could change or learn through /proc although it
// has no capability: those files ask for no more than the uid, and the root of
// the sandbox is the root of the machine.
func (p *plan) guardProc() {
	for _, dir := range []string{"/proc/sys", "/proc/fs", "/proc/acpi", "/proc/scsi"} {
		if st, err := os.Lstat(dir); err == nil && st.IsDir() {
			p.add("--ro-bind", dir, dir)
		}
	}
	for _, file := range []string{"/proc/sysrq-trigger", "/proc/kcore", "/proc/keys", "/proc/timer_list"} {
		if _, err := os.Lstat(file); err == nil {
			p.add("--ro-bind", "/dev/null", file)
		}
	}
}

// covered tells whether path cannot be seen anyway: the view or a private
// directory lies over it. Nothing may be mounted there, because the mount point
// would have to be made in the view.
func (p *plan) covered(path string) bool {
	if within(path, p.dir) {
		return true
	}
	for _, dir := range private() {
		if within(path, dir) && path != dir {
			return true
		}
	}
	return false
}

// readable shows what the user asked to be shown.
func (p *plan) readable() error {
	for _, want := range p.s.Read {
		path, err := filepath.EvalSymlinks(want)
		if err != nil {
			return fault.Wrap(fault.KindOf(err), err, "--read %s", want)
		}
		switch {
		case within(path, p.home) || within(p.home, path):
			return fault.New(fault.Denied, "--read %s would show Astrid's home %s to the command; name something narrower", want, p.home)
		case within(path, p.dir) || within(p.dir, path):
			return fault.New(fault.Denied, "--read %s overlaps the workspace %s, which the command sees as the view", want, p.dir)
		}
		p.add("--ro-bind", path, path)
		if clean := filepath.Clean(want); clean != path && !p.visible(clean) {
			p.add("--symlink", path, clean)
		}
	}
	return nil
}

// visible tells whether the name is there in the sandbox without more ado.
func (p *plan) visible(path string) bool { return !p.covered(path) }

// within tells whether path is dir or lies below it.
func within(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
