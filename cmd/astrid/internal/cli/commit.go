package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

const commitHelp = `Applies changes to the workspace: all that are meant, or none. Without PATH it
means everything but what .astridignore, --exclude and git's ignore rules name,
and but protected paths (git hooks and configuration, .env files, keys, links
that lead outside ...). Those are listed, stay in the view, and are committed
when they are named; the exit code is then 6.

When the workspace was changed in the same place meanwhile, nothing is applied
and the exit code is 3.

A part of a file can be committed by itself: -p shows hunks at a terminal and asks
about each, as git add -p does; --hunk takes one by its ID, which astrid diff --hunks
lists and which is another one as soon as the content is. What is left stays in the
view and can be committed later. A new or deleted file, a rename, a change of mode, a
symbolic link and a binary file are one hunk each.

On a terminal it shows what would be done and asks; what was shown is what is
applied. In a script it does not ask.`

type commitFlags struct {
	wire.CommitRequest
	exclude    []string
	hunks      []string
	git, noGit bool
	yes, patch bool
}

func (a *app) commitCommand() *cobra.Command {
	var f commitFlags
	cmd := &cobra.Command{
		Use:   "commit [PATH|GLOB…]",
		Short: "Apply changes to the workspace, all or nothing",
		Long:  commitHelp,
		Example: `  astrid commit                       everything
  astrid commit 'src/**' go.mod       what these match
  astrid commit --dry-run             only say what would be done
  astrid commit --if "$digest"        only what was reviewed (see astrid status)
  astrid commit -p src                choose hunks, one by one
  astrid commit --hunk "$id"          just this hunk (see astrid diff --hunks)`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.patch {
				return a.commitPatch(cmd.Context(), f, args)
			}
			return a.commit(cmd.Context(), f, args)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.DryRun, "dry-run", false, "change nothing, say what would be done")
	flags.StringVar(&f.If, "if", "", "only when the change set still has this `digest`")
	flags.StringArrayVar(&f.exclude, "exclude", nil, "leave out what `glob` matches; may be repeated")
	flags.BoolVar(&f.git, "git", false, "take .git directories whole, protected files included")
	flags.BoolVar(&f.noGit, "no-git", false, "leave .git directories out")
	flags.BoolVarP(&f.patch, "patch", "p", false, "choose hunks at the terminal")
	flags.StringArrayVar(&f.hunks, "hunk", nil, "only the hunk with this `id`; may be repeated")
	flags.StringVarP(&f.Message, "message", "m", "", "a `text` for the record of this commit")
	flags.BoolVar(&f.yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) commit(ctx context.Context, f commitFlags, args []string) error {
	req, s, err := a.commitRequest(ctx, f, args)
	if err != nil {
		return err
	}
	if !f.DryRun && !f.yes && !a.json && a.asks() {
		if req.If, err = a.review(ctx, s, req); err != nil || req.If == "" {
			return err
		}
	}
	reply, err := a.callCommit(ctx, s, req)
	if err != nil {
		return err
	}
	return a.committed(reply)
}

func (a *app) commitRequest(ctx context.Context, f commitFlags, args []string) (req wire.CommitRequest, s wire.Session, err error) {
	req = f.CommitRequest
	req.Hunks = f.hunks
	switch {
	case len(f.hunks) > 0 && (f.patch || len(args) > 0):
		return req, s, fault.New(fault.Usage, "--hunk says all that is meant: no paths and no --patch with it")
	case f.git && f.noGit:
		return req, s, fault.New(fault.Usage, "--git and --no-git exclude each other")
	case f.git:
		req.Git = "yes"
	case f.noGit:
		req.Git = "no"
	}
	s, req.Paths, req.Exclude, err = a.pickSelection(ctx, selection{args, f.exclude})
	return req, s, err
}

func (a *app) callCommit(ctx context.Context, s wire.Session, req wire.CommitRequest) (wire.CommitReply, error) {
	var reply wire.CommitReply
	a.acting = !req.DryRun
	err := a.kernel.Call(ctx, op.Commit, wire.For[wire.CommitRequest]{Session: s.Name, Request: req}, &reply)
	return reply, err
}

// review shows what a commit would do and asks. It returns the digest of the
// change set that was shown, or "" when there is nothing to do.
func (a *app) review(ctx context.Context, s wire.Session, req wire.CommitRequest) (string, error) {
	now, err := a.callChanges(ctx, s, wire.ChangesRequest{Paths: req.Paths, Exclude: req.Exclude})
	if err != nil {
		return "", err
	}
	if req.If == "" {
		req.If = now.Digest
	}
	req.DryRun = true
	plan, err := a.callCommit(ctx, s, req)
	if err != nil {
		return "", err
	}
	if len(plan.Applied) == 0 || len(plan.Conflicts) > 0 {
		return "", a.committed(plan)
	}
	if err := view.Commit(a.Stderr, plan, view.Style{Colour: a.coloured(a.Stderr)}); err != nil {
		return "", err
	}
	if !a.confirm(ctx, fmt.Sprintf("Apply this to %s?", s.Base)) {
		return "", fault.New(fault.Interrupted, "nothing was committed")
	}
	return req.If, nil
}

// committed prints what was done and turns it into an exit code.
func (a *app) committed(reply wire.CommitReply) error {
	var err error
	if a.json {
		err = a.print(reply)
	} else {
		err = view.Commit(a.Stdout, reply, view.Style{Colour: a.coloured(a.Stdout)})
	}
	switch {
	case err != nil:
		return err
	case len(reply.Conflicts) > 0:
		return exit(fault.Conflict.Exit())
	case len(reply.Held) > 0:
		return exit(fault.HeldBack.Exit())
	}
	return nil
}
