package commit

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"astrid/fs/tree"
	"astrid/overlay/change"
)

const capability = "security.capability"

// judge returns the rules: for each item whether it may be taken, by itself.
func (s *selection) judge(ctx context.Context, cfg Config, d *disk) (func(*item) (verdict, string), error) {
	exclude, err := change.NewMatch(s.req.Exclude)
	if err != nil {
		return nil, err
	}
	rules, err := readIgnore(d)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ignoreFile, err)
	}
	ignored, note := gitIgnored(ctx, cfg, d, append(s.askable(), s.asked.Literals()...))
	if note != "" {
		s.notes = append(s.notes, note)
	}
	spared := func(it *item, rule func(string) bool) bool {
		return s.asked.Named(it.c.Path, rule) || it.c.From != "" && s.asked.Named(it.c.From, rule)
	}
	return func(it *item) (verdict, string) {
		c := it.c
		switch {
		case exclude.Change(c):
			return skipped, "excluded"
		case c.Barred:
			return held, "something that no commit touches lies in it"
		case it.unit != nil && s.req.Git == GitNo:
			return skipped, "repositories are left out"
		case it.unit != nil && it.unit.locked != "":
			return held, "git is at work in the view: " + change.Quote(it.unit.locked)
		case rules.match(c.Path, c.IsDir()) && !spared(it, func(p string) bool { return rules.match(p, true) }):
			return held, "ignored by " + ignoreFile
		case ignored[c.Path] && !spared(it, func(p string) bool { return ignored[p] }):
			return skipped, "ignored by git"
		}
		if spared(it, func(p string) bool { return protected(p, true) }) || it.unit != nil && s.req.Git == GitYes {
			return taken, ""
		}
		why, err := s.dangerous(c, d)
		if err != nil {
			return held, "it cannot be examined: " + err.Error()
		}
		if why != "" {
			return held, why
		}
		return taken, ""
	}, nil
}

// dangerous tells why a change is not committed unless it is named.
func (s *selection) dangerous(c *change.Change, d *disk) (string, error) {
	if protected(c.Path, c.IsDir()) {
		return "a protected path", nil
	}
	if c.From != "" && protected(c.From, c.IsDir()) {
		return "it comes from a protected path", nil
	}
	if c.Op == change.Renamed && c.IsDir() && change.Repository(c.Path) == c.Path {
		return "a repository under another name", nil
	}
	if c.Op == change.Renamed && c.IsDir() {
		if why, err := movesProtected(d, c); why != "" || err != nil {
			return why, err
		}
	}
	if c.Op == change.Deleted || c.Vanished {
		return "", nil
	}
	switch c.Kind {
	case tree.KindSymlink:
		return climbs(c)
	case tree.KindRegular:
		return privileged(c, d)
	}
	return "", nil
}

// privileged tells whether a file would give rights to whoever runs it.
func privileged(c *change.Change, d *disk) (string, error) {
	const setid = unix.S_ISUID | unix.S_ISGID
	if bits := c.Attr.Mode & setid; bits != 0 && (c.Content || c.Base == nil || c.Base.Mode&bits != bits) {
		return "it has a set-id bit", nil
	}
	if !c.Content && !c.Xattrs {
		return "", nil
	}
	x, err := c.Object.Xattrs()
	if err != nil {
		return "", err
	}
	if _, has := x[capability]; has {
		return "it has file capabilities", nil
	}
	return "", nil
}

// climbs tells whether a symbolic link leads out of the workspace.
func climbs(c *change.Change) (string, error) {
	if !c.Content && c.Op != change.Renamed {
		return "", nil
	}
	target, err := c.Object.Readlink()
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(target, "/") {
		return "a symbolic link with an absolute target", nil
	}
	depth := strings.Count(c.Path, "/")
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return "a symbolic link that leads out of the workspace", nil
			}
		default:
			depth++
		}
	}
	return "", nil
}

// movesProtected tells whether a moved directory brings something to a path
// that is protected and did not have such a name before.
func movesProtected(d *disk, c *change.Change) (why string, err error) {
	names, err := d.names(c.From)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		from, to := change.Join(c.From, name), change.Join(c.Path, name)
		st, err := d.stat(from)
		if err != nil {
			return "", err
		}
		if st == nil {
			continue
		}
		if protected(to, isDir(st)) && !protected(from, isDir(st)) {
			return "it would bring " + change.Quote(to) + ", a protected path", nil
		}
		if isDir(st) && !change.InGit(to) {
			sub := change.Change{From: from, Path: to}
			if why, err := movesProtected(d, &sub); why != "" || err != nil {
				return why, err
			}
		}
	}
	return "", nil
}
