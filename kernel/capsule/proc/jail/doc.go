// Package jail makes the sandbox of package proc without bubblewrap: from the
// same list of mounts, with the kernel's own means.
//
// # How it is made
//
// A program whose main calls Main before anything else is started three times,
// with the plan in an inherited descriptor and nothing of it in its arguments:
//
//   - the monitor stays outside, makes the namespaces and names the first process;
//   - the first process of the new pid namespace builds the mount tree beside the
//     old one, changes over by pivot_root and lets the old one go, starts the
//     program, takes in orphans, and ends with the program and everything in it;
//   - the third gives up what it has and becomes the program.
//
// The first process is root of a user namespace in which nothing but its own uid
// is mapped; it may not be traced or looked into. The program is in another user
// namespace below it, under its own uid, so that it owns neither the mounts nor
// any other namespace that it is in.
//
// Source paths are opened before the new tree is entered, and places in the new
// tree are looked up with its root as their root: a link that leads out of it
// leads nowhere.
//
// # What holds the program
//
// It has no capability, none in its bounding set, and cannot gain any
// (no_new_privs). Filter lists the system calls that it is refused. Where the
// kernel has Landlock with the right to move files between directories (ABI 2),
// writing is confined once more to the mounts that are writable and to the files
// that it was given as its input and output; since ABI 6 also signals and
// abstract sockets end at the sandbox. Where the kernel has none, the namespaces
// hold alone. It writes no core file and has MaxProcesses at most, unless its
// uid is the machine's root, for whom the kernel keeps no such count.
//
// Each process ends with the one before it: by the signal that the kernel sends
// at the death of a parent, and because nothing in a pid namespace outlives its
// first process. The status descriptor gets the lines that bubblewrap writes
// ("child-pid", "exit-code"), and "error", a sentence, when the program was not
// started. Any step that fails ends all: there is no part that may be missing.
package jail
