package main

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// client is one connection to a kernel, which speaks as frontends do: frames of a
// big-endian length and JSON.
type client struct {
	sock net.Conn
	in   *bufio.Reader
	last int
}

// connect makes the handshake as the owner of a home.
func connect(home string) (*client, error) {
	token, err := os.ReadFile(filepath.Join(home, "sessions", "system.token"))
	if err != nil {
		return nil, err
	}
	sock, err := net.Dial("unix", filepath.Join(home, "sessions", "system.sock"))
	if err != nil {
		return nil, err
	}
	c := &client{sock: sock, in: bufio.NewReaderSize(sock, 64<<10)}
	err = c.send(map[string]any{"token": string(token), "protocol_version": 1, "client_version": "bench"})
	var welcome struct{ Status, Reason string }
	if err == nil {
		err = c.receive(&welcome)
	}
	if err == nil && welcome.Status != "ok" {
		err = fmt.Errorf("the kernel refuses: %s", welcome.Reason)
	}
	if err != nil {
		_ = sock.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) send(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = c.sock.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...))
	return err
}

func (c *client) receive(into any) error {
	var header [4]byte
	if _, err := io.ReadFull(c.in, header[:]); err != nil {
		return err
	}
	data := make([]byte, binary.BigEndian.Uint32(header[:]))
	if _, err := io.ReadFull(c.in, data); err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// ask sends a request and returns the topic of its answer.
func (c *client) ask(method string, params any) (string, error) {
	c.last++
	id := fmt.Sprint(c.last)
	return "astrid.v1.response." + id, c.send(map[string]any{
		"topic": "astrid.v1.request." + id, "payload": map[string]any{"type": "raw_json", "method": method, "params": params},
	})
}

// answer is a payload of the kernel's.
type answer struct {
	Status string
	Data   json.RawMessage
}

// next reads the next message on a topic, or on any below it if it ends in a dot.
func (c *client) next(topic string) (a answer, err error) {
	for {
		var m struct {
			Topic   string
			Payload answer
		}
		if err := c.receive(&m); err != nil {
			return a, err
		}
		if m.Topic != topic && !(strings.HasSuffix(topic, ".") && strings.HasPrefix(m.Topic, topic)) {
			continue
		}
		if m.Payload.Status == "Error" {
			return a, fmt.Errorf("the kernel says: %s", m.Payload.Data)
		}
		return m.Payload, nil
	}
}

// call runs an operation.
func (c *client) call(method string, params, reply any) error {
	topic, err := c.ask(method, params)
	if err != nil {
		return err
	}
	a, err := c.next(topic)
	if err != nil || reply == nil {
		return err
	}
	return json.Unmarshal(a.Data, reply)
}

// lines calls f for each line that an operation writes, until it says enough.
func (c *client) lines(topic string, f func(line string) (enough bool)) error {
	var rest string
	for {
		a, err := c.next(topic)
		if err != nil || a.Status != "Chunk" {
			return err
		}
		var text string
		if err := json.Unmarshal(a.Data, &text); err != nil {
			return err
		}
		piece, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return err
		}
		rest += string(piece)
		for {
			line, after, whole := strings.Cut(rest, "\n")
			if !whole {
				break
			}
			if rest = after; f(line) {
				return nil
			}
		}
	}
}

func (c *client) close() { _ = c.sock.Close() }
