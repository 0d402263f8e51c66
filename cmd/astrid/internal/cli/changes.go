package cli

import (
	"context"

	"github.com/spf13/cobra"

	"astrid/cmd/astrid/internal/view"
	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

const changesHelp = `Lists every path that differs from the workspace, one a line: a letter and the
path, relative to the root of the workspace.

    A  added       D  deleted     T  another kind of object
    M  modified    R  renamed     m  only mode, owner, times or attributes

What lies under a .git directory is one line a repository, unless --all. Names
with control characters or quotes are written as in C; -z prints raw names, each
ended by a zero byte (a rename is followed by its old name).

A..B compares two states, as in astrid diff.`

func (a *app) changesCommand() *cobra.Command {
	var zero, all bool
	var sel selection
	cmd := &cobra.Command{
		Use:     "changes [A..B] [PATH|GLOB…]",
		Short:   "List what has changed",
		Long:    changesHelp,
		Example: "  astrid changes\n  astrid changes 'src/**'\n  astrid changes -z | xargs -0 -n1",
		RunE: func(cmd *cobra.Command, args []string) error {
			sel.args = args
			return a.changes(cmd.Context(), sel, all, zero)
		},
	}
	cmd.Flags().BoolVarP(&zero, "null", "z", false, "raw names, ended by zero bytes")
	sel.flag(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "every path under .git too")
	return cmd
}

func (a *app) changes(ctx context.Context, sel selection, all, zero bool) error {
	if zero && a.json {
		return fault.New(fault.Usage, "-z and --json exclude each other")
	}
	span, args := spanOf(sel.args)
	sel.args = args
	s, paths, exclude, err := a.pickSelection(ctx, sel)
	if err != nil {
		return err
	}
	reply, err := a.callChanges(ctx, s, wire.ChangesRequest{Paths: paths, Exclude: exclude, All: all, Span: span})
	if err != nil {
		return err
	}
	switch {
	case a.json:
		return a.print(reply)
	case zero:
		return view.ChangesZ(a.Stdout, reply.Changes)
	}
	return view.Changes(a.Stdout, reply.Changes, view.Style{Colour: a.coloured(a.Stdout)})
}

// selection is what a verb is about, as its command line says it.
type selection struct {
	args    []string
	exclude []string
}

func (s *selection) flag(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&s.exclude, "exclude", nil, "leave out what `glob` matches; may be repeated")
}

// pickSelection is pickPaths with what is excluded.
func (a *app) pickSelection(ctx context.Context, sel selection) (s wire.Session, paths, exclude wire.Paths, err error) {
	s, paths, err = a.pickPaths(ctx, sel.args)
	if err != nil {
		return s, nil, nil, err
	}
	dir, _ := a.dir()
	exclude, err = inWorkspace(s, dir, sel.exclude)
	return s, paths, exclude, err
}

// pickPaths is pick, with the arguments made relative to the workspace.
func (a *app) pickPaths(ctx context.Context, args []string) (wire.Session, wire.Paths, error) {
	s, err := a.pick(ctx)
	if err != nil {
		return s, nil, err
	}
	dir, _ := a.dir() // gone: relative paths mean the root's
	paths, err := inWorkspace(s, dir, args)
	return s, paths, err
}

func (a *app) callChanges(ctx context.Context, s wire.Session, req wire.ChangesRequest) (wire.ChangesReply, error) {
	var reply wire.ChangesReply
	err := a.kernel.Call(ctx, op.Changes, wire.For[wire.ChangesRequest]{Session: s.Name, Request: req}, &reply)
	return reply, err
}
