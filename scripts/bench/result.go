package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// result is every sample of a run.
type result struct {
	Machine string    `json:"machine"`
	Rounds  int       `json:"rounds"`
	Systems []string  `json:"systems"`
	Rows    []*sample `json:"rows"`
	failed  bool
}

// sample is one row: seconds per system, one value a round (0: it failed).
type sample struct {
	Row     string               `json:"row"`
	Seconds map[string][]float64 `json:"seconds"`
}

func newResult(b *bench) *result {
	r := &result{Rounds: b.opt.rounds, Machine: machine(b)}
	for _, s := range b.systems {
		r.Systems = append(r.Systems, s.name())
	}
	return r
}

// machine says in one line what the numbers were measured on.
func machine(b *bench) string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	var st unix.Statfs_t
	backing := "an unknown file system"
	if unix.Statfs(b.work, &st) == nil {
		backing = fmt.Sprintf("a file system of type %#x", st.Type)
		known := map[int64]string{unix.EXT4_SUPER_MAGIC: "ext4", unix.TMPFS_MAGIC: "tmpfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.XFS_SUPER_MAGIC: "xfs", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs"}
		if name, ok := known[int64(st.Type)]; ok {
			backing = name
		}
	}
	return fmt.Sprintf("Linux %s, %d cores, %s; base of %d files; big is %d MiB; %d rounds",
		unix.ByteSliceToString(u.Release[:]), runtime.NumCPU(), backing, len(b.files), b.opt.big, b.opt.rounds)
}

func (r *result) add(name, system string, round int, took time.Duration) {
	i := slices.IndexFunc(r.Rows, func(s *sample) bool { return s.Row == name })
	if i < 0 {
		i = len(r.Rows)
		r.Rows = append(r.Rows, &sample{Row: name, Seconds: map[string][]float64{}})
	}
	all := r.Rows[i].Seconds
	if all[system] == nil {
		all[system] = make([]float64, r.Rounds)
	}
	all[system][round] = took.Seconds()
}

func (r *result) printJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return errors.Join(out.Encode(r), r.end())
}

// end is an error when a row could not be measured.
func (r *result) end() error {
	if r.failed {
		return errors.New("not every row could be measured; see above")
	}
	return nil
}

// reference is the system that the others are compared with.
func (r *result) reference() string {
	if slices.Contains(r.Systems, nameOverlay) {
		return nameOverlay
	}
	return r.Systems[0]
}

func (r *result) printTable(w io.Writer) error {
	ref := r.reference()
	var b strings.Builder
	fmt.Fprintf(&b, "%s. Medians; ratios are to %s, within a round: median [least-greatest].\n\n", r.Machine, ref)
	b.WriteString("| |")
	for _, s := range r.Systems {
		fmt.Fprintf(&b, " %s |", s)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(r.Systems)) + "\n")
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "| %s |", row.Row)
		for _, s := range r.Systems {
			fmt.Fprintf(&b, " %s |", row.cell(s, ref))
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return errors.Join(err, r.end())
}

// cell is the median of a system and its ratio to the reference.
func (s *sample) cell(system, ref string) string {
	times := measured(s.Seconds[system])
	if len(times) == 0 {
		return "failed"
	}
	text := seconds(median(times))
	if system == ref {
		return text
	}
	var ratios []float64
	for round, t := range s.Seconds[system] {
		if of := s.Seconds[ref]; t > 0 && round < len(of) && of[round] > 0 {
			ratios = append(ratios, t/of[round])
		}
	}
	if len(ratios) == 0 {
		return text
	}
	return fmt.Sprintf("%s, %s [%s-%s]", text, ratio(median(ratios)), ratio(slices.Min(ratios)), ratio(slices.Max(ratios)))
}

// measured leaves out the rounds that failed.
func measured(all []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(all), func(t float64) bool { return t <= 0 })
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// ratio has the digits that a measurement of this kind can carry.
func ratio(x float64) string {
	switch {
	case x < 0.095:
		return fmt.Sprintf("%.1g", x)
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.0f", x)
}

func seconds(s float64) string {
	switch {
	case s >= 1:
		return fmt.Sprintf("%.2f s", s)
	case s >= 1e-3:
		return fmt.Sprintf("%.1f ms", s*1e3)
	}
	return fmt.Sprintf("%.1f µs", s*1e6)
}
