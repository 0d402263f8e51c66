package socket_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"astrid/kernel/bus"
	"astrid/kernel/op/optest"
	"astrid/kernel/wire"
)

// TestTranscripts plays testdata/*.txt over a real socket. "> x" sends a frame,
// "< x" expects one (its time stamp printed as T), and
//
//	@hello       makes the handshake          @eof    expects the kernel to close
//	@alice       makes it as a user           @narrow as the owner, for the session x
//	@publish TOPIC SESSION PAYLOAD            puts a message on the bus ("-": no session)
//	@bus TOPIC PAYLOAD                        expects the next message of clients on the bus
//	@raw HEX     sends bytes                  @close  closes
//	@zero        sends a frame of no bytes    @bytewise x  sends a frame byte by byte
//
// After each, another client must be served.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			s := &optest.Sessions{PatchText: []byte("a patch\n")}
			s.Add("x", "a b", "\xfff")
			f := start(t, s)
			f.listen(t)
			f.play(t, file)
			f.checkServed(t)
		})
	}
}

// listen hears what clients put on the bus.
func (f *fixture) listen(t *testing.T) {
	t.Helper()
	patterns, err := bus.ParsePatterns([]string{"user.v1.*", "cli.v1.*", "astrid.v1.elicit.response.*", "registry.v1.selection.*", "session.v1.request.*", "made.up"})
	if err != nil {
		t.Fatal(err)
	}
	f.heard, err = f.bus.Subscribe(bus.Options{Patterns: patterns, Filter: func(m *bus.Message) bool { return m.Source != "" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.heard.Close)
}

func (f *fixture) play(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := f.dial(t)
	scan := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; scan.Scan(); n++ {
		line := strings.NewReplacer("$TOKEN", f.token, "$UPPERTOKEN", strings.ToUpper(f.token)).Replace(scan.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		if problem := f.act(t, c, word, rest); problem != "" {
			t.Fatalf("%s:%d: %s", file, n, problem)
		}
	}
}

// act plays one line and says what is wrong.
func (f *fixture) act(t *testing.T, c *net.UnixConn, word, rest string) string {
	t.Helper()
	switch word {
	case ">":
		send(t, c, []byte(rest))
	case "<":
		frame, err := wire.ReadFrame(c, wire.MaxReply)
		if err != nil {
			return err.Error()
		}
		if got := stamp().ReplaceAllString(string(frame), `"timestamp":"T"`); got != rest {
			return "\ngot  " + got + "\nwant " + rest
		}
	case "@hello":
		f.hello(t, c)
	case "@alice":
		f.helloAs(t, c, aliceToken, "")
	case "@narrow":
		f.helloAs(t, c, f.token, "x")
	case "@publish":
		part := strings.SplitN(rest, " ", 3)
		_, err := f.bus.Publish(bus.Message{Topic: bus.Topic(part[0]), Session: strings.TrimPrefix(part[1], "-"), Payload: wire.Raw(part[2])})
		if err != nil {
			return err.Error()
		}
	case "@bus":
		m, _, err := f.heard.Next(t.Context())
		if got := string(m.Topic) + " " + string(m.Payload); err != nil || got != rest {
			return "\ngot  " + got + "\nwant " + rest
		}
	case "@zero":
		send(t, c, nil)
	case "@raw":
		raw, err := hex.DecodeString(rest)
		if err != nil {
			return err.Error()
		}
		if _, err := c.Write(raw); err != nil {
			return err.Error()
		}
	case "@bytewise":
		frame, _ := wire.AppendFrame(nil, []byte(rest))
		for i := range frame {
			if _, err := c.Write(frame[i : i+1]); err != nil {
				return err.Error()
			}
		}
	case "@close":
		_ = c.Close()
	case "@eof":
		if frame, err := wire.ReadFrame(c, wire.MaxReply); !closed(err) {
			return "expected the end, got " + string(frame)
		}
	default:
		return "no such directive: " + word
	}
	return ""
}

// closed tells whether a read says that the other side has closed; with data
// unread on its side that is a reset.
func closed(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.As(err, &op) && !op.Timeout()
}

func stamp() *regexp.Regexp {
	return regexp.MustCompile(`"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"`)
}

func send(t *testing.T, c *net.UnixConn, payload []byte) {
	t.Helper()
	if err := wire.WriteFrame(c, payload); err != nil {
		t.Fatal(err)
	}
}

const patience = 20 * time.Second
