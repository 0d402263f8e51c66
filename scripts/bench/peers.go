package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
)

// peersRow is the name of what the module peers measures.
const peersRow = "peers: messages by our bus, a Go channel, NATS and D-Bus"

// selectedPeers tells whether --only asks for the peers, which come from elsewhere
// and take a while to build.
func selectedPeers(only *regexp.Regexp) bool {
	return only.MatchString(peersRow) && !only.MatchString("")
}

// peers builds and runs the module that knows them.
func peers(ctx context.Context, opt options) error {
	cmd := exec.CommandContext(ctx, "go", "run", "-C", "scripts/bench/peers", "-buildvcs=false", ".", "-rounds", fmt.Sprint(opt.rounds), "-astrid", opt.astrid)
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=local", "TMPDIR="+opt.dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
