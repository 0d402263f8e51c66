// Package loop makes a capsule one with a loop of its own: importing it gives the
// module the export run, by which the kernel knows. Such a capsule runs all the
// time, without a time limit, and hears messages by subscription instead of by
// interceptors.
//
//	func main() {}
//
//	func init() {
//		loop.Run(func() {
//			heard := sdk.Subscribe("build.v1.*")
//			sdk.Ready()
//			for {
//				messages, _ := heard.Receive(time.Minute)
//				…
//			}
//		})
//	}
package loop
