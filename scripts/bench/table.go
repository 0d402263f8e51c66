package main

import (
	"context"
	"io"
	"os/exec"
)

// table is every row, in the order in which they run and are printed. Rows that
// only read come first: what they measure is the base as it is.
func table() []row {
	return []row{
		{name: "find -ls, first", fresh: true, do: program("find", ".", "-path", "./.git", "-prune", "-o", "-ls")},
		{name: "find -ls, warm", times: 3, do: program("find", ".", "-path", "./.git", "-prune", "-o", "-ls")},
		{name: "find by name, warm", times: 3, do: program("find", ".", "-name", "*_test.go")},
		{name: "stat every file, warm", times: 5, prepare: statAll, do: statAll},
		{name: "open-read-close 10k files, first", fresh: true, do: readAll},
		{name: "open-read-close 10k files, warm", times: 3, do: readAll},
		{name: "git status, first", fresh: true, do: program("git", "status", "--porcelain")},
		{name: "git status, warm", times: 5, do: program("git", "status", "--porcelain")},
		{name: "read a big file, warm", times: 3, prepare: readBig, do: readBig},

		{name: "create 10k x 1 KiB", prepare: forget("made"), do: create},
		{name: "rename 10k", prepare: filled("a"), do: rename},
		{name: "unlink 10k", prepare: filled("b"), do: unlink},
		{name: "mkdir and rmdir 2k", prepare: made, do: directories},
		{name: "untar the source tree", prepare: emptyTree, do: untar},
		{name: "rm -rf it", prepare: untarred, do: removeTree},

		{name: "copy-up 2k x 4 KiB (append 1 B)", do: copyUp},
		{name: "write 1 B into a big base file", do: writeByte},
		{name: "chmod a base file (1/8 of that)", do: chmod},
		{name: "mv a base directory", do: program("mv", "net", "moved")},

		{name: "write a big file, fsync", prepare: forget("made", "written"), do: writeBig},
		{name: "append 50k x 100 B", prepare: forget("made", "log"), do: appendLines},
		{name: "write 4 KiB at random, 20k times", prepare: randomFile, do: writeRandom},
	}
}

// program is a row that runs a program in the root of the tree and throws away
// what it prints.
func program(argv ...string) func(context.Context, *scene) error {
	return func(ctx context.Context, s *scene) error {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, io.Discard, io.Discard
		return cmd.Run()
	}
}
