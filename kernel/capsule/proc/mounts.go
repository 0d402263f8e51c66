package proc

import (
	"os"
	"path/filepath"
	"strings"

	"astrid/kernel/capsule/proc/jail"
	"astrid/kernel/fault"
)

// plan collects the mounts of a sandbox; later ones lie over earlier ones. Both
// makers of sandboxes work from it.
type plan struct {
	s      *Sandbox
	dir    string // the workspace, resolved
	home   string // Astrid's home, resolved
	user   string // the user's home, resolved, or ""
	mounts []jail.Mount
}

func (p *plan) bind(source, at string) { p.add(jail.Mount{Kind: jail.Bind, Source: source, At: at}) }

func (p *plan) show(source, at string) {
	p.add(jail.Mount{Kind: jail.ReadOnlyBind, Source: source, At: at})
}

func (p *plan) empty(at string, mode uint32) {
	p.add(jail.Mount{Kind: jail.Tmpfs, At: at, Mode: mode})
}

func (p *plan) add(m jail.Mount) { p.mounts = append(p.mounts, m) }

// mounts is the file system that the program sees.
func (s *Sandbox) mounts() ([]jail.Mount, error) {
	p := &plan{s: s, dir: real(s.Dir), home: real(s.Home)}
	if s.UserHome != "" {
		p.user = real(s.UserHome)
	}
	p.machine()
	if err := p.caches(); err != nil {
		return nil, err
	}
	p.secrets()
	if !p.covered(p.home) {
		p.empty(p.home, 0o700)
	}
	if p.dir != "/" {
		p.bind(s.View, p.dir)
	}
	if s.Program != "" {
		p.show(s.Program, Program)
	}
	if err := p.readable(); err != nil {
		return nil, err
	}
	return p.mounts, nil
}

// private are the directories that each program has to itself.
func private() []string { return []string{"/tmp", "/var/tmp", "/run"} }

// machine is the file system around the view.
func (p *plan) machine() {
	if p.dir == "/" {
		p.bind(p.s.View, "/")
	} else {
		p.show("/", "/")
	}
	p.add(jail.Mount{Kind: jail.Dev, At: "/dev"})
	p.add(jail.Mount{Kind: jail.Proc, At: "/proc"})
	p.guardProc()
	for _, dir := range private() {
		if st, err := os.Lstat(dir); err == nil && st.IsDir() {
			p.empty(dir, 0o1777)
		}
	}
}

// guardProc covers what root could change or learn through /proc although it
// has no capability: those files ask for no more than the uid, and the root of
// the sandbox is the root of the machine.
func (p *plan) guardProc() {
	for _, dir := range []string{"/proc/sys", "/proc/fs", "/proc/acpi", "/proc/scsi", "/proc/irq", "/proc/bus"} {
		if st, err := os.Lstat(dir); err == nil && st.IsDir() {
			p.show(dir, dir)
		}
	}
	for _, file := range []string{"/proc/sysrq-trigger", "/proc/kcore", "/proc/keys", "/proc/timer_list"} {
		if _, err := os.Lstat(file); err == nil {
			p.show(os.DevNull, file)
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
		p.show(path, path)
		if clean := filepath.Clean(want); clean != path && !p.visible(clean) {
			p.add(jail.Mount{Kind: jail.Symlink, Source: path, At: clean})
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
