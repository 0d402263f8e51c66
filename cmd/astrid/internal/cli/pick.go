package cli

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// pick connects to the kernel and finds the session that is meant.
func (a *app) pick(ctx context.Context) (wire.Session, error) {
	if a.session != "" {
		if err := home.CheckSession(a.session); err != nil {
			return wire.Session{}, err
		}
	}
	if _, err := a.dial(ctx); err != nil {
		return wire.Session{}, err
	}
	list, err := a.list(ctx)
	if err != nil {
		return wire.Session{}, err
	}
	if a.session != "" {
		return named(list, a.session)
	}
	dir, _ := a.dir() // a directory that is gone is in no session
	return choose(list, dir)
}

func (a *app) list(ctx context.Context) ([]wire.Session, error) {
	var list []wire.Session
	err := a.kernel.Call(ctx, op.List, nil, &list)
	return list, err
}

func named(list []wire.Session, name string) (wire.Session, error) {
	for _, s := range list {
		if s.Name == name {
			return s, nil
		}
	}
	return wire.Session{}, fault.New(fault.NotFound, "there is no session %s; %s", name, known(list))
}

// choose finds the session that somebody in dir means: the one whose view or
// workspace is the closest around dir, else the only one that is up, else the
// only one.
func choose(list []wire.Session, dir string) (wire.Session, error) {
	if s, ok := only(closest(list, dir)); ok {
		return s, nil
	}
	if around := closest(list, dir); len(around) > 1 {
		return wire.Session{}, fault.New(fault.Usage, "several sessions are on %s; say which with --session: %s", around[0].Base, names(around))
	}
	if s, ok := only(list); ok {
		return s, nil
	}
	switch len(list) {
	case 0:
		return wire.Session{}, fault.New(fault.NotRunning, "there is no session; run astrid up in a project")
	default:
		return wire.Session{}, fault.New(fault.Usage, "you stand in no session's view or workspace; say which one with --session: %s", names(list))
	}
}

// only returns the session if there is one, or one that is up.
func only(list []wire.Session) (wire.Session, bool) {
	list = slices.DeleteFunc(slices.Clone(list), func(s wire.Session) bool {
		return slices.ContainsFunc(list, func(of wire.Session) bool { return of.Name == s.Parent })
	})
	if len(list) == 1 {
		return list[0], true
	}
	var up []wire.Session
	for _, s := range list {
		if s.State != "stopped" {
			up = append(up, s)
		}
	}
	if len(up) == 1 {
		return up[0], true
	}
	return wire.Session{}, false
}

// closest lists the sessions with the deepest view or workspace around dir.
func closest(list []wire.Session, dir string) []wire.Session {
	best := deepest(list, dir)
	// Who stands in the workspace means the view that forks were made of.
	if first := slices.DeleteFunc(slices.Clone(best), func(s wire.Session) bool { return s.Parent != "" }); len(first) > 0 {
		return first
	}
	return best
}

func deepest(list []wire.Session, dir string) []wire.Session {
	var best []wire.Session
	depth := 0
	for _, s := range list {
		for _, root := range roots(s) {
			if !within(dir, root) || len(root) < depth {
				continue
			}
			if len(root) > depth {
				best, depth = nil, len(root)
			}
			best = append(best, s)
		}
	}
	return best
}

// roots are the directories that a session is known by, in the spellings that
// a current directory may have.
func roots(s wire.Session) []string {
	all := []string{s.Base}
	for _, dir := range []string{filepath.Dir(s.Workspace), real(filepath.Dir(s.Workspace))} {
		if dir != all[len(all)-1] {
			all = append(all, dir)
		}
	}
	return all
}

func names(list []wire.Session) string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = s.Name
	}
	return strings.Join(all, ", ")
}

func known(list []wire.Session) string {
	if len(list) == 0 {
		return "there is none at all; run astrid up in a project"
	}
	return "there are: " + names(list)
}

// within tells whether path is dir or lies below it.
func within(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// real is path without symbolic links as far as it exists.
func real(path string) string {
	path = filepath.Clean(path)
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	if path == "/" || path == "." {
		return path
	}
	return filepath.Join(real(filepath.Dir(path)), filepath.Base(path))
}
