// Package client speaks to a running kernel over its socket, and starts one.
//
// A Client is one connection past its handshake. Its calls may run side by
// side; each has an id of its own in its topics. When the connection ends,
// every call that waits fails with Kind NotRunning, and the Client is of no
// more use: dial again. Giving a call up (its ctx ends) leaves the connection
// usable; closing the connection cancels what the kernel still does for it.
//
// A frontend that is no command keeps one connection, as a user with a token of
// its own, and gets the messages that concern it:
//
//	c, err := client.DialAs(ctx, h, client.Options{Token: token, Name: "bot", Message: func(m wire.Message) {
//		queue <- m // agent.v1.response, astrid.v1.approval, …: handle them elsewhere
//	}})
//	…
//	err = c.Call(ctx, "approve", wire.AnswerApproval{ID: id, Decision: "approve"}, nil)
//
// scripts/examples has two frontends whole.
//
// Locks: Client.mu is a leaf; Client.writing is held while one frame is written.
package client
