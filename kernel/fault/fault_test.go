package fault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"
)

func TestTableIsTotal(t *testing.T) {
	codes, errnos := map[string]Kind{}, map[syscall.Errno]Kind{}
	for _, k := range All() {
		if k != Internal && k.Code() == Internal.Code() {
			t.Errorf("kind %d has no row", k)
		}
		if k.Code() == "" || k.Errno() == 0 || k.Exit() < 1 || k.Exit() > 6 {
			t.Errorf("kind %d has an incomplete row: %+v", k, k.row())
		}
		if other, taken := codes[k.Code()]; taken {
			t.Errorf("kinds %d and %d share the code %q", other, k, k.Code())
		}
		if other, taken := errnos[k.Errno()]; taken {
			t.Errorf("kinds %d and %d share the errno %v", other, k, k.Errno())
		}
		codes[k.Code()], errnos[k.Errno()] = k, k
		if got := FromCode(k.Code()); got != k {
			t.Errorf("FromCode(%q) = %d, want %d", k.Code(), got, k)
		}
		if k.String() != k.Code() {
			t.Errorf("kind %d prints as %q", k, k.String())
		}
	}
	if FromCode("no such word") != Internal {
		t.Error("an unknown code is not Internal")
	}
	if past := Kind(200); past.Code() != "internal" || past.Exit() != 1 {
		t.Error("a Kind beyond the table is not Internal")
	}
}

func TestErrnoRoundTrip(t *testing.T) {
	for _, k := range All() {
		if k == HeldBack { // EPERM from a system call means that somebody was refused
			continue
		}
		if got := KindOf(fmt.Errorf("open x: %w", k.Errno())); got != k {
			t.Errorf("errno %v of kind %v comes back as %v", k.Errno(), k, got)
		}
	}
}

func TestExitCodesAreThePublishedOnes(t *testing.T) {
	want := map[Kind]int{Usage: 2, Conflict: 3, NotRunning: 4, Busy: 5, Unavailable: 5, HeldBack: 6}
	for _, k := range All() {
		w, special := want[k]
		if !special {
			w = 1
		}
		if k.Exit() != w {
			t.Errorf("%v exits with %d, want %d", k, k.Exit(), w)
		}
	}
	if ExitOf(nil) != 0 {
		t.Error("no error does not exit with 0")
	}
}

func TestKindOf(t *testing.T) {
	cases := map[string]struct {
		err  error
		want Kind
	}{
		"a plain error is internal":           {errors.New("x"), Internal},
		"an Error has its kind":               {New(Conflict, "moved"), Conflict},
		"the outermost Error wins":            {Wrap(Busy, New(Conflict, "moved"), "commit"), Busy},
		"an Error below fmt wrapping is seen": {fmt.Errorf("commit: %w", New(Limit, "big")), Limit},
		"an Error wins over its errno":        {New(Usage, "read: %w", syscall.EIO), Usage},
		"a path error has its errno's kind":   {&fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, NotFound},
		"a full quota is no space":            {syscall.EDQUOT, NoSpace},
		"a read-only disk denies":             {syscall.EROFS, Denied},
		"a cancelled context interrupts":      {context.Canceled, Interrupted},
		"a deadline is unavailable":           {context.DeadlineExceeded, Unavailable},
		"a socket deadline is unavailable":    {os.ErrDeadlineExceeded, Unavailable},
		"nobody listens: not running":         {syscall.ECONNREFUSED, NotRunning},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := KindOf(c.err); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if !Is(c.err, c.want) || Is(nil, c.want) {
				t.Error("Is disagrees with KindOf")
			}
		})
	}
}

func TestCauseIsKeptAndShownOnce(t *testing.T) {
	cause := errors.New("disk on fire")
	for name, err := range map[string]error{
		"New":         New(Internal, "write log: %w", cause),
		"New, two":    New(Internal, "write %w: %w", errors.New("log"), cause),
		"New, middle": New(Internal, "write log: %w (again)", cause),
		"Wrap":        Wrap(Internal, cause, "write %s", "log"),
	} {
		if !errors.Is(err, cause) {
			t.Errorf("%s: the cause is lost", name)
		}
	}
	if got := New(Internal, "write log: %w", cause).Error(); got != "write log: disk on fire" {
		t.Errorf("New says %q", got)
	}
	if got := Wrap(Internal, cause, "write %s", "log").Error(); got != "write log: disk on fire" {
		t.Errorf("Wrap says %q", got)
	}
	if got := Wrap(Internal, nil, "write log").Error(); got != "write log" {
		t.Errorf("Wrap of nil says %q", got)
	}
	if e := New(Usage, "plain").(*Error); e.Err != nil {
		t.Error("a cause out of nowhere")
	}
}
