package main

import (
	"strings"
	"testing"
)

func TestPrintTable(t *testing.T) {
	r := &result{Machine: "A machine", Rounds: 3, Systems: []string{nameNative, nameOverlay, nameView}, Rows: []*sample{{
		Row: "create", Seconds: map[string][]float64{
			nameNative:  {0.1, 0.2, 0.3},
			nameOverlay: {0.2, 0.2, 0.2},
			nameView:    {4, 2, 0},
		},
	}}}
	const want = `A machine. Medians; ratios are to overlayfs, within a round: median [least-greatest].

| | native | overlayfs | view |
|---|---|---|---|
| create | 200.0 ms, 1.00 [0.50-1.50] | 200.0 ms | 3.00 s, 15 [10-20] |
`
	var got strings.Builder
	if err := r.printTable(&got); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
}
