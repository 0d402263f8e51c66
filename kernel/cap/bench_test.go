package cap

import (
	"fmt"
	"testing"
)

// BenchmarkCheck asks as a bus with 10,000 tokens behind it does: whether one
// user may read the messages of a session.
func BenchmarkCheck(b *testing.B) {
	for name, own := range map[string]int{"10 of 10000 tokens are the user's": 10, "all of 10000 tokens are the user's": MaxTokens} {
		b.Run(name, func(b *testing.B) {
			s, user := newBench(b), alice()
			for n := range MaxTokens {
				g := grant(fmt.Sprintf("astrid://s%d/session:*", n), Invoke)
				if g.Session = "x"; n >= own { // in memory
					g.User = testKey(byte(2 + n%200)).Public().User()
				}
				s.mint(g)
			}
			for _, c := range []struct {
				name     string
				resource func(n int) string
			}{
				{"the same question", func(int) string { return Operation("s3", "session:read") }},
				{"always another", func(n int) string { return Operation(fmt.Sprintf("s3-%d", n), "session:read") }},
			} {
				b.Run(c.name, func(b *testing.B) {
					n := 0
					for b.Loop() {
						n++
						_, _ = s.tokens.Check(user, Invoke, c.resource(n))
					}
				})
			}
		})
	}
}
