package sdk

import "embed"

// Files are the sources of this package, for capsules that bring it along.
func Files() *embed.FS { return &files }

//go:embed *.go loop/*.go
var files embed.FS
