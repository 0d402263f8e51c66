package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"astrid/kernel/bus"
	"astrid/kernel/client"
	"astrid/kernel/home"
	"astrid/kernel/op"
	"astrid/kernel/wire"
)

// system is one way for messages. open makes a publisher and n subscribers, each of
// which calls heard for every message.
type system struct {
	name    string
	callers int // who publish at once for throughput
	open    func(n int, heard func()) (publish func() error, stop func(), err error)
}

func systems(dir, astrid string) []system {
	return []system{
		{"a Go channel each", 1, channels},
		{"the bus, in the process", 1, inProcess},
		{"NATS, embedded", 1, embedded},
		{"D-Bus, dbus-daemon", 1, dbusDaemon(dir)},
		{"the kernel's socket", 16, socket(dir, astrid)},
	}
}

var payload = wire.Raw(`{"type":"custom","data":{"text":"` + strings.Repeat("x", 100) + `"}}`)

func channels(n int, heard func()) (func() error, func(), error) {
	all := make([]chan wire.Raw, n)
	for i := range all {
		all[i] = make(chan wire.Raw, 1024)
		go func() {
			for range all[i] {
				heard()
			}
		}()
	}
	publish := func() error {
		for _, c := range all {
			c <- payload
		}
		return nil
	}
	return publish, func() {
		for _, c := range all {
			close(c)
		}
	}, nil
}

func inProcess(n int, heard func()) (func() error, func(), error) {
	b := bus.New(bus.Config{})
	patterns, err := bus.ParsePatterns([]string{"bench.v1.*"})
	for range n {
		s, subscribeErr := b.Subscribe(bus.Options{Patterns: patterns})
		if err = errors.Join(err, subscribeErr); err != nil {
			return nil, b.Close, err
		}
		go func() {
			for {
				if _, _, err := s.Next(context.Background()); err != nil {
					return
				}
				heard()
			}
		}()
	}
	return func() error {
		_, err := b.Publish(bus.Message{Topic: "bench.v1.tick", Payload: payload})
		return err
	}, b.Close, nil
}

func embedded(n int, heard func()) (func() error, func(), error) {
	ns, err := server.NewServer(&server.Options{DontListen: true, NoLog: true, NoSigs: true})
	if err != nil {
		return nil, nil, err
	}
	ns.Start()
	if !ns.ReadyForConnections(patience) {
		return nil, nil, errors.New("the NATS server is not ready")
	}
	var all []*nats.Conn
	stop := func() {
		for _, c := range all {
			c.Close()
		}
		ns.Shutdown()
		ns.WaitForShutdown()
	}
	connect := func() (*nats.Conn, error) {
		c, err := nats.Connect("", nats.InProcessServer(ns))
		if err == nil {
			all = append(all, c)
		}
		return c, err
	}
	for range n {
		c, err := connect()
		if err == nil {
			_, err = c.Subscribe("bench.v1.*", func(*nats.Msg) { heard() })
		}
		if err == nil {
			err = c.Flush()
		}
		if err != nil {
			stop()
			return nil, nil, err
		}
	}
	speaker, err := connect()
	if err != nil {
		stop()
		return nil, nil, err
	}
	return func() error { return speaker.Publish("bench.v1.tick", payload) }, stop, nil
}

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
<limit name="max_incoming_bytes">1000000000</limit><limit name="max_outgoing_bytes">1000000000</limit>
</busconfig>`

// dbusDaemon is a bus of its own for each measurement.
func dbusDaemon(dir string) func(int, func()) (func() error, func(), error) {
	return func(n int, heard func()) (func() error, func(), error) {
		sock, config := filepath.Join(dir, "bus"), filepath.Join(dir, "bus.conf")
		_ = os.Remove(sock)
		if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, sock), 0o600); err != nil {
			return nil, nil, err
		}
		cmd := exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--print-address", "--config-file="+config)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			return nil, nil, err
		}
		var all []*dbus.Conn
		stop := func() {
			for _, c := range all {
				_ = c.Close()
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			stop()
			return nil, nil, err
		}
		for range n {
			c, err := dbus.Connect("unix:path=" + sock)
			if err == nil {
				all = append(all, c)
				err = c.AddMatchSignal(dbus.WithMatchInterface("bench.v1"))
			}
			if err != nil {
				stop()
				return nil, nil, err
			}
			signals := make(chan *dbus.Signal, 1024)
			c.Signal(signals)
			go func() {
				for s := range signals {
					if s.Name == "bench.v1.Tick" {
						heard()
					}
				}
			}()
		}
		speaker, err := dbus.Connect("unix:path=" + sock)
		if err != nil {
			stop()
			return nil, nil, err
		}
		all = append(all, speaker)
		return func() error { return speaker.Emit("/bench", "bench.v1.Tick", string(payload)) }, stop, nil
	}
}

// socket is a kernel for each measurement, in a home that stays.
func socket(dir, astrid string) func(int, func()) (func() error, func(), error) {
	return func(n int, heard func()) (func() error, func(), error) {
		ctx := context.Background()
		h, err := home.At(filepath.Join(dir, "h"))
		if err == nil {
			err = client.Start(ctx, astrid, h, append(os.Environ(), "ASTRID_HOME="+h.String()))
		}
		if err != nil {
			return nil, nil, err
		}
		speaker, err := client.Dial(ctx, h)
		if err != nil {
			return nil, nil, err
		}
		all := []*client.Client{speaker}
		stop := func() {
			_ = speaker.Call(ctx, op.Shutdown, nil, nil)
			for _, c := range all {
				<-c.Done()
			}
			unmounted(h)
		}
		for range n {
			c, err := client.DialAs(ctx, h, client.Options{Message: func(m wire.Message) {
				if m.Topic == "agent.v1.response" {
					heard()
				}
			}})
			if err == nil {
				all = append(all, c)
				err = c.Call(ctx, op.Version, nil, nil)
			}
			if err != nil {
				stop()
				return nil, nil, err
			}
		}
		return func() error {
			return speaker.Call(ctx, op.Publish, wire.PublishRequest{Topic: "agent.v1.response", Payload: payload}, nil)
		}, stop, nil
	}
}

// unmounted waits until a kernel that ends has taken its control files away.
func unmounted(h home.Home) {
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err == nil && !strings.Contains(string(mounts), h.Ctl()) {
			return
		}
	}
}
