package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"astrid/kernel/fault"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

const answerHelp = `Without an ID it lists what capsules want to know; with one it answers. Give the values
as FIELD=VALUE, a list by naming its field several times; FIELD=- reads the value from
standard input, which is the way for a secret: it is not to be in a command line.
Without values it asks for each on the terminal. --decline refuses to answer, and so
does saying nothing for two minutes.`

func (a *app) answerCommand() *cobra.Command {
	var decline bool
	cmd := &cobra.Command{
		Use:   "answer [ID [FIELD=VALUE]...]",
		Short: "List what capsules want to know, or answer it",
		Long:  answerHelp,
		Example: `  astrid answer
  astrid answer 1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed city=Paris
  astrid answer 1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed token=- < token`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return a.listQuestions(cmd.Context())
			case decline && len(args) > 1:
				return fault.New(fault.Usage, "either --decline or values")
			case decline:
				return a.sendAnswer(cmd.Context(), wire.AnswerQuestion{ID: args[0], Decline: true})
			}
			return a.answer(cmd.Context(), args[0], args[1:])
		},
	}
	cmd.Flags().BoolVar(&decline, "decline", false, "refuse to answer")
	return cmd
}

func (a *app) questions(ctx context.Context) (list []wire.Question, err error) {
	err = a.admin(ctx, op.Questions, nil, &list)
	return list, err
}

func (a *app) listQuestions(ctx context.Context) error {
	list, err := a.questions(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 && !a.json {
		fmt.Fprintln(a.Stderr, "no capsule asks anything")
		return nil
	}
	rows := make([][]string, 0, len(list))
	for _, q := range list {
		rows = append(rows, []string{q.ID, q.Capsule, q.Session, q.Message, strings.Join(fieldNames(q), " "), when(q.Expires)})
	}
	return a.table(list, "ID CAPSULE SESSION MESSAGE FIELDS UNTIL", rows)
}

// fieldNames are the fields of a question with what they may be.
func fieldNames(q wire.Question) (names []string) {
	for _, f := range q.Fields {
		may := f.Type
		if len(f.Options) > 0 {
			may = strings.Join(f.Options, "|")
		}
		if !f.Required {
			may += ", optional"
		}
		names = append(names, f.Name+" ("+may+")")
	}
	return names
}

// answer answers with values that are given as FIELD=VALUE, or asked for.
func (a *app) answer(ctx context.Context, id string, pairs []string) error {
	list, err := a.questions(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(q wire.Question) bool { return q.ID == id })
	if i < 0 {
		return fault.New(fault.NotFound, "no question %.64q waits for an answer; astrid answer lists those that do", id)
	}
	req := wire.AnswerQuestion{ID: id}
	switch {
	case len(pairs) > 0:
		req.Values, err = a.values(list[i], pairs)
	case len(list[i].Fields) == 0:
	case !a.asks():
		err = fault.New(fault.Usage, "say the values as FIELD=VALUE, or --decline: the question has %s", strings.Join(fieldNames(list[i]), ", "))
	default:
		req.Values, err = a.fillIn(ctx, list[i])
	}
	if err != nil {
		return err
	}
	return a.sendAnswer(ctx, req)
}

func (a *app) sendAnswer(ctx context.Context, req wire.AnswerQuestion) error {
	var done wire.Answered
	if err := a.admin(ctx, op.AnswerQuestion, req, &done); err != nil {
		return err
	}
	if done.Declined {
		return a.done(done, "declined")
	}
	return a.done(done, "answered")
}

// values reads FIELD=VALUE.
func (a *app) values(q wire.Question, pairs []string) (map[string][]string, error) {
	values := map[string][]string{}
	piped := false
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		secret := slices.ContainsFunc(q.Fields, func(f wire.QuestionField) bool { return f.Name == name && f.Type == "secret" })
		switch {
		case !ok:
			return nil, fault.New(fault.Usage, "%.64q is no FIELD=VALUE", pair)
		case value == "-" && piped:
			return nil, fault.New(fault.Usage, "standard input is one value only")
		case value == "-":
			piped = true
			data, err := io.ReadAll(io.LimitReader(a.Stdin, maxParams+1))
			if err != nil || len(data) > maxParams {
				return nil, fault.New(fault.Usage, "the value cannot be read, or has more than %d bytes", maxParams)
			}
			value = strings.TrimSuffix(string(data), "\n")
		case secret:
			return nil, fault.New(fault.Usage, "%s is a secret, and others can read a command line: say %s=- and give it on standard input", name, name)
		}
		values[name] = append(values[name], value)
	}
	return values, nil
}

// fillIn asks for each field on the terminal. An empty line is the default, or no
// value.
func (a *app) fillIn(ctx context.Context, q wire.Question) (map[string][]string, error) {
	fmt.Fprintf(a.Stderr, "the capsule %s asks: %s\n", oneLine(q.Capsule), oneLine(q.Message))
	values, in := map[string][]string{}, bufio.NewReader(a.Stdin)
	for i, f := range q.Fields {
		fmt.Fprintf(a.Stderr, "%s", oneLine(fieldNames(q)[i]))
		if f.Default != "" {
			fmt.Fprintf(a.Stderr, " [%s]", oneLine(f.Default))
		}
		fmt.Fprint(a.Stderr, ": ")
		line, err := a.readField(ctx, in, f.Type == "secret")
		if err != nil {
			return nil, err
		}
		if line == "" {
			line = f.Default
		}
		if line != "" {
			values[f.Name] = append(values[f.Name], line)
		}
	}
	return values, nil
}

// readField reads a line, without an echo when it is a secret.
func (a *app) readField(ctx context.Context, in *bufio.Reader, secret bool) (string, error) {
	type result struct {
		line string
		err  error
	}
	fd := int(a.Stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fault.Wrap(fault.Unsupported, err, "read the terminal")
	}
	read := make(chan result, 1)
	go func() { // nothing ends a read from a terminal but the end of the program
		if secret {
			data, err := term.ReadPassword(fd)
			fmt.Fprintln(a.Stderr)
			read <- result{string(data), err}
			return
		}
		line, err := in.ReadString('\n')
		read <- result{strings.TrimSuffix(line, "\n"), err}
	}()
	select {
	case r := <-read:
		if r.err != nil {
			return "", fault.New(fault.Interrupted, "nothing is answered")
		}
		return r.line, nil
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		return "", fault.New(fault.Interrupted, "nothing is answered")
	}
}

// questionsEvery is how often an installation looks for questions of the capsule.
const questionsEvery = 200 * time.Millisecond

// attend answers what the hook of a capsule asks while it is installed: on the
// terminal, or by saying how others can. The function that it returns ends it.
func (a *app) attend(ctx context.Context) (end func()) {
	if _, err := a.wake(ctx); err != nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		seen := map[string]bool{}
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(questionsEvery):
			}
			var list []wire.Question
			if a.kernel.Call(ctx, op.Questions, nil, &list) != nil {
				return
			}
			for _, q := range list {
				if !seen[q.ID] && q.Session == "" {
					seen[q.ID] = true
					a.attendTo(ctx, q)
				}
			}
		}
	}()
	return func() { cancel(); <-over }
}

func (a *app) attendTo(ctx context.Context, q wire.Question) {
	if !a.asks() {
		fmt.Fprintf(a.Stderr, "the capsule %s asks: %s; astrid answer %s takes %s\n", oneLine(q.Capsule), oneLine(q.Message), q.ID, oneLine(strings.Join(fieldNames(q), ", ")))
		return
	}
	req := wire.AnswerQuestion{ID: q.ID}
	values, err := a.fillIn(ctx, q)
	if req.Values = values; err != nil {
		return
	}
	if err := a.kernel.Call(ctx, op.AnswerQuestion, req, nil); err != nil {
		fmt.Fprintln(a.Stderr, oneLine(err.Error()))
	}
}
