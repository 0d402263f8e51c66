package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"astrid/kernel/client"
	"astrid/kernel/fault"
	"astrid/kernel/home"
	"astrid/kernel/wire"
)

// app is one run of the program.
type app struct {
	*Env
	session string
	json    bool
	kernel  *client.Client // nil until dial
	calling bool           // a tool was called, and its end is not known
	acting  bool           // a change was asked for, and its end is not known
}

// exit ends the program with a code after everything has been said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Main runs the program and returns its exit code.
func Main(ctx context.Context, env *Env, args []string) int {
	a := &app{Env: env}
	defer a.hangUp()
	root := a.root()
	root.SetArgs(args)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	var code exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	a.complain(ctx, err)
	return fault.ExitOf(err)
}

func (a *app) hangUp() {
	if a.kernel != nil {
		a.kernel.Close()
	}
}

// complain prints an error, once.
func (a *app) complain(ctx context.Context, err error) {
	if ctx.Err() != nil && fault.Is(err, fault.Interrupted) {
		err = fault.New(fault.Interrupted, "%s", a.interrupted())
	}
	if a.json {
		data, encodeErr := wire.Encode(map[string]*wire.Error{"error": wire.ErrorOf(err)})
		if encodeErr == nil {
			fmt.Fprintf(a.Stderr, "%s\n", data)
			return
		}
	}
	fmt.Fprintf(a.Stderr, "astrid: %s\n", strings.TrimSpace(err.Error()))
}

// interrupted says what may be said of what was under way.
func (a *app) interrupted() string {
	if a.calling {
		return "interrupted; the tool was told to end, and it is not all or nothing: what it had written by then is in the view (astrid changes), and what it did elsewhere is done"
	}
	if a.acting {
		return "interrupted; what was asked for may have been done or not, as a whole: look at astrid status"
	}
	return "interrupted; nothing was changed"
}

const rootHelp = `Astrid gives you, your tools and your agents a view of a workspace: a real
directory in which everything may be changed, while the workspace itself stays
as it is until you say commit.

    astrid up                  make a view of this project and print its path
    cd "$(astrid path)"        work in it with whatever you like
    astrid status              what has changed
    astrid diff                ... line by line
    astrid commit              apply it to the project, all or nothing
    astrid run -- make test    run a program that can reach nothing but the view

By itself the view guards against accidents. Against a program that means harm,
start it with "astrid run".

Without --session a verb means the session whose view or workspace you stand
in, else the only one there is.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 conflict, 4 not running, 5 busy,
6 committed, but protected paths were held back.`

func (a *app) root() *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:   "astrid",
		Short: "A filesystem-first kernel for agents and the tools they drive",
		Long:  rootHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version {
				return a.version(cmd.Context())
			}
			return cmd.Help()
		},
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,
	}
	root.PersistentFlags().StringVar(&a.session, "session", "", "the session meant, by `name`")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON value instead of words")
	_ = root.RegisterFlagCompletionFunc("session", a.completeSession)
	root.Flags().BoolVar(&version, "version", false, "say what this program is, as astrid version does")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fault.New(fault.Usage, "%w (see %s --help)", err, cmd.CommandPath())
	})
	root.AddCommand(
		a.upCommand(), a.pathCommand(), a.sessionsCommand(), a.statusCommand(), a.changesCommand(), a.diffCommand(),
		a.commitCommand(), a.undoCommand(), a.redoCommand(), a.logCommand(), a.conflictsCommand(), a.resolveCommand(), a.discardCommand(),
		a.checkpointCommand(), a.checkpointsCommand(), a.rollbackCommand(), a.restorePathsCommand(), a.forkCommand(), a.mergeCommand(), a.rebaseCommand(), a.brakeCommand(), a.blameCommand(),
		a.runCommand(), a.downCommand(), a.recoverCommand(), a.versionCommand(),
		a.approveCommand(), a.answerCommand(), a.askCommand(), a.eventsCommand(), a.publishCommand(), a.auditCommand(), a.identityCommand(), a.capCommand(),
		a.kvCommand(), a.capsuleCommand(), a.callCommand(), a.daemonCommand(), a.manCommand(),
		a.kernelCommand(), a.viewServerCommand(),
	)
	return root
}

// completeSession completes the name of a session with those of the kernel that
// runs; without one there is nothing to complete.
func (a *app) completeSession(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	if _, err := a.dial(cmd.Context()); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := a.list(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all := make([]string, 0, len(list))
	for _, s := range list {
		all = append(all, s.Name+"\t"+s.Base)
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

func unknownVerb(cmd *cobra.Command, verb string) error {
	advice := "astrid --help lists the verbs"
	if near := cmd.SuggestionsFor(verb); len(near) > 0 {
		advice = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return fault.New(fault.Usage, "there is no verb %q; %s", verb, advice)
}

// noArgs refuses arguments with a usage error.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fault.New(fault.Usage, "%s takes no argument, and %q was given (see %s --help)", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	return nil
}

// upTo refuses more than n arguments.
func upTo(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return fault.New(fault.Usage, "%s takes at most %d argument, and %d were given (see %s --help)", cmd.CommandPath(), n, len(args), cmd.CommandPath())
		}
		return nil
	}
}

// dial connects to the kernel, once.
func (a *app) dial(ctx context.Context) (home.Home, error) {
	h, err := a.home()
	if err != nil || a.kernel != nil {
		return h, err
	}
	a.kernel, err = client.Dial(ctx, h)
	return h, err
}
