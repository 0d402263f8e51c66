package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// The kernel by itself: how fast it boots, answers, records and delivers.

// kernelRow measures something of a kernel that runs; its results stand beside
// each other in the table.
type kernelRow struct {
	name string
	unit func(float64) string
	long bool // measured only if --only asks for it
	do   func(context.Context, *station) ([]float64, error)
}

func kernelTable() []kernelRow {
	rows := []kernelRow{
		{name: "boot: astrid up in a new home, with its first view", unit: seconds, do: bootNew},
		{name: "boot: the kernel's own part, second boot", unit: seconds, do: bootAgain},
		{name: "boot: the same, with 1 GB of state", unit: seconds, long: true, do: bootLarge},
		{name: "op: version over the socket, p50 and p99", unit: seconds, do: roundTrips},
		{name: "op: kv.set, recorded and synced, 1 client", unit: perSecond, do: sets(1)},
		{name: "op: kv.set, recorded and synced, 32 clients", unit: perSecond, do: sets(32)},
		{name: "audit: verify all of the log, records", unit: perSecond, do: verify},
	}
	for _, n := range []int{1, 10, 100} {
		rows = append(rows,
			kernelRow{name: fmt.Sprintf("bus: publish to %d who follow, p50 and p99", n), unit: seconds, do: latency(n)},
			kernelRow{name: fmt.Sprintf("bus: messages through the socket, %d who follow", n), unit: perSecond, do: flood(n)})
	}
	return slices.Concat(rows, backRows(), capsuleRows())
}

func perSecond(n float64) string { return fmt.Sprintf("%.0f /s", n) }

// station is the home of a kernel under test.
type station struct {
	dir, home, astrid string
}

// kernels measures rows and prints their table.
func kernels(ctx context.Context, opt options, rows []kernelRow, w io.Writer) error {
	if _, err := exec.LookPath(opt.astrid); err != nil {
		return errors.New("there is no " + opt.astrid + " (make build)")
	}
	dir, err := os.MkdirTemp(opt.dir, "astrid-bench")
	if err != nil {
		return err
	}
	s := &station{dir: dir, home: filepath.Join(dir, "h"), astrid: opt.astrid}
	var b strings.Builder
	b.WriteString("| the kernel | median | least to greatest |\n|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintln(os.Stderr, "bench:", r.name)
		text, rowErr := r.measure(ctx, s, opt.rounds)
		if rowErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.name, rowErr))
			text = "failed | "
		}
		fmt.Fprintf(&b, "| %s | %s |\n", r.name, text)
	}
	_, printErr := io.WriteString(w, b.String())
	return errors.Join(err, printErr, s.end(), os.RemoveAll(dir))
}

func selectedKernel(only *regexp.Regexp) (rows []kernelRow) {
	for _, r := range kernelTable() {
		if only.MatchString(r.name) && !(r.long && only.MatchString("")) {
			rows = append(rows, r)
		}
	}
	return rows
}

// measure returns two cells of the table.
func (r kernelRow) measure(ctx context.Context, s *station, rounds int) (string, error) {
	var columns [][]float64
	for range rounds {
		values, err := r.do(ctx, s)
		if err != nil {
			return "", err
		}
		for i, v := range values {
			if i == len(columns) {
				columns = append(columns, nil)
			}
			columns[i] = append(columns[i], v)
		}
	}
	var middle, spread []string
	for _, c := range columns {
		middle = append(middle, r.unit(median(c)))
		spread = append(spread, r.unit(slices.Min(c))+" to "+r.unit(slices.Max(c)))
	}
	return strings.Join(middle, ", ") + " | " + strings.Join(spread, ", "), nil
}

// run runs astrid in the home.
func (s *station) run(ctx context.Context, args ...string) error {
	_, err := output(ctx, "/", append([]string{"env", "ASTRID_HOME=" + s.home, s.astrid}, args...)...)
	return err
}

func (s *station) up(ctx context.Context) error {
	project := filepath.Join(s.dir, "project")
	return errors.Join(os.MkdirAll(project, 0o755), s.run(ctx, "up", project))
}

// end stops the kernel if one runs.
func (s *station) end() error {
	c, err := connect(s.home)
	if err != nil {
		return nil
	}
	c.close()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	return s.run(ctx, "daemon", "stop")
}

// with calls f with a client of a kernel that is up.
func (s *station) with(ctx context.Context, f func(*client) error) error {
	if err := s.up(ctx); err != nil {
		return err
	}
	c, err := connect(s.home)
	if err != nil {
		return err
	}
	defer c.close()
	return f(c)
}

func bootNew(ctx context.Context, s *station) ([]float64, error) {
	if err := errors.Join(s.end(), os.RemoveAll(s.home)); err != nil {
		return nil, err
	}
	began := time.Now()
	err := s.up(ctx)
	return []float64{time.Since(began).Seconds()}, err
}

func bootAgain(ctx context.Context, s *station) ([]float64, error) {
	if err := errors.Join(s.up(ctx), s.end()); err != nil {
		return nil, err
	}
	var k struct {
		Boot float64 `json:"boot_seconds"`
	}
	err := s.with(ctx, func(c *client) error { return c.call("kernel", struct{}{}, &k) })
	return []float64{k.Boot}, err
}

// bootLarge is bootAgain of a home that is filled once.
func bootLarge(ctx context.Context, s *station) ([]float64, error) {
	large := &station{dir: s.dir, home: filepath.Join(s.dir, "large"), astrid: s.astrid}
	if err := s.end(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(large.home); err != nil {
		if err := large.with(ctx, fillState); err != nil {
			return nil, err
		}
	}
	values, err := bootAgain(ctx, large)
	return values, errors.Join(err, large.end())
}

// fillState writes 1 GB of values that do not compress.
func fillState(c *client) error {
	source, value := rand.NewChaCha8([32]byte{}), make([]byte, 1<<20)
	for i := range 1000 {
		_, _ = source.Read(value)
		set := map[string]any{"namespace": fmt.Sprintf("capsule:bench%d", i%8), "key": fmt.Sprint(i), "bytes": value}
		if err := c.call("kv.set", set, nil); err != nil {
			return err
		}
	}
	return nil
}

const trips = 5000

func roundTrips(ctx context.Context, s *station) (values []float64, err error) {
	err = s.with(ctx, func(c *client) error {
		var all []float64
		for range trips {
			began := time.Now()
			if err := c.call("version", struct{}{}, nil); err != nil {
				return err
			}
			all = append(all, time.Since(began).Seconds())
		}
		values = percentiles(all)
		return nil
	})
	return values, err
}

// percentiles are the 50th and the 99th.
func percentiles(all []float64) []float64 {
	slices.Sort(all)
	return []float64{all[len(all)/2], all[len(all)*99/100]}
}

// each runs f for n clients at once and returns how long all of them took.
func (s *station) each(n int, f func(int, *client) error) (time.Duration, error) {
	clients := make([]*client, n)
	for i := range clients {
		c, err := connect(s.home)
		if err != nil {
			return 0, err
		}
		defer c.close()
		clients[i] = c
	}
	failed := make([]error, n)
	var all sync.WaitGroup
	began := time.Now()
	for i, c := range clients {
		all.Go(func() { failed[i] = f(i, c) })
	}
	all.Wait()
	return time.Since(began), errors.Join(failed...)
}

func sets(n int) func(context.Context, *station) ([]float64, error) {
	const total = 3200
	return func(ctx context.Context, s *station) ([]float64, error) {
		if err := s.up(ctx); err != nil {
			return nil, err
		}
		took, err := s.each(n, func(i int, c *client) error {
			for k := range total / n {
				set := map[string]any{"namespace": "capsule:bench", "key": fmt.Sprintf("%d.%d", i, k), "text": strings.Repeat("v", 100)}
				if err := c.call("kv.set", set, nil); err != nil {
					return err
				}
			}
			return nil
		})
		return []float64{total / took.Seconds()}, err
	}
}

func verify(ctx context.Context, s *station) (values []float64, err error) {
	err = s.with(ctx, func(c *client) error {
		var report struct{ Records, Bad uint64 }
		began := time.Now()
		if err := c.call("audit.verify", struct{}{}, &report); err != nil || report.Bad != 0 {
			return errors.Join(err, fmt.Errorf("record %d is bad", report.Bad))
		}
		values = []float64{float64(report.Records) / time.Since(began).Seconds()}
		return nil
	})
	return values, err
}

// following has n clients follow a topic while publish runs, and gives heard each
// event.
func following(ctx context.Context, s *station, n int, publish func(*client) error, heard func(n, seen int) (enough bool)) error {
	if err := s.up(ctx); err != nil {
		return err
	}
	speaker, err := connect(s.home)
	if err != nil {
		return err
	}
	defer speaker.close()
	said := make(chan error, 1)
	go func() { said <- errors.Join(speaker.audience(n), publish(speaker)) }()
	_, err = s.each(n, func(i int, c *client) error {
		topic, err := c.ask("events", map[string]any{"patterns": []string{"bench.*"}, "follow": true, "new": true})
		if err != nil {
			return err
		}
		seen := 0
		return c.lines(topic, func(line string) bool {
			if strings.Contains(line, `"lost"`) {
				return true
			}
			seen++
			return heard(i, seen)
		})
	})
	return errors.Join(err, <-said)
}

// audience waits until n follow.
func (c *client) audience(n int) error {
	for range 1000 {
		var status struct{ Subscribers []struct{ Name string } }
		if err := c.call("bus", struct{}{}, &status); err != nil {
			return err
		}
		here := 0
		for _, s := range status.Subscribers {
			if s.Name == "events" {
				here++
			}
		}
		if here >= n {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%d were to follow", n)
}

func say(c *client, i int) error {
	return c.call("publish", map[string]any{"topic": "bench.x", "payload": map[string]any{"type": "custom", "data": i}}, nil)
}

// latency is the time from before a publish to when a follower has read it, over
// all followers; one message is on its way at a time.
func latency(n int) func(context.Context, *station) ([]float64, error) {
	const messages = 300
	return func(ctx context.Context, s *station) ([]float64, error) {
		var mu sync.Mutex
		var began time.Time
		var all []float64
		got := make(chan struct{}, n)
		err := following(ctx, s, n, func(c *client) error {
			for i := range messages {
				mu.Lock()
				began = time.Now()
				mu.Unlock()
				if err := say(c, i); err != nil {
					return err
				}
				for range n {
					<-got
				}
			}
			return nil
		}, func(_, seen int) bool {
			mu.Lock()
			all = append(all, time.Since(began).Seconds())
			mu.Unlock()
			got <- struct{}{}
			return seen == messages
		})
		if err != nil {
			return nil, err
		}
		return percentiles(all), nil
	}
}

// flood is how many messages a second reach everybody who follows, at the pace of
// one publisher.
func flood(n int) func(context.Context, *station) ([]float64, error) {
	const messages = 3000
	return func(ctx context.Context, s *station) ([]float64, error) {
		var began time.Time
		err := following(ctx, s, n, func(c *client) error {
			began = time.Now()
			for i := range messages {
				if err := say(c, i); err != nil {
					return err
				}
			}
			return nil
		}, func(_, seen int) bool { return seen == messages })
		return []float64{messages / time.Since(began).Seconds()}, err
	}
}
