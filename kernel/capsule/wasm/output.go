package wasm

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// quota is how much an instance may still say in a window of a second.
type quota struct {
	tell    func(line string)
	until   time.Time
	left    int
	dropped int
}

// open tells whether anything may be said.
func (q *quota) open() bool {
	if now := time.Now(); !now.Before(q.until) {
		q.settle()
		q.until, q.left = now.Add(time.Second), MaxOutput
	}
	return q.left > 0
}

// settle says how much was dropped since it last did.
func (q *quota) settle() {
	if q.dropped > 0 {
		q.tell(fmt.Sprintf("%d bytes of output were dropped: the guest says more than %d bytes a second", q.dropped, MaxOutput))
		q.dropped = 0
	}
}

// lines is a standard output of an instance.
type lines struct {
	instance *instance
	part     []byte // of a line
}

// Write fails when the call has ended, so that a guest cannot spend for ever in
// one call of WASI.
func (l *lines) Write(p []byte) (int, error) {
	if err := l.instance.call.ctx.Err(); err != nil {
		return 0, err
	}
	quota, all := &l.instance.quota, len(p)
	for len(p) > 0 {
		if !quota.open() {
			quota.dropped += len(p)
			l.part = l.part[:0]
			break
		}
		n := min(len(p), MaxLine-len(l.part))
		end := bytes.IndexByte(p[:n], '\n')
		if end >= 0 {
			n = end + 1
		}
		l.part = append(l.part, p[:n]...)
		p = p[n:]
		if end >= 0 || len(l.part) == MaxLine {
			l.flush()
		}
	}
	return all, nil
}

// flush says what there is of a line.
func (l *lines) flush() {
	if len(l.part) > 0 {
		l.instance.quota.left -= len(l.part)
		l.instance.quota.tell(clean(bytes.TrimSuffix(l.part, []byte{'\n'})))
		l.part = l.part[:0]
	}
}

// clean is text that is valid UTF-8 and not longer than MaxText.
func clean(text []byte) string {
	return strings.ToValidUTF8(string(text[:min(len(text), MaxText)]), "\uFFFD")
}
