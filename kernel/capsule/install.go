package capsule

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sys/unix"

	"astrid/kernel/fault"
	"astrid/kernel/home"
)

// Meta is what meta.json says of an installed capsule.
type Meta struct {
	Version   string      `json:"version"`
	Installed time.Time   `json:"installed_at"`
	Updated   time.Time   `json:"updated_at"`
	Source    string      `json:"source,omitempty"`
	Provides  []string    `json:"provides"`
	Requires  []string    `json:"requires"`
	Topics    []MetaTopic `json:"topics"`
}

// MetaTopic is a topic with its schema.
type MetaTopic struct {
	Name        string         `json:"name"`
	Direction   string         `json:"direction"`
	Description string         `json:"description,omitempty"`
	Schema      jsontext.Value `json:"schema,omitzero"`
}

// Installation is what is about to be installed.
type Installation struct {
	New Found
	Old *Found // nil: there is none yet
	// Change says how the versions differ; empty when there is no old one.
	Change Change
	// Asks are what the new one asks for and was not granted to the old one, and
	// Drops what it does not ask for any more, as people read them.
	Asks, Drops []string
	// Publisher has signed the new one; empty: nobody has.
	Publisher Publisher
}

// Installer puts capsules into a root.
type Installer struct {
	Root string // home/capsules
	Now  func() time.Time
	// Granted is what was granted to a capsule that is there; nil: nothing.
	Granted func(ID) Rights
	// Agree is asked before anything of the capsule counts; an error keeps it out.
	Agree func(ctx context.Context, in Installation) error
	// Prepare is called last before the capsule takes its place, which its error
	// prevents; nil: nobody is.
	Prepare func(ctx context.Context, in Installation) error
}

// Names of what people and installers write into a capsule's directory.
const (
	metaName = "meta.json"
	envName  = ".env.json"
)

// Install copies a capsule from a directory or a .capsule archive into the root.
// An older one of its id is replaced, and what was set for it is kept; when
// anything fails, it is there as it was. The result is in the root and not loaded.
func (i Installer) Install(ctx context.Context, source string) (Found, error) {
	if !filepath.IsAbs(source) {
		return Found{}, fault.New(fault.Usage, "the source %.256q is not an absolute path", source)
	}
	staged, err := os.MkdirTemp(i.Root, ".install-*.bak") // which discovery passes over
	if err != nil {
		return Found{}, fault.Wrap(fault.KindOf(err), err, "make room for the capsule")
	}
	defer os.RemoveAll(staged)
	if err := fetch(ctx, source, staged); err != nil {
		return Found{}, renamed(err, staged, source)
	}
	in, err := i.Compare(staged)
	if err != nil {
		return Found{}, renamed(err, staged, source)
	}
	for n, text := range in.New.Warnings {
		in.New.Warnings[n] = strings.ReplaceAll(text, staged, source)
	}
	if err := i.Agree(ctx, in); err != nil {
		return Found{}, err
	}
	err = i.complete(in, source)
	if err == nil && i.Prepare != nil {
		err = i.Prepare(ctx, in)
	}
	f := Found{}
	if err == nil {
		f, err = i.swap(in)
	}
	return f, renamed(err, staged, source)
}

// renamed is an error that names what people know instead of a place that is ours.
func renamed(err error, from, to string) error {
	if err == nil || !strings.Contains(err.Error(), from) {
		return err
	}
	return fault.New(fault.KindOf(err), "%s", strings.ReplaceAll(err.Error(), from, to))
}

// Compare reads the capsule in a directory, as it would be installed, and what is
// there.
func (i Installer) Compare(staged string) (in Installation, err error) {
	if in.New, err = Load(staged); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fault.New(fault.Usage, "the source has no %s", ManifestName)
		}
		return in, err
	}
	if err := errors.Join(in.New.VerifyComponents(), in.New.VerifyTexts()); err != nil {
		return in, err
	}
	if in.Publisher, err = in.New.Publisher(); err != nil {
		return in, err
	}
	return i.differ(in), nil
}

// differ compares what is to be installed with what is there: with what was
// granted to that, whatever its manifest says by now.
func (i Installer) differ(in Installation) Installation {
	id, before := in.New.Package.Name, Rights{}
	if i.Granted != nil {
		before = i.Granted(id)
	}
	if old, err := Load(i.dir(id)); err == nil { // what is broken is replaced
		in.Old, in.Change = &old, changeOf(old.Package.Version, in.New.Package.Version)
	}
	in.Asks, in.Drops = in.New.Rights().Beyond(before), before.Beyond(in.New.Rights())
	return in
}

func (i Installer) dir(id ID) string { return filepath.Join(i.Root, string(id)) }

// complete writes what belongs into the directory beside the capsule's own files.
func (i Installer) complete(in Installation, source string) error {
	now := i.Now().UTC()
	m := Meta{
		Version: in.New.Package.Version, Installed: now, Updated: now, Source: source,
		Provides: in.New.Provides(), Requires: in.New.Dependencies.Requires, Topics: []MetaTopic{},
	}
	if in.Old != nil {
		var old Meta
		if data, err := slurp(filepath.Join(in.Old.Dir, metaName)); err == nil && json.Unmarshal(data, &old) == nil {
			m.Installed = old.Installed
		}
		data, err := slurp(filepath.Join(in.Old.Dir, envName))
		if err == nil {
			err = home.WriteFileAtomic(filepath.Join(in.New.Dir, envName), data)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault.Wrap(fault.KindOf(err), err, "keep what was set for the capsule")
		}
	}
	for _, t := range in.New.Topics {
		topic := MetaTopic{Name: t.Name, Direction: t.Direction, Description: t.Description}
		if t.Schema != "" {
			data, err := slurp(filepath.Join(in.New.Dir, t.Schema))
			if err != nil || !jsontext.Value(data).IsValid() {
				return fault.New(fault.Usage, "the schema %s of the topic %s is not there or no JSON", t.Schema, t.Name)
			}
			topic.Schema = data
		}
		m.Topics = append(m.Topics, topic)
	}
	data, err := json.Marshal(m, jsontext.WithIndent("  "))
	if err != nil {
		return fault.Wrap(fault.Internal, err, "write %s", metaName)
	}
	return home.WriteFileAtomic(filepath.Join(in.New.Dir, metaName), append(data, '\n'))
}

// swap puts the new directory into the place of the old one, in one step.
func (i Installer) swap(in Installation) (Found, error) {
	dir := i.dir(in.New.Package.Name)
	if err := os.Chmod(in.New.Dir, 0o700); err != nil {
		return Found{}, fault.Wrap(fault.KindOf(err), err, "install the capsule")
	}
	err := unix.Renameat2(unix.AT_FDCWD, in.New.Dir, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.ENOENT) {
		err = unix.Renameat2(unix.AT_FDCWD, in.New.Dir, unix.AT_FDCWD, dir, unix.RENAME_NOREPLACE)
	}
	if err == nil {
		err = home.SyncDir(i.Root)
	}
	if err != nil {
		return Found{}, fault.Wrap(fault.KindOf(err), err, "install the capsule")
	}
	return Load(dir) // the old one is removed with the staging directory
}

// Remove takes a capsule off the disk: Kind NotFound when it is not there.
func (i Installer) Remove(id ID) error {
	if _, err := os.Lstat(filepath.Join(i.dir(id), ManifestName)); err != nil {
		return fault.New(fault.NotFound, "there is no capsule %.64q; astrid capsule list lists those there are", id)
	}
	away := filepath.Join(i.Root, ".remove-"+string(id)+".bak")
	_ = os.RemoveAll(away) // of an earlier one that was interrupted
	err := os.Rename(i.dir(id), away)
	if err == nil {
		err = errors.Join(home.SyncDir(i.Root), os.RemoveAll(away))
	}
	if err != nil {
		return renamed(fault.Wrap(fault.KindOf(err), err, "remove the capsule %s", id), away, i.dir(id))
	}
	return nil
}
