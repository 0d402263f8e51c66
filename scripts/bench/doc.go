// Command bench measures, in one interleaved run, a plain directory, kernel
// overlayfs, fuse-overlayfs and Astrid's view over the same base, all of them at
// the same path, and prints a table in markdown.
//
//	make bench
//	scripts/bench/run --rounds 3 --only 'create|unlink'
//
// # How it measures
//
// The base is a copy of GOROOT/src made into a git repository, with generated
// files for what source trees do not have. In every round every system starts
// from that base with nothing changed and runs all rows; the order of systems is
// rotated from round to round. Before each row what is dirty is written back,
// untimed. A row called "first" has a mount of its own that nobody has used, over
// a base that is in the page cache; other rows find what was used before.
//
// The plain directory is a copy of the base, so its copy-up rows cost nothing:
// there overlayfs is the one to compare with. Ratios are taken within a round,
// and the table shows their median and [least-greatest]. Where that spread is
// wide, a ratio below 1.5 means nothing.
//
// Rows whose names begin with boot, op, audit or bus are of the kernel by itself
// and have a table of their own; that of a home with 1 GB of state is measured
// only when --only asks for it.
//
// The rows "peers" set our bus beside others; the directory peers says how. They
// too are measured only when --only asks for them.
//
// The rows "capsule" are of capsules in a kernel, and of guests and MCP tools beside
// the Extism SDK and the MCP SDK alone (scripts/oracle/bench); they too are measured
// only when --only asks for them.
//
// The rows "back" are of commits, undos, checkpoints, rollbacks and forks, beside cp and
// rsync of the same files; likewise.
//
// It imports nothing of Astrid and drives the built program. Mounting overlayfs
// and binding all systems to one path takes root; what cannot be mounted is left
// out, with a line that says so.
package main
