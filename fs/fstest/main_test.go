package fstest

import (
	"strings"
	"testing"
)

// This package's own TestMain does not call Main, as somebody may forget to.
func TestCommandNeedsMain(t *testing.T) {
	err := Command("umask", t.TempDir()).Run()
	if err == nil || !strings.Contains(err.Error(), "fstest.Main") {
		t.Errorf("got %v", err)
	}
}
