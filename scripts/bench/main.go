package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
)

// options are the flags.
type options struct {
	rounds int
	big    int // MiB
	only   *regexp.Regexp
	json   bool
	list   bool
	astrid string
	dir    string
	source string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	opt, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(ctx, opt)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (opt options, err error) {
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.IntVar(&opt.rounds, "rounds", 3, "how often each row is measured on each system")
	set.IntVar(&opt.big, "big", 1024, "size of the big files, in MiB")
	only := set.String("only", "", "measure the rows whose name matches this `regexp`")
	set.BoolVar(&opt.json, "json", false, "print every sample of the views as JSON instead of tables")
	set.BoolVar(&opt.list, "list", false, "print the names of the rows and measure nothing")
	set.StringVar(&opt.astrid, "astrid", "bin/astrid", "the program to measure")
	set.StringVar(&opt.dir, "dir", os.TempDir(), "where the scratch directory is made")
	set.StringVar(&opt.source, "source", "", "the source tree to work on (default GOROOT/src)")
	if err := set.Parse(args); err != nil {
		return opt, err
	}
	if set.NArg() > 0 || opt.rounds < 1 || opt.big < 8 {
		return opt, errors.New("no arguments, at least one round, and --big of at least 8 (see --help)")
	}
	if opt.only, err = regexp.Compile(*only); err != nil {
		return opt, err
	}
	opt.astrid, err = filepath.Abs(opt.astrid)
	return opt, err
}

func run(ctx context.Context, opt options) error {
	rows, ofKernel := selected(opt.only), selectedKernel(opt.only)
	switch {
	case opt.list:
		for _, r := range rows {
			fmt.Println(r.name)
		}
		for _, r := range ofKernel {
			fmt.Println(r.name)
		}
		fmt.Println(besideRow)
		fmt.Println(peersRow)
		return nil
	case onlyAsks(opt.only, besideRow) && !opt.json:
		if err := beside(ctx, opt); err != nil || len(rows)+len(ofKernel) == 0 {
			return err
		}
	case selectedPeers(opt.only) && !opt.json:
		if err := peers(ctx, opt); err != nil || len(rows)+len(ofKernel) == 0 {
			return err
		}
	case len(rows)+len(ofKernel) == 0:
		return fmt.Errorf("no row matches %s (see --list)", opt.only)
	}
	if len(ofKernel) > 0 && !opt.json {
		if err := kernels(ctx, opt, ofKernel, os.Stdout); err != nil || len(rows) == 0 {
			return err
		}
	}
	b, err := newBench(ctx, opt)
	if err != nil {
		return err
	}
	err = b.measure(ctx, rows)
	if cleanErr := b.clean(); err == nil {
		err = cleanErr
	}
	if err != nil {
		return err
	}
	if opt.json {
		return b.result.printJSON(os.Stdout)
	}
	return b.result.printTable(os.Stdout)
}

func selected(only *regexp.Regexp) (rows []row) {
	for _, r := range table() {
		if only.MatchString(r.name) {
			rows = append(rows, r)
		}
	}
	return rows
}
