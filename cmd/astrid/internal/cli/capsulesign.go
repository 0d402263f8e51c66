package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"astrid/kernel/capsule"
	"astrid/kernel/fault"
)

func (a *app) capsuleKeygenCommand() *cobra.Command {
	return &cobra.Command{
		Use: "keygen FILE", Short: "Make a key to sign capsules with", Args: exactly("FILE"),
		Long: `Makes an ed25519 key and writes it to a file that only you may read (PKCS #8, PEM). Keep
it: those who installed what it signed are warned of any other.`,
		RunE: func(_ *cobra.Command, args []string) error {
			who, err := capsule.NewKey(args[0])
			if err != nil {
				return err
			}
			return a.done(map[string]string{"publisher": string(who)}, "the key is in %s; those who install what it signs see %s", args[0], who)
		},
	}
}

func (a *app) capsuleSignCommand() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "sign DIR", Short: "Sign a capsule as its publisher", Args: exactly("DIR"),
		Long: `Signs the files of a capsule, its id and its version, and leaves the signature in
DIR as ` + capsule.SignatureName + `. Sign it last: a file that changes afterwards makes it one that
nobody can install.`,
		Example: `  astrid capsule keygen ~/.config/publisher.key
  astrid capsule sign . --key ~/.config/publisher.key`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" {
				return fault.New(fault.Usage, "say with which key: --key FILE; astrid capsule keygen makes one")
			}
			base, err := a.dir()
			if err != nil {
				return err
			}
			dir, file := args[0], key
			for _, path := range []*string{&dir, &file} {
				if !filepath.IsAbs(*path) {
					*path = filepath.Join(base, *path)
				}
			}
			f, who, err := capsule.Sign(cmd.Context(), dir, file)
			if err != nil {
				return err
			}
			return a.done(map[string]string{"id": string(f.Package.Name), "version": f.Package.Version, "publisher": string(who)},
				"the capsule %s %s is signed by %s", f.Package.Name, f.Package.Version, who)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "the file with the private key")
	return cmd
}
