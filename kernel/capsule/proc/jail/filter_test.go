package jail

import (
	"slices"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// call is a system call as the kernel shows it to a filter.
type call struct {
	abi    uint32
	number uint32
	args   [6]uint64
}

func (c call) word(offset uint32) uint32 {
	switch offset {
	case offNumber:
		return c.number
	case offABI:
		return c.abi
	}
	return uint32(c.args[(offset-offArgs)/8])
}

// run is what the kernel does with a filter: it returns the errno, 0 for a call
// that is allowed. It fails the test when the filter ends without a verdict.
func run(t *testing.T, program []unix.SockFilter, c call) unix.Errno {
	t.Helper()
	var a uint32
	for pc := 0; pc < len(program); pc++ {
		in := program[pc]
		taken := in.Jf
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = c.word(in.K)
			continue
		case unix.BPF_RET | unix.BPF_K:
			if in.K == unix.SECCOMP_RET_ALLOW {
				return 0
			}
			return unix.Errno(in.K & 0xffff)
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(in.K)
			continue
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			if a == in.K {
				taken = in.Jt
			}
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			if a >= in.K {
				taken = in.Jt
			}
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			if a&in.K != 0 {
				taken = in.Jt
			}
		default:
			t.Fatalf("instruction %d is %+v", pc, in)
		}
		pc += int(taken)
	}
	t.Fatalf("%+v: no verdict", c)
	return 0
}

func TestTheFilterOfEachABI(t *testing.T) {
	const vsock, high = 40, 1 << 32
	for name, c := range map[string]struct {
		call string
		args [6]uint64
		net  bool
		want unix.Errno
	}{
		"reading":                            {call: "read"},
		"starting a program":                 {call: "execve"},
		"mounting":                           {call: "mount", want: unix.EPERM},
		"the newer mounting":                 {call: "move_mount", want: unix.EPERM},
		"the last of the refused":            {call: "clock_settime", want: unix.EPERM},
		"io_uring":                           {call: "io_uring_setup", want: unix.ENOSYS},
		"a clone whose flags are unseen":     {call: "clone3", want: unix.ENOSYS},
		"a process":                          {call: "clone", args: [6]uint64{17}},
		"a user namespace":                   {call: "clone", args: [6]uint64{unix.CLONE_NEWUSER | 17}, want: unix.EPERM},
		"a user namespace among others":      {call: "unshare", args: [6]uint64{unix.CLONE_NEWNS | unix.CLONE_NEWUSER}, want: unix.EPERM},
		"files of a thread's own":            {call: "unshare", args: [6]uint64{unix.CLONE_FILES}},
		"the size of a terminal":             {call: "ioctl", args: [6]uint64{0, unix.TIOCGWINSZ}},
		"typing into a terminal":             {call: "ioctl", args: [6]uint64{0, unix.TIOCSTI}, want: unix.EPERM},
		"typing with bits that are dropped":  {call: "ioctl", args: [6]uint64{0, unix.TIOCSTI | high}, want: unix.EPERM},
		"pasting into a console":             {call: "ioctl", args: [6]uint64{0, unix.TIOCLINUX}, want: unix.EPERM},
		"tracing a child":                    {call: "ptrace", args: [6]uint64{16, 2}},
		"tracing the first process":          {call: "ptrace", args: [6]uint64{16, 1}, want: unix.EPERM},
		"writing into the first process":     {call: "process_vm_writev", args: [6]uint64{1 | high}, want: unix.EPERM},
		"a socket here":                      {call: "socket", args: [6]uint64{unix.AF_UNIX}},
		"a socket of the network":            {call: "socket", args: [6]uint64{unix.AF_INET6}},
		"a netlink socket":                   {call: "socket", args: [6]uint64{unix.AF_NETLINK}},
		"a socket to the host":               {call: "socket", args: [6]uint64{vsock}, want: unix.EAFNOSUPPORT},
		"a socket to the host, with network": {call: "socket", args: [6]uint64{vsock}, net: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, abi := range []*arch.Info{arch.X86_64, arch.I386, arch.AARCH64, arch.ARM} {
				number, ok := abi.SyscallNames[c.call]
				if !ok {
					t.Fatalf("%s has no %s", abi.Name, c.call)
				}
				if got := run(t, judge(abi, c.net), call{uint32(abi.ID), uint32(number), c.args}); got != c.want {
					t.Errorf("%s: %v, want %v", abi.Name, got, c.want)
				}
			}
		})
	}
}

func TestTheFilterKnowsItsABIsAndNoOthers(t *testing.T) {
	program := instructions(false)
	if program == nil {
		t.Skip("there is no filter for this processor")
	}
	for _, abi := range abis() {
		for name, want := range map[string]unix.Errno{"getpid": 0, "mount": unix.EPERM} {
			if got := run(t, program, call{abi: uint32(abi.ID), number: uint32(abi.SyscallNames[name])}); got != want {
				t.Errorf("%s of %s: %v", name, abi.Name, got)
			}
		}
	}
	if got := run(t, program, call{abi: 1}); got != unix.ENOSYS {
		t.Errorf("an unknown ABI: %v", got)
	}
	if got := run(t, judge(arch.X86_64, false), call{number: x32 | 39}); got != unix.ENOSYS {
		t.Errorf("x32: %v", got)
	}
}

// A name that is misspelt would be refused nowhere.
func TestEveryRefusedCallIsOne(t *testing.T) {
	for _, name := range slices.Concat(refused(), unknown(), []string{"socketcall"}) {
		_, amd64 := arch.X86_64.SyscallNames[name]
		_, i386 := arch.I386.SyscallNames[name]
		if !amd64 && !i386 {
			t.Errorf("there is no system call %s", name)
		}
	}
}
