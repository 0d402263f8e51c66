package commit

import (
	"io"
	"os"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"golang.org/x/sys/unix"

	"astrid/overlay/change"
)

const (
	ignoreFile    = ".astridignore"
	ignoreMax     = 1 << 20 // bytes of the file that are read
	ignoreMaxRule = 10_000
)

// ignoreRules are the lines of a .astridignore, in the syntax of a .gitignore:
// the last rule that matches a path, or a directory above it, decides.
type ignoreRules []ignoreRule

type ignoreRule struct {
	glob    string
	not     bool
	dirOnly bool
}

// readIgnore reads the rules at the root of the workspace itself: those of the
// view are whatever runs in it wants them to be.
func readIgnore(d *disk) (ignoreRules, error) {
	fd, err := d.open(ignoreFile, unix.O_RDONLY|unix.O_NONBLOCK)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), ignoreFile)
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, ignoreMax))
	if err != nil {
		return nil, err
	}
	return parseIgnore(string(b)), nil
}

func parseIgnore(text string) ignoreRules {
	var rules ignoreRules
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if !strings.HasSuffix(line, `\ `) {
			line = strings.TrimRight(line, " \t")
		}
		if line == "" || line[0] == '#' || len(rules) == ignoreMaxRule {
			continue
		}
		var r ignoreRule
		if r.not = line[0] == '!'; r.not {
			line = line[1:]
		}
		if r.dirOnly = strings.HasSuffix(line, "/"); r.dirOnly {
			line = strings.TrimRight(line, "/")
		}
		if anchored := strings.Contains(line, "/"); !anchored {
			line = "**/" + line
		}
		r.glob = strings.TrimPrefix(line, "/")
		if r.glob != "" && doublestar.ValidatePattern(r.glob) {
			rules = append(rules, r)
		}
	}
	return rules
}

// match tells whether p is ignored, or a directory above it, below which nothing
// is taken back in. dir tells whether p is a directory.
func (rules ignoreRules) match(p string, dir bool) bool {
	for q, isDir := p, dir; q != change.Root; q, isDir = change.Parent(q), true {
		if rules.one(q, isDir) {
			return true
		}
	}
	return false
}

func (rules ignoreRules) one(p string, dir bool) bool {
	for i := len(rules) - 1; i >= 0; i-- {
		r := rules[i]
		if (dir || !r.dirOnly) && doublestar.MatchUnvalidated(r.glob, p) {
			return !r.not
		}
	}
	return false
}
