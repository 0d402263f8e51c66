package cli

import (
	"os"

	"golang.org/x/term"

	"astrid/kernel/fault"
	"astrid/kernel/home"
)

// Env is everything that a verb may know of its surroundings.
type Env struct {
	Stdin, Stdout, Stderr *os.File
	Getenv                func(string) string
	Environ               []string
	Exe                   string // this program
	Build                 string // what it was built from
}

// dir is the current directory as the user sees it. In a view whose server has
// died the machine cannot tell any more, and the shell's word is taken.
func (e *Env) dir() (string, error) {
	dir, err := os.Getwd()
	if err == nil {
		return dir, nil
	}
	if said := e.Getenv("PWD"); len(said) > 0 && said[0] == '/' {
		return said, nil
	}
	return "", fault.Wrap(fault.NotFound, err, "the current directory is gone; cd somewhere else and try again")
}

func (e *Env) home() (home.Home, error) { return home.Resolve(e.Getenv) }

// asks tells whether there is somebody to ask.
func (e *Env) asks() bool {
	return term.IsTerminal(int(e.Stdin.Fd())) && term.IsTerminal(int(e.Stderr.Fd()))
}

// coloured tells whether f is a terminal that wants colour.
func (e *Env) coloured(f *os.File) bool {
	return term.IsTerminal(int(f.Fd())) && e.Getenv("NO_COLOR") == "" && e.Getenv("TERM") != "dumb"
}
