package cli

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"astrid/kernel/capsule"
	"astrid/kernel/capsule/sdk"
	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

//go:embed capsules
var templates embed.FS

func (a *app) capsuleNewCommand() *cobra.Command {
	var template string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Begin a capsule: a directory with a manifest and source",
		Long: `Makes a directory NAME with the manifest and source of a small capsule that works. To
begin with: tool (the default), interceptor or uplink, in Go and with the SDK; mcp, a
server of the Model Context Protocol in Python; or static. To copy from: files, git,
careful (asks before it acts), guard (protects paths) and daemon (runs by a schedule).`,
		Args: exactly("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := a.dir()
			if err != nil {
				return err
			}
			if err := begin(filepath.Join(dir, args[0]), args[0], template); err != nil {
				return err
			}
			if template == "mcp" || template == "static" {
				return a.done(wire.None{}, "%s is there; in it, astrid capsule install .", args[0])
			}
			return a.done(wire.None{}, "%s is there; in it, astrid capsule build and astrid capsule install .", args[0])
		},
	}
	cmd.Flags().StringVar(&template, "template", "tool", strings.Join(templateNames(), ", "))
	return cmd
}

// templateNames lists the templates there are.
func templateNames() (names []string) {
	list, _ := templates.ReadDir("capsules") // embedded: it is there
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// begin writes a capsule from a template.
func begin(dir, name, template string) error {
	if !regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`).MatchString(name) {
		return fault.New(fault.Usage, "%.80q is no name of a capsule: use a-z, 0-9 and -, and begin with a letter", name)
	}
	if slices.Contains([]string{"all", "cmd", "std", "tool", "work"}, name) {
		return fault.New(fault.Usage, "the go command means something else by %q: give the capsule another name", name)
	}
	from, err := fs.Sub(templates, "capsules/"+template)
	if err == nil {
		_, err = fs.Stat(from, capsule.ManifestName)
	}
	if err != nil {
		return fault.New(fault.Usage, "there is no template %.40q; there are %s", template, strings.Join(templateNames(), ", "))
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "make the capsule")
	}
	code := false
	err = fs.WalkDir(from, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		path, is := strings.CutSuffix(path, ".txt")
		code = code || is
		return os.WriteFile(filepath.Join(dir, path), bytes.ReplaceAll(data, []byte("NAME"), []byte(name)), 0o644)
	})
	if err == nil && code {
		err = bringSDK(dir, name)
	}
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "write the capsule")
	}
	return nil
}

// bringSDK copies the SDK into a capsule, which then needs nothing from elsewhere.
func bringSDK(dir, name string) error {
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module "+name+"\n\ngo 1.26\n"), 0o644); err != nil {
		return err
	}
	return fs.WalkDir(sdk.Files(), ".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return os.MkdirAll(filepath.Join(dir, "sdk", path), 0o755)
		case strings.HasSuffix(path, "_test.go") || path == "files.go":
			return nil
		}
		data, err := fs.ReadFile(sdk.Files(), path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "sdk", path), data, 0o644)
	})
}

func (a *app) capsuleBuildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "build [DIR]",
		Short: "Compile a capsule that is written in Go",
		Long:  "Compiles the Go source of a capsule to the component that its manifest names, with the Go on PATH.",
		Args:  upTo(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := a.dir()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				dir = filepath.Join(dir, args[0])
				if filepath.IsAbs(args[0]) {
					dir = args[0]
				}
			}
			data, err := os.ReadFile(filepath.Join(dir, capsule.ManifestName))
			if err != nil {
				return fault.Wrap(fault.KindOf(err), err, "read the manifest")
			}
			m, warnings, err := capsule.Parse(capsule.ManifestName, data)
			if err != nil {
				return err
			}
			for _, w := range warnings {
				fmt.Fprintln(a.Stderr, oneLine(w))
			}
			if len(m.Components) == 0 {
				return fault.New(fault.Usage, "the capsule %s has no component to build; install it as it is", m.Package.Name)
			}
			build := exec.CommandContext(cmd.Context(), "go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", m.Components[0].File, ".")
			build.Dir, build.Stdout, build.Stderr = dir, a.Stderr, a.Stderr
			build.Env = append(withoutSystemd(a.Environ), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
			if err := build.Run(); err != nil {
				return fault.Wrap(fault.Unsupported, err, "compile %s (it needs Go 1.24 or later)", m.Package.Name)
			}
			return a.done(wire.None{}, "%s is built", m.Components[0].File)
		},
	}
}
