package capsule

import (
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
	"lukechampine.com/blake3"

	"astrid/kernel/fault"
)

// ManifestName is the name of the file that makes a directory a capsule.
const ManifestName = "Capsule.toml"

// MaxCapsules bounds how many capsules are looked at in one root.
const MaxCapsules = 1000

// Found is a capsule on the disk.
type Found struct {
	Manifest
	Dir      string
	Root     string // the root that it was found in
	Source   string // UUID of its id and content; see SourceOf
	Settings string // identifies what people have set for it; empty: nothing
	Warnings []string
	// Workspace is the only one whose sessions it serves; empty: it serves all.
	Workspace string
	// Listed is set for a server of servers.toml, which has no Dir.
	Listed *Listed
}

// Problem is something that a person should know of a capsule, or of what would
// be one.
type Problem struct {
	Dir  string // empty: of no single capsule
	Text string // one sentence
}

// Discover finds the capsules in the roots: a Capsule.toml in a root itself or in
// its directories, in the order of the roots and of names. A root that is not
// there has none.
func Discover(roots ...string) (found []Found, problems []Problem) {
	seen := map[ID]string{}
	for _, root := range roots {
		for _, dir := range candidates(root, &problems) {
			f, err := Load(dir)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case err != nil:
				problems = append(problems, Problem{dir, err.Error()})
			case seen[f.Package.Name] != "":
				problems = append(problems, Problem{dir, "the capsule " + string(f.Package.Name) + " in " + seen[f.Package.Name] + " comes before it"})
			default:
				f.Root = root
				seen[f.Package.Name] = dir
				found = append(found, f)
			}
		}
	}
	return found, problems
}

// candidates are the directories of a root that may be capsules.
func candidates(root string, problems *[]Problem) []string {
	entries, err := os.ReadDir(root)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			*problems = append(*problems, Problem{root, err.Error()})
		}
		return nil
	}
	dirs := []string{root}
	for _, e := range entries {
		if e.IsDir() && filepath.Ext(e.Name()) != ".bak" {
			dirs = append(dirs, filepath.Join(root, e.Name()))
		}
	}
	if len(dirs) > MaxCapsules {
		*problems = append(*problems, Problem{root, "it holds more capsules than are looked at"})
		dirs = dirs[:MaxCapsules]
	}
	slices.Sort(dirs[1:])
	return dirs
}

// Load reads the capsule in a directory: an error that is fs.ErrNotExist when
// there is none.
func Load(dir string) (Found, error) {
	data, err := slurp(filepath.Join(dir, ManifestName))
	if err != nil {
		return Found{}, err
	}
	f := Found{Dir: dir}
	f.Manifest, f.Warnings, err = Parse(filepath.Join(dir, ManifestName), data)
	if err != nil {
		return f, err
	}
	if f.Source, err = SourceOf(dir, f.Package.Name); err != nil {
		return f, err
	}
	if set, err := slurp(filepath.Join(dir, envName)); err == nil { // whoever needs it says what is wrong with it
		sum := blake3.Sum256(set)
		f.Settings = hex.EncodeToString(sum[:])
	}
	return f, nil
}

// Peek reads the manifests of the capsules in a root, and nothing else: what is
// found has no Source, and what is not sound is passed over.
func Peek(root string) (found []Found) {
	var problems []Problem
	for _, dir := range candidates(root, &problems) {
		data, err := slurp(filepath.Join(dir, ManifestName))
		if err != nil {
			continue
		}
		f := Found{Dir: dir, Root: root}
		if f.Manifest, f.Warnings, err = Parse(filepath.Join(dir, ManifestName), data); err == nil {
			found = append(found, f)
		}
	}
	return found
}

func slurp(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, fault.New(fault.Usage, "%s is no regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxManifest+1))
	if err == nil && len(data) > MaxManifest {
		err = fault.New(fault.Limit, "%s is larger than %d bytes", path, MaxManifest)
	}
	return data, err
}
