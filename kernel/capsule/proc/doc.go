// Package proc runs programs of the host in a sandbox around a view: one of
// bubblewrap where it is installed, else one that package jail makes. Both work
// from one list of mounts and have one filter of system calls.
//
// # What the program sees
//
// The view lies over the workspace's own path, so that absolute paths, links
// and caches that name the workspace reach the view and nothing reaches the
// workspace. Around it is the machine's file system, read-only as far as the
// user may read it, with these exceptions: /tmp, /var/tmp and /run are empty
// and private, but for the capsule that the program is of, read-only at Program;
// Astrid's home (keys, token, socket, control files, layers, other sessions) is
// empty; well-known stores of credentials in the user's home are
// empty unless a Read names them; caches in the user's home are private
// directories of the session; /dev holds the harmless devices; /proc is that of
// a new pid namespace. User, mount, pid, ipc, uts and (unless Net) network
// namespaces are the program's own; it has no capabilities, cannot get any, and
// can make no user namespace. Of descriptors it has the three that it was given.
//
// # Contract
//
// The sandbox is made whole or not at all: when its maker refuses any part, Run
// returns an error of Kind Unsupported and the program has not run. A maker that
// fails is not replaced by the other. Nothing of the environment whose name
// begins with ASTRID_ reaches the program. It ends when its caller does.
//
// # Where the makers differ
//
// With Net the program shares the network namespace: in bubblewrap's sandbox
// abstract sockets included, in our own not where Landlock has scopes. What is
// mounted on the machine later comes into the sandbox with the propagation that
// lets views be unmounted, and is writable in bubblewrap's; our own has Landlock
// as a second wall. Its first process cannot be traced; that of bubblewrap is not
// under the filter, so the filter and a mount over /proc/1 keep the program away
// from it. On a processor that Filter does not know bubblewrap's
// sandbox has none, and our own is refused.
package proc
