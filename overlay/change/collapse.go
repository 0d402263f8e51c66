package change

import (
	"fmt"

	"astrid/fs/tree"
)

// Collapse makes one line of everything at and below each .git directory. A
// line has the letter of the directory itself, or M; what it stands for is in
// Inside. The list must be ordered by path.
func Collapse(list []Change) []Change {
	var out []Change
	at := map[string]int{} // repository → index in out
	for _, c := range list {
		repo := Repository(c.Path)
		if repo == "" || repo == c.Path && !c.IsDir() {
			out = append(out, c)
			continue
		}
		i, seen := at[repo]
		if !seen {
			i = len(out)
			at[repo] = i
			line := c
			if c.Path != repo {
				line = Change{Op: Modified, Path: repo, Kind: tree.KindDir, Content: true}
			}
			out = append(out, line)
		}
		out[i].Inside = append(out[i].Inside, c)
	}
	for i := range out {
		if n := len(out[i].Inside); n == 1 {
			if out[i].Inside[0].Path == out[i].Path {
				out[i] = out[i].Inside[0]
				continue
			}
			out[i].Note = "1 path"
		} else if n > 1 {
			out[i].Note = fmt.Sprintf("%d paths", n)
		}
	}
	return out
}

// Expand undoes Collapse.
func Expand(list []Change) []Change {
	var out []Change
	for _, c := range list {
		if len(c.Inside) == 0 {
			out = append(out, c)
			continue
		}
		out = append(out, c.Inside...)
	}
	return out
}
