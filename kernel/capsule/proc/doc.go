// Package proc runs programs of the host in a bubblewrap sandbox around a view.
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
// namespaces are the program's own, and it has no capabilities.
//
// # Contract
//
// The sandbox is made whole or not at all: when bubblewrap is missing or
// refuses any part, Run returns an error of Kind Unsupported and the program
// has not run. Nothing of the environment whose name begins with ASTRID_
// reaches the program.
//
// With Net the program shares the network namespace, abstract sockets included.
package proc
