package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"astrid/ctl/text"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// mergeAll merges the sides of each path into the view. It goes through the mount,
// as an editor would.
func (a *app) mergeAll(ctx context.Context, s wire.Session, paths wire.Paths, edit bool) error {
	list, err := a.callConflicts(ctx, s, nil)
	if err != nil {
		return err
	}
	merged := []string{}
	for _, p := range paths {
		i := slices.IndexFunc(list, func(c wire.ConflictInfo) bool { return c.Name() == p })
		if i < 0 {
			return fault.New(fault.NotFound, "%s is in no conflict; astrid conflicts lists those that are", text.Quote(p))
		}
		if err := a.mergeOne(ctx, s, p, list[i], edit); err != nil {
			return err
		}
		if !a.json {
			fmt.Fprintf(a.Stdout, "merged %s\n", text.Quote(p))
		}
		merged = append(merged, p)
	}
	if a.json {
		return a.print(map[string]any{"merged": wire.Paths(merged)})
	}
	return nil
}

func (a *app) mergeOne(ctx context.Context, s wire.Session, p string, c wire.ConflictInfo, edit bool) (err error) {
	switch {
	case c.Mine.Kind != "file" || c.Theirs.Kind != "file":
		return fault.New(fault.Conflict, "%s cannot be merged: it is not a file on both sides; keep one of them", text.Quote(p))
	case !c.Base.There:
		return fault.New(fault.Conflict, "%s cannot be merged: what both began with was not kept (it was larger than 1 MiB, or there was none); keep one of them", text.Quote(p))
	}
	dir, err := os.MkdirTemp("", "astrid-merge-")
	if err != nil {
		return err
	}
	keep := false
	defer func() {
		if !keep {
			os.RemoveAll(dir)
		}
	}()
	for _, side := range []string{"base", "mine", "theirs"} {
		if err := a.fetchSide(ctx, s, p, side, filepath.Join(dir, side)); err != nil {
			return err
		}
	}
	merged, places, err := mergeFile(ctx, dir)
	switch {
	case err != nil:
		return fault.Wrap(fault.Unsupported, err, "%s cannot be merged", text.Quote(p))
	case places > 0 && !edit:
		return fault.New(fault.Conflict, "%s: both sides changed the same lines in %d places; nothing was done: --edit opens them, --keep keeps one side", text.Quote(p), places)
	case places > 0:
		if merged, err = a.editMerge(ctx, filepath.Join(dir, filepath.Base(p)), merged); err != nil {
			keep = true
			return fault.Wrap(fault.KindOf(err), err, "%s was not merged, and what you wrote is in %s", text.Quote(p), dir)
		}
	}
	keep = true // until the view has it
	if err := overwrite(s.Workspace, p, merged); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "%s could not be written; all its versions are in %s", text.Quote(p), dir)
	}
	keep = false
	_, err = a.callResolve(ctx, s, wire.ResolveRequest{Paths: wire.Paths{p}, Keep: "mine", State: c.State})
	return err
}

func (a *app) fetchSide(ctx context.Context, s wire.Session, p, side, to string) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	req := wire.For[wire.SideRequest]{Session: s.Name, Request: wire.SideRequest{Path: wire.Paths{p}, Side: side}}
	err = a.kernel.CallStream(ctx, op.ConflictSide, req, nil, f)
	return errors.Join(err, f.Close())
}

// mergeFile merges the three files in dir as git does. places is how many there are
// where both sides changed the same lines: they are marked in the text.
func mergeFile(ctx context.Context, dir string) (merged []byte, places int, err error) {
	cmd := exec.CommandContext(ctx, "git", "merge-file", "-p", "-L", "mine (the view)", "-L", "base", "-L", "theirs (the workspace)", "mine", "base", "theirs")
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &stderr
	merged, err = cmd.Output()
	var status *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, 0, errors.New("git merges files, and it is not installed")
	case errors.As(err, &status) && status.ExitCode() > 0 && status.ExitCode() < 128:
		return merged, status.ExitCode(), nil
	case err != nil && stderr.Len() > 0:
		return nil, 0, fmt.Errorf("git says: %.300s", bytes.TrimSpace(stderr.Bytes()))
	}
	return merged, 0, err
}

// editMerge opens an editor on a text with marks, and returns what comes of it.
func (a *app) editMerge(ctx context.Context, file string, marked []byte) ([]byte, error) {
	if err := os.WriteFile(file, marked, 0o600); err != nil {
		return nil, err
	}
	editor := a.Getenv("VISUAL")
	if editor == "" {
		editor = a.Getenv("EDITOR")
	}
	if editor == "" {
		editor = "vi"
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, "sh", file)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.Stdin, a.Stderr, a.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fault.Wrap(fault.Interrupted, err, "the editor %s did not end well", editor)
	}
	b, err := os.ReadFile(file)
	if err == nil && (bytes.HasPrefix(b, []byte("<<<<<<< ")) || bytes.Contains(b, []byte("\n<<<<<<< ")) || bytes.Contains(b, []byte("\n>>>>>>> "))) {
		err = fault.New(fault.Conflict, "marks are left in the text")
	}
	return b, err
}

// overwrite gives a file below dir other bytes, and leaves everything else of it. A
// program in the view may have put a link or a fifo there meanwhile: nothing outside of
// dir is written to, and nothing but a file.
func overwrite(dir, p string, b []byte) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return overwriteIn(root, p, b)
}

func overwriteIn(root *os.Root, p string, b []byte) error {
	f, err := root.OpenFile(p, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fault.New(fault.Conflict, "it is no file any more")
	}
	if err == nil {
		_, err = f.WriteAt(b, 0)
	}
	if err == nil {
		err = f.Truncate(int64(len(b)))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
