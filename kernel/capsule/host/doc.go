// Package host is what a capsule can ask of Astrid: the 48 host functions of the
// 0.2 protocol (section 8.6), with their exact names, order, arguments, results
// and limits, each behind the gate of what the capsule's manifest asked for.
//
// # Contract
//
// One Host serves one capsule. Every call runs for a Caller, which the context
// carries: the session whose workspace the file functions reach, and the user on
// whose behalf it is. A function that needs a session and has none fails.
//
// A function that fails has the guest's call trapped, because 0.2 guests cannot
// tell an error from an empty result and would go on with emptiness; those that
// have a member for an error in their reply use it.
//
// File functions go through the session's mount like any program's, by openat2
// beneath its root, so that what a capsule writes every other program sees at
// once. A path is judged after its symbolic links are resolved, and the object
// that was judged is the one that is opened.
//
// HTTP reaches the hosts of the manifest only, by name, at every redirect, and
// never an address of this machine or its networks.
//
// What a capsule publishes as the result of a tool goes to Config.Result, which
// judges whether the tool is its own. Config.Refused hears of all that a capsule
// tried and may not.
//
// Programs run in the sandbox of package proc around the session's view.
//
// # Deviations from 0.2
//
// Guests never accept connections: net_bind_unix and net_accept fail, poll_accept
// finds nobody. elicit works in the hooks of install and upgrade only, whose changes
// count once they have succeeded (Draft). get_caller tells who calls. Secrets are
// not readable by kv_get; get_config tells one for which the manifest has an [env.KEY].
// The message at which a drain of a subscription stops is kept for the next one.
//
// # Locks
//
// Host.mu is a leaf: nothing of another package is called while it is held.
package host
