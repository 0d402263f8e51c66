// Package sdk is what a capsule written in Go is made with. It is compiled by
// plain Go:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o demo.wasm .
//
// A capsule says in init or in package variables what it serves; the kernel calls
// it by the exports that this package has:
//
//	func init() {
//		sdk.Tool("greet", func(c sdk.Call) ([]byte, error) {
//			var in struct{ Name string }
//			if err := c.Decode(&in); err != nil {
//				return nil, err
//			}
//			return []byte("hello " + in.Name), nil
//		})
//	}
//
//	func main() {}
//
// and a manifest that declares the tool. What a capsule may do is what its
// manifest asks for; a function that it may not use ends the call. So does all
// else that goes wrong in a function that returns no error: the caller is told
// why, and the capsule's memory is lost. What must not be lost belongs into Set.
//
// The functions of the host are those of Astrid 0.2, so that a capsule made with
// this package runs there too.
//
// For authors who know the 0.2 SDK for Rust: #[astrid::tool] is Tool,
// #[astrid::interceptor] Interceptor, #[astrid::command] Command, #[astrid::cron]
// Cron, #[astrid::run] Run, #[astrid::install] Install, #[astrid::upgrade] Upgrade;
// fs, ipc, kv, http, process, approval, identity and sys have their functions under
// the names below. CallTool calls the tool of another capsule by messages, and waits.
package sdk
