//go:build wasip1

package loop

var body func()

// Run says what the loop is. When it returns, the kernel takes the capsule for
// crashed and starts it again.
func Run(f func()) { body = f }

//go:wasmexport run
func run() { body() }
