package bus

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// One message at a time, from Publish to the last of n receivers: how long it
// takes, p50 and p99, beside plain channels.
func BenchmarkLatency(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("bus/%d", n), func(b *testing.B) {
			bus := New(Config{})
			var got sync.WaitGroup
			for range n {
				s := subscribe(b, bus, Options{}, "bench.*")
				go func() {
					for {
						if _, _, err := s.Next(b.Context()); err != nil {
							return
						}
						got.Done()
					}
				}()
			}
			latency(b, &got, n, func() { publish(b, bus, "bench.v1.tick", `{"type":"custom","data":{}}`) })
			bus.Close()
		})
		b.Run(fmt.Sprintf("channel/%d", n), func(b *testing.B) {
			var got sync.WaitGroup
			var all []chan Message
			for range n {
				c := make(chan Message, 1024)
				all = append(all, c)
				go func() {
					for range c {
						got.Done()
					}
				}()
			}
			latency(b, &got, n, func() {
				for _, c := range all {
					c <- Message{}
				}
			})
			for _, c := range all {
				close(c)
			}
		})
	}
}

func latency(b *testing.B, got *sync.WaitGroup, n int, send func()) {
	took := make([]time.Duration, 0, b.N)
	for b.Loop() {
		began := time.Now()
		got.Add(n)
		send()
		got.Wait()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
}

// As many messages as go: published, and taken by all receivers.
func BenchmarkThroughput(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			bus := New(Config{})
			var readers sync.WaitGroup
			for range n {
				s := subscribe(b, bus, Options{}, "bench.*")
				readers.Go(func() {
					for {
						if _, _, err := s.Next(b.Context()); err != nil {
							return
						}
					}
				})
			}
			for b.Loop() {
				publish(b, bus, "bench.v1.tick", `{"type":"custom","data":{}}`)
			}
			bus.Close()
			readers.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}
