package cli

import (
	"io"

	"github.com/spf13/cobra"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// maxParams is how much is read of params from standard input.
const maxParams = wire.MaxRequest

func (a *app) callCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "call METHOD [JSON]",
		Short: "Run any operation of the kernel",
		Long: `Runs an operation of the kernel's table with the params given as JSON, or read
from standard input for "-", and prints its reply as JSON, or the bytes that it
writes. Every other verb is one or more of these operations.`,
		Example: `  astrid call kernel
  astrid call status '{"session":"hello"}'
  astrid call patch '{"session":"hello"}' | git apply --stat`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return fault.New(fault.Usage, "say a method, and its params if it has any (see %s --help)", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := a.params(args[1:])
			if err != nil {
				return err
			}
			if _, err := a.dial(cmd.Context()); err != nil {
				return err
			}
			out := &counting{to: a.Stdout}
			var reply wire.Raw
			a.acting = true
			if err := a.kernel.CallStream(cmd.Context(), args[0], params, &reply, out); err != nil {
				return err
			}
			if out.n > 0 {
				return nil
			}
			return a.say("%s\n", reply)
		},
	}
}

// params reads the params of a call.
func (a *app) params(args []string) (wire.Raw, error) {
	text := "{}"
	if len(args) == 1 {
		text = args[0]
	}
	if text == "-" {
		data, err := io.ReadAll(io.LimitReader(a.Stdin, maxParams+1))
		if err != nil || len(data) > maxParams {
			return nil, fault.New(fault.Usage, "the params cannot be read, or have more than %d bytes", maxParams)
		}
		text = string(data)
	}
	var params map[string]wire.Raw
	if err := wire.Decode([]byte(text), &params); err != nil {
		return nil, fault.Wrap(fault.Usage, err, "the params must be a JSON object")
	}
	return wire.Raw(text), nil
}

// counting counts what is written.
type counting struct {
	to io.Writer
	n  int
}

// Write counts and writes.
func (c *counting) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += n
	return n, err
}
