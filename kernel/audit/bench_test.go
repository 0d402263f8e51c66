package audit

import (
	"context"
	"testing"
)

// Appends by 64 who wait for the disk each.
func BenchmarkAppend(b *testing.B) {
	l := newBench(b).log
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for n := 0; pb.Next(); n++ {
			if err := l.Append(context.Background(), example(n)); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkVerify(b *testing.B) {
	l := newBench(b).log
	for n := range 20_000 {
		l.Note(example(n))
		if n%1000 == 0 {
			if err := l.Append(context.Background(), example(n)); err != nil {
				b.Fatal(err)
			}
		}
	}
	records := 0
	for b.Loop() {
		r, err := l.Verify(context.Background(), 0)
		if err != nil || r.Bad != nil {
			b.Fatal(r, err)
		}
		records += r.Records
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}
