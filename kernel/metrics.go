package kernel

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"astrid/kernel/fault"
	"astrid/kernel/wire"
)

// Metrics implements op.Kernel: the text format of Prometheus.
func (f face) Metrics(ctx context.Context, _ wire.None, w io.Writer) error {
	k := f.k
	var m metrics
	m.gauge("astrid_uptime_seconds", "Time since the kernel booted.", time.Since(k.Started).Seconds())
	m.gauge("astrid_boot_seconds", "How long the boot took.", k.boot.Seconds())
	m.gauge("astrid_memory_bytes", "Resident memory of the kernel process.", float64(resident()))
	m.gauge("astrid_goroutines", "Goroutines of the kernel process.", float64(runtime.NumGoroutine()))
	done, failed := k.Ops.Counts()
	m.counter("astrid_operations_done_total", "Operations that succeeded.", done)
	m.counter("astrid_operations_failed_total", "Operations that did not.", failed)
	m.gauge("astrid_operations_running", "Operations under way.", float64(k.Ops.Running()))
	clients, refused, slow := k.Socket.Stats()
	m.gauge("astrid_clients", "Connections of the socket past their handshake.", float64(clients))
	m.counter("astrid_clients_refused_total", "Connections that failed their handshake.", refused)
	m.counter("astrid_clients_slow_total", "Connections cut because they did not read.", slow)
	b := k.Bus.Stats()
	m.counter("astrid_bus_published_total", "Messages published.", b.Published)
	m.counter("astrid_bus_lost_total", "Messages that subscribers did not take in time.", b.Lost)
	m.gauge("astrid_bus_subscribers", "Subscriptions.", float64(len(b.Subscribers)))
	queued := 0
	for _, s := range b.Subscribers {
		queued += s.Queued
	}
	m.gauge("astrid_bus_queued_messages", "Messages queued for all subscribers.", float64(queued))
	m.counter("astrid_audit_records_total", "Records of the audit log.", k.Audit.Head().Seq)
	pending, err := k.Approvals.Pending()
	if err != nil {
		return err
	}
	m.gauge("astrid_approvals_waiting", "Requests for approval without an answer.", float64(len(pending)))
	if err := k.sessionMetrics(ctx, &m); err != nil {
		return err
	}
	_, err = w.Write(m.Bytes())
	return err
}

func (k *Kernel) sessionMetrics(ctx context.Context, m *metrics) error {
	sessions, err := k.visibleSessions(ctx)
	if err != nil {
		return err
	}
	m.head("astrid_session_up", "gauge", "Whether the view of a session is up.")
	for _, s := range sessions {
		up := 0
		if s.State == "running" {
			up = 1
		}
		fmt.Fprintf(m, "astrid_session_up{session=%q} %d\n", s.Name, up)
	}
	m.head("astrid_session_restarts_total", "counter", "Times that the view server of a session was started again.")
	for _, s := range sessions {
		fmt.Fprintf(m, "astrid_session_restarts_total{session=%q} %d\n", s.Name, s.Restarts)
	}
	return nil
}

// metrics is text in the making.
type metrics struct{ bytes.Buffer }

func (m *metrics) head(name, kind, help string) {
	fmt.Fprintf(m, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (m *metrics) gauge(name, help string, value float64) {
	m.head(name, "gauge", help)
	fmt.Fprintf(m, "%s %s\n", name, strconv.FormatFloat(value, 'g', -1, 64))
}

func (m *metrics) counter(name, help string, value uint64) {
	m.head(name, "counter", help)
	fmt.Fprintf(m, "%s %d\n", name, value)
}

// resident is the resident memory of this process in bytes, 0 if it cannot be told.
func resident() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// Bounds of what Log shows.
const (
	logLines    = 200
	maxLogLines = 10_000
	maxLogBytes = 4 << 20
)

// Log implements op.Kernel.
func (f face) Log(_ context.Context, req wire.LogRequest, w io.Writer) error {
	if req.Lines <= 0 {
		req.Lines = logLines
	}
	data, err := tail(f.k.Home.KernelLog(), min(req.Lines, maxLogLines))
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "read the kernel's log")
	}
	_, err = w.Write(data)
	return err
}

// tail is the last lines of a file, as far as they are in its last maxLogBytes.
func tail(path string, lines int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	from := max(0, st.Size()-maxLogBytes)
	data, err := io.ReadAll(io.NewSectionReader(f, from, st.Size()-from))
	if err != nil {
		return nil, err
	}
	end := len(bytes.TrimRight(data, "\n"))
	for at := end; lines > 0; lines-- {
		if at = bytes.LastIndexByte(data[:at], '\n'); at < 0 {
			return data, nil
		}
		if lines == 1 {
			return data[at+1:], nil
		}
	}
	return data, nil
}
