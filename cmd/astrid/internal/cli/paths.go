package cli

import (
	"path/filepath"
	"strings"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// inWorkspace turns the paths and globs of a command line, which are relative
// to dir or absolute in the view or in the workspace, into ones that are
// relative to the workspace's root.
func inWorkspace(s wire.Session, dir string, args []string) (wire.Paths, error) {
	var paths wire.Paths
	for _, arg := range args {
		path, err := oneInWorkspace(s, dir, arg)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func oneInWorkspace(s wire.Session, dir, arg string) (string, error) {
	if arg == "" {
		return "", fault.New(fault.Usage, "an empty path means nothing; \".\" means the current directory")
	}
	if filepath.IsAbs(arg) {
		return strip(s, "", arg)
	}
	if _, err := strip(s, "", dir); dir == "" || err != nil {
		// Outside of the session a relative path can only mean the root's.
		return rooted(filepath.Clean(arg))
	}
	return strip(s, dir, arg)
}

// rooted refuses what climbs out of the workspace.
func rooted(rel string) (string, error) {
	if rel == ".." || strings.HasPrefix(rel, "../") {
		return "", fault.New(fault.Usage, "%s lies outside of the workspace", rel)
	}
	return rel, nil
}

// strip removes the view or the workspace from the front of dir/arg. What comes
// from dir is a path, not a glob, so its special characters are escaped.
func strip(s wire.Session, dir, arg string) (string, error) {
	for _, root := range []string{s.Workspace, filepath.Join(real(filepath.Dir(s.Workspace)), filepath.Base(s.Workspace)), s.Base} {
		for _, spelling := range spellings(dir, arg) {
			if !within(filepath.Join(spelling...), root) {
				continue
			}
			return relative(root, spelling, arg)
		}
	}
	return "", fault.New(fault.Usage, "%s lies neither in the view %s nor in the workspace %s", filepath.Join(dir, arg), s.Workspace, s.Base)
}

// spellings are the ways in which dir/arg may be written: as it is, and with
// the links of its existing part resolved.
func spellings(dir, arg string) [][]string {
	if dir != "" {
		return [][]string{{dir, arg}, {real(dir), arg}}
	}
	parent, last := filepath.Split(filepath.Clean(arg))
	return [][]string{{arg}, {real(parent), last}}
}

func relative(root string, spelling []string, arg string) (string, error) {
	rel, err := filepath.Rel(root, filepath.Join(spelling...))
	if err != nil {
		return "", err
	}
	if !isGlob(arg) || filepath.IsAbs(arg) {
		return rel, nil
	}
	prefix, err := filepath.Rel(root, spelling[0])
	if err != nil || !isGlob(prefix) {
		return rel, err
	}
	return filepath.Join(escape(prefix), arg), nil
}

const special = `*?[]{}\`

func isGlob(s string) bool { return strings.ContainsAny(s, special) }

// escape makes a path mean itself as a glob.
func escape(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if strings.IndexByte(special, path[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(path[i])
	}
	return b.String()
}
