package view

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

func TestShedDescriptorsClosesWhatCameWithExec(t *testing.T) {
	if os.Getenv("SHED") == "1" {
		shed(t)
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "SHED=1")
	cmd.ExtraFiles = []*os.File{w}
	out, err := cmd.CombinedOutput()
	w.Close()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// shed runs in the child: descriptor 3 is an accident, its own files are not.
func shed(t *testing.T) {
	own, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if err := ShedDescriptors(); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(3, unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("descriptor 3 is still there: %v", err)
	}
	if _, err := own.Stat(); err != nil {
		t.Errorf("the process's own file was closed: %v", err)
	}
}
