package kernel

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// logPause is how often a log that is followed is looked at.
const logPause = 200 * time.Millisecond

// Log implements op.Capsules: the lines of the kernel's log that are about one
// capsule, what it wrote and the text of its panics among them.
func (p plugged) Log(ctx context.Context, req wire.CapsuleLog, w io.Writer) error {
	if req.ID == "" {
		return fault.New(fault.Usage, "say the capsule whose log it is")
	}
	if req.Lines <= 0 {
		req.Lines = logLines
	}
	f, err := os.Open(p.k.Home.KernelLog())
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "read the kernel's log")
	}
	defer f.Close()
	l := &capsuleLog{id: req.ID, file: f}
	last, err := l.last(min(req.Lines, maxLogLines))
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "read the kernel's log")
	}
	if _, err := p.known(ctx, req.ID); err != nil && len(last) == 0 {
		return err
	}
	if _, err := io.WriteString(w, strings.Join(last, "")); err != nil || !req.Follow {
		return err
	}
	return l.follow(ctx, p.k.wanted, w)
}

// capsuleLog reads what is about one capsule.
type capsuleLog struct {
	id   string
	file *os.File
	at   int64  // how far it was read
	part []byte // of a line that is not whole yet
}

// last are the last lines, as far as they are in the last maxLogBytes.
func (l *capsuleLog) last(most int) (lines []string, err error) {
	st, err := l.file.Stat()
	if err != nil {
		return nil, err
	}
	l.at = max(0, st.Size()-maxLogBytes)
	err = l.read(func(line string) error {
		if lines = append(lines, line); len(lines) > most {
			lines = lines[1:]
		}
		return nil
	})
	return lines, err
}

// read passes on what is there and was not read yet.
func (l *capsuleLog) read(pass func(line string) error) error {
	r := bufio.NewReader(io.NewSectionReader(l.file, l.at, maxLogBytes))
	for {
		piece, err := r.ReadSlice('\n')
		l.at += int64(len(piece))
		if len(l.part) < maxLogBytes { // of a longer line the rest is left out
			l.part = append(l.part, piece...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		line := string(bytes.TrimSuffix(l.part, []byte("\n")))
		l.part = l.part[:0]
		if value, ok := attribute(line, "capsule"); !ok || value != l.id {
			continue
		}
		if err := pass(printable(line) + "\n"); err != nil {
			return err
		}
	}
}

// follow passes on what comes, until ctx or the kernel ends.
func (l *capsuleLog) follow(ctx context.Context, ended <-chan struct{}, w io.Writer) error {
	ticker := time.NewTicker(logPause)
	defer ticker.Stop()
	for {
		err := l.read(func(line string) error {
			_, err := io.WriteString(w, line)
			return err
		})
		if f, ok := w.(flusher); ok && err == nil {
			err = f.Flush()
		}
		if err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		case <-ended:
			return nil
		}
	}
}

// attribute finds a value in a line of the log. What stands within another value
// is none.
func attribute(line, name string) (value string, ok bool) {
	for line != "" {
		key, rest, found := strings.Cut(line, "=")
		if !found {
			return "", false
		}
		if quoted, err := strconv.QuotedPrefix(rest); err == nil && strings.HasPrefix(rest, `"`) {
			rest = rest[len(quoted):]
			value, err = strconv.Unquote(quoted)
			if err != nil {
				return "", false
			}
		} else {
			value, rest, _ = strings.Cut(rest, " ")
		}
		if strings.TrimSpace(key) == name {
			return value, true
		}
		line = strings.TrimPrefix(rest, " ")
	}
	return "", false
}

// printable is a line that does nothing to a terminal.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\ufffd'
	}, strings.ToValidUTF8(line, "\ufffd"))
}
