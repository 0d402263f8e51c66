package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/store"
	"astrid/kernel/wire"
)

func (a *app) kvCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kv",
		Short: "Read and change the state store",
		Long: `The state store holds values in namespaces; a capsule's is capsule:ID. Those that
the kernel keeps its own records in can be read and not changed: they have
operations of their own.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.kvGetCommand(), a.kvSetCommand(), a.kvDeleteCommand(), a.kvListCommand(), a.kvClearCommand(), a.backupCommand(), a.restoreCommand())
	return cmd
}

func (a *app) kvGetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get NAMESPACE KEY", Short: "Print a value", Args: exactly("NAMESPACE", "KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var v wire.KVValue
			if err := a.admin(cmd.Context(), op.KVGet, wire.KVKey{Namespace: args[0], Key: args[1]}, &v); err != nil {
				return err
			}
			if a.json {
				return a.print(v)
			}
			return a.say("%s", v.Value())
		},
	}
}

func (a *app) kvSetCommand() *cobra.Command {
	var ttl time.Duration
	var absent bool
	var old string
	cmd := &cobra.Command{
		Use: "set NAMESPACE KEY VALUE", Short: `Set a value, or what standard input holds for "-"`, Args: exactly("NAMESPACE", "KEY", "VALUE"),
		Long: "Sets a value. With --old or --absent it does so only if the present value is that one, or there is none; otherwise it is a conflict, exit code 3.",
		RunE: func(cmd *cobra.Command, args []string) error {
			value := []byte(args[2])
			if args[2] == "-" {
				data, err := io.ReadAll(io.LimitReader(a.Stdin, maxParams))
				if err != nil {
					return fault.Wrap(fault.KindOf(err), err, "read the value")
				}
				value = data
			}
			req := wire.KVSet{KVKey: wire.KVKey{Namespace: args[0], Key: args[1]}, KVValue: wire.NewKVValue(value), TTL: ttl.Seconds(), Absent: absent}
			if cmd.Flags().Changed("old") {
				v := wire.NewKVValue([]byte(old))
				req.Old = &v
			}
			if err := a.admin(cmd.Context(), op.KVSet, req, nil); err != nil {
				return err
			}
			return a.done(wire.None{}, "done")
		},
	}
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "forget it after this time")
	cmd.Flags().BoolVar(&absent, "absent", false, "only if there is none")
	cmd.Flags().StringVar(&old, "old", "", "only if it is this `VALUE` now")
	return cmd
}

func (a *app) kvDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAMESPACE KEY", Short: "Delete a value", Args: exactly("NAMESPACE", "KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r wire.Removed
			if err := a.admin(cmd.Context(), op.KVDelete, wire.KVKey{Namespace: args[0], Key: args[1]}, &r); err != nil {
				return err
			}
			return a.removed(r, "there is no key %q in %s", args[1], args[0])
		},
	}
}

func (a *app) kvListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list NAMESPACE [PREFIX]", Short: "List the keys of a namespace",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return fault.New(fault.Usage, "say the namespace, and a prefix of the keys if you want (see %s --help)", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			req := wire.KVList{Namespace: args[0]}
			if len(args) == 2 {
				req.Prefix = args[1]
			}
			all := []string{}
			for more := true; more; {
				var page wire.KVKeys
				if err := a.admin(cmd.Context(), op.KVKeys, req, &page); err != nil {
					return err
				}
				all = append(all, page.Keys...)
				if more = page.More; more {
					req.After = page.Keys[len(page.Keys)-1]
				}
			}
			if a.json {
				return a.print(all)
			}
			for _, key := range all {
				if err := a.say("%s\n", oneLine(key)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) kvClearCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "clear NAMESPACE [PREFIX]", Short: "Delete all keys of a namespace that begin with a prefix",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return fault.New(fault.Usage, "say the namespace, and a prefix of the keys if you want (see %s --help)", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			req := wire.KVClear{Namespace: args[0]}
			if len(args) == 2 {
				req.Prefix = args[1]
			}
			if err := a.agree(cmd.Context(), yes, "kv clear", fmt.Sprintf("Delete everything below %q in %s?", req.Prefix, req.Namespace)); err != nil {
				return err
			}
			var r wire.Cleared
			if err := a.admin(cmd.Context(), op.KVClear, req, &r); err != nil {
				return err
			}
			return a.done(r, "deleted %d", r.Cleared)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Write a backup of the whole store", Args: exactly("FILE"),
		Long: "Writes a backup of the state store, as it is at one instant, to a new file of mode 0600: it holds what capsules keep secret.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := a.wake(cmd.Context()); err != nil {
				return err
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return fault.Wrap(fault.KindOf(err), err, "make the backup")
			}
			err = a.kernel.CallStream(cmd.Context(), op.Backup, nil, nil, f)
			if err == nil {
				err = f.Sync()
			}
			if closeErr := f.Close(); err == nil {
				err = closeErr
			}
			if err != nil {
				_ = os.Remove(args[0])
				return err
			}
			return a.done(wire.None{}, "the backup is in %s", args[0])
		},
	}
}

func (a *app) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "Fill an empty store from a backup", Args: exactly("FILE"),
		Long: "Fills the state store of a home that has none yet, or an empty one, from a backup. No kernel may run meanwhile: astrid daemon stop.",
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := a.home()
			if err == nil {
				err = h.Ensure()
			}
			if err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if err != nil {
				return fault.Wrap(fault.KindOf(err), err, "read the backup")
			}
			defer f.Close()
			s, err := store.Open(h.State(), store.Config{Log: a.log()})
			if err != nil {
				return err
			}
			err = s.Restore(f)
			if closeErr := s.Close(); err == nil {
				err = closeErr
			}
			if err != nil {
				return err
			}
			return a.done(wire.None{}, "restored; the next kernel has it")
		},
	}
}
