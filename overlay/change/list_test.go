package change_test

import (
	"testing"

	"astrid/overlay/change"
)

func TestList(t *testing.T) {
	base := map[string]string{
		"a/f": "one\n", "a/g": "two\n", "a/sub/x": "x\n", "d/1": "1", "d/2": "2", "d/e/3": "3",
		"file": "text\n", "link": "-> file", "other": "o", "emptydir/": "", "run.sh": "#!/bin/sh\n",
	}
	for _, c := range []struct{ name, script, want string }{
		{"nothing", "cat file", ""},
		{"a new file", "echo hi >new", "A new\n"},
		{"a new directory with a file", "mkdir -p n/m; echo >n/m/f", "A n\nA n/m\nA n/m/f\n"},
		{"other bytes", "echo more >>file", "M file\n"},
		{"identical bytes", "echo text >file", ""},
		{"identical bytes by a new file", "echo text >t; mv t file", ""},
		{"a save by rename", "echo other >t; mv t file", "M file\n"},
		{"a save with backup", "mv file file~; echo other >file", "A file\nR file~ < file\n"},
		{"a mode", "chmod 755 run.sh", "m run.sh\n"},
		{"a mode there and back", "chmod 755 run.sh; chmod 644 run.sh", ""},
		{"a time", "touch -d 2001-01-01 file", "m file\n"},
		{"an attribute", "setfattr -n user.a -v b file", "m file\n"},
		{"a removed file", "rm a/f", "D a/f\n"},
		{"a removed directory", "rm -r d", "D d\nD d/1\nD d/2\nD d/e\nD d/e/3\n"},
		{"a moved file", "mv file elsewhere", "R elsewhere < file\n"},
		{"a moved file with other bytes", "mv file elsewhere; echo >>elsewhere", "R elsewhere < file\n"},
		{"a moved directory", "mv a z", "R z < a\n"},
		{"a change in a moved directory", "mv a z; echo >z/f; rm z/g; echo >z/new", "R z < a\nM z/f\nD z/g\nA z/new\n"},
		{"a move within a moved directory", "mv a z; mv z/f z/h", "R z < a\nR z/h < a/f\n"},
		{"a move out of a removed directory", "mv d/1 one; rm -r d", "D d\nD d/2\nD d/e\nD d/e/3\nR one < d/1\n"},
		{"a directory moved out of a removed one", "mv d/e e; rm -r d", "D d\nD d/1\nD d/2\nR e < d/e\n"},
		{"a moved directory and a new one in its place", "mv d dd; mkdir d; echo >d/1", "A d\nA d/1\nR dd < d\n"},
		{"a move there and back", "mv d x; mv x d", ""},
		{"a directory made anew", "rm -r d; mkdir -p d/e; printf 1 >d/1; printf X >d/2", "M d/2\nD d/e/3\n"},
		{"a directory made anew with what was in it", "mkdir t; mv d/1 t/1; rm -r d; mv t d", "D d/2\nD d/e\nD d/e/3\n"},
		{"a swap", "mv a t; mv d a; mv t d", "R a < d\nR d < a\n"},
		{"a move over a file", "mv other file", "R file < other\n"},
		{"a move over a directory", "rm -r d; mv a d", "R d < a\nD d/1\nD d/2\nD d/e\nD d/e/3\n"},
		{"a file becomes a directory", "rm file; mkdir file; echo >file/in", "T file\nA file/in\n"},
		{"a directory becomes a file", "rm -r d; echo >d", "T d\nD d/1\nD d/2\nD d/e\nD d/e/3\n"},
		{"a file becomes a link", "rm file; ln -s other file", "T file\n"},
		{"another target", "ln -sfn other link", "M link\n"},
		{"the same target", "ln -sfn file link", ""},
		{"a link", "ln file hard", "A hard (link to file)\n"},
		{"two new names", "echo >n1; ln n1 n2", "A n1\nA n2 (link to n1)\n"},
		{"a fifo", "mkfifo p", "A p\n"},
		{"the root's mode", "chmod 711 .", "m .\n"},
		{"order", "mkdir b; echo >b/x; echo >b-c; echo >b.d", "A b\nA b/x\nA b-c\nA b.d\n"},
		{"a chain", "mv other o2; mv file other; mv a/f file", "R file < a/f\nR o2 < other\nR other < file\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			plant(t, dir, base)
			v := newView(t, dir)
			v.sh(c.script)
			if got := lines(v.list(change.Options{})); got != c.want {
				t.Errorf("%s\n got:\n%s want:\n%s", c.script, got, c.want)
			}
		})
	}
}
