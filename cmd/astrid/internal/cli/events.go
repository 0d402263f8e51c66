package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"astrid/kernel/op"
	"astrid/kernel/wire"
)

func (a *app) eventsCommand() *cobra.Command {
	var req wire.EventsRequest
	cmd := &cobra.Command{
		Use:   "events [PATTERN…]",
		Short: "Show what happens: the messages of the bus",
		Long: `Shows the messages that the kernel's bus remembers, and with --follow each one
as it comes, until Ctrl-C. A PATTERN is a topic in which * stands for one
segment, or, at the end, for one or more. With --json each line is one JSON
object with the number by which --since goes on later.`,
		Example: `  astrid events --follow 'astrid.v1.session.*'
  astrid events --json --since 1234`,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Patterns = args
			if _, err := a.dial(cmd.Context()); err != nil {
				return err
			}
			var out io.Writer = a.Stdout
			if !a.json {
				out = &eventLines{to: a.Stdout}
			}
			err := a.kernel.CallStream(cmd.Context(), op.Events, req, nil, out)
			if cmd.Context().Err() != nil && req.Follow {
				return nil // Ctrl-C is how following ends
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&req.Follow, "follow", "f", false, "go on until Ctrl-C")
	cmd.Flags().Uint64Var(&req.Since, "since", 0, "only what came after message `N`")
	cmd.Flags().BoolVar(&req.New, "new", false, "nothing of what was before")
	return cmd
}

// eventLines turns lines of JSON into lines for people.
type eventLines struct {
	to   io.Writer
	rest []byte
}

// Write prints each whole line.
func (e *eventLines) Write(p []byte) (int, error) {
	e.rest = append(e.rest, p...)
	for {
		line, after, whole := bytes.Cut(e.rest, []byte{'\n'})
		if !whole {
			return len(p), nil
		}
		if err := e.print(line); err != nil {
			return 0, err
		}
		e.rest = after
	}
}

func (e *eventLines) print(line []byte) error {
	var v wire.Event
	if err := wire.Decode(line, &v); err != nil {
		return err
	}
	if v.Topic == "" {
		_, err := fmt.Fprintf(e.to, "… %d messages lost%s\n", v.Lost, forgotten(v))
		return err
	}
	session := ""
	if v.Session != "" {
		session = " [" + v.Session + "]"
	}
	_, err := fmt.Fprintf(e.to, "%d %s %s%s %s\n", v.Seq, v.At.Local().Format("15:04:05.000"), v.Topic, session, oneLine(string(wire.GuestBytes(v.Payload))))
	return err
}

func forgotten(v wire.Event) string {
	if v.LostTo == 0 {
		return ""
	}
	return fmt.Sprintf(", and what was between %d and %d is no longer remembered", v.LostFrom, v.LostTo)
}

func (a *app) publishCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "publish TOPIC JSON",
		Short:   "Put a message on the bus",
		Long:    "Puts a message on the bus, about the session of --session if one is named. Topics that begin with astrid. or client. are the kernel's own.",
		Example: `  astrid publish build.v1.done '{"ok":true}'`,
		Args:    exactly("TOPIC", "JSON"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := a.dial(cmd.Context()); err != nil {
				return err
			}
			var reply wire.Published
			req := wire.PublishRequest{Topic: args[0], Payload: wire.Raw(strings.TrimSpace(args[1])), Session: a.session}
			if !req.Payload.IsValid() {
				return wire.Decode(req.Payload, new(any))
			}
			if err := a.kernel.Call(cmd.Context(), op.Publish, req, &reply); err != nil {
				return err
			}
			return a.done(reply, "message %d", reply.Seq)
		},
	}
}
