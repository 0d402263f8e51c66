package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const in = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"said by a test that passes\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:1: no FUSE\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}
{"ImportPath":"q","Action":"build-output","Output":"q.go:1: wrong\n"}
{"Action":"output","Package":"q","Output":"FAIL\tq [build failed]\n"}
{"Action":"fail","Package":"q"}
no event
`
	const want = `    b_test.go:1: no FUSE
--- SKIP: TestB (0.00s)
q.go:1: wrong
ok  	p	0.1s
no event
tests: 1 passed, 0 failed, 1 skipped
FAIL	q [build failed]
`
	var got strings.Builder
	r := newReport(&got)
	if err := r.read(strings.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	r.end()
	if got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
}
