package jail

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// refused are the system calls that answer EPERM: what reaches into the kernel
// and has no use in a build. Most ask for a capability anyway; the filter keeps
// a fault in one of them from being a way out.
func refused() []string {
	return []string{
		"add_key", "request_key", "keyctl",
		"bpf", "userfaultfd", "perf_event_open", "fanotify_init", "lookup_dcookie", "nfsservctl",
		"kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "create_module",
		"mount", "umount", "umount2", "pivot_root", "chroot", "setns", "open_by_handle_at", "pidfd_getfd",
		"open_tree", "open_tree_attr", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
		"swapon", "swapoff", "reboot", "acct", "quotactl", "quotactl_fd", "syslog", "vhangup",
		"settimeofday", "stime", "clock_settime", "clock_settime64", "ioperm", "iopl", "vm86", "vm86old",
	}
}

// unknown are those that a kernel may lack, so that programs have another way:
// io_uring, and the clone whose flags a filter cannot see.
func unknown() []string {
	return []string{"io_uring_setup", "io_uring_enter", "io_uring_register", "clone3"}
}

// Filter is the filter of system calls, in the form that the kernel and
// bubblewrap take; nil on a processor for which there is none. Without net it
// also refuses sockets of families that no network namespace holds.
func Filter(net bool) []byte {
	var out bytes.Buffer
	for _, in := range instructions(net) {
		// Never fails: a buffer takes everything.
		_ = binary.Write(&out, binary.NativeEndian, in)
	}
	return out.Bytes()
}

// abis are the sets of system calls that this kernel may offer.
func abis() []*arch.Info {
	switch runtime.GOARCH {
	case "amd64":
		return []*arch.Info{arch.X86_64, arch.I386}
	case "arm64":
		return []*arch.Info{arch.AARCH64, arch.ARM}
	}
	return nil
}

// Where the kernel puts what a filter judges.
const (
	offNumber = 0
	offABI    = 4
	offArgs   = 16
)

// argument is the offset of the lower half of an argument; the kernel drops the
// upper one of those that are looked at here.
func argument(n uint32) uint32 { return offArgs + 8*n }

func instructions(net bool) []unix.SockFilter {
	if abis() == nil {
		return nil
	}
	program := []unix.SockFilter{loadWord(offABI)}
	for _, abi := range abis() {
		block := judge(abi, net)
		program = append(program, jump(unix.BPF_JEQ, uint32(abi.ID), 1, 0), skip(len(block)))
		program = append(program, block...)
	}
	return append(program, fail(unix.ENOSYS))
}

// x32 is the bit of the calls of an ABI that hides behind another one's name.
const x32 = 0x40000000

// judge decides on the calls of one ABI.
func judge(abi *arch.Info, net bool) []unix.SockFilter {
	block := []unix.SockFilter{loadWord(offNumber)}
	if abi == arch.X86_64 {
		block = append(block, jump(unix.BPF_JGE, x32, 0, 1), fail(unix.ENOSYS))
	}
	add := func(name string, verdict ...unix.SockFilter) {
		if number, ok := abi.SyscallNames[name]; ok {
			block = append(block, jump(unix.BPF_JEQ, uint32(number), 0, uint8(len(verdict))))
			block = append(block, verdict...)
		}
	}
	for _, name := range refused() {
		add(name, fail(unix.EPERM))
	}
	for _, name := range unknown() {
		add(name, fail(unix.ENOSYS))
	}
	for _, name := range []string{"clone", "unshare"} { // no user namespaces
		add(name, loadWord(argument(0)), jump(unix.BPF_JSET, unix.CLONE_NEWUSER, 0, 1), fail(unix.EPERM), allowed())
	}
	// Not into the first process, which the filter does not hold.
	add("ptrace", loadWord(argument(1)), jump(unix.BPF_JEQ, 1, 0, 1), fail(unix.EPERM), allowed())
	for _, name := range []string{"process_vm_readv", "process_vm_writev"} {
		add(name, loadWord(argument(0)), jump(unix.BPF_JEQ, 1, 0, 1), fail(unix.EPERM), allowed())
	}
	// No typing into the terminal that it may share with us.
	add("ioctl", loadWord(argument(1)), jump(unix.BPF_JEQ, unix.TIOCSTI, 1, 0), jump(unix.BPF_JEQ, unix.TIOCLINUX, 0, 1), fail(unix.EPERM), allowed())
	if !net {
		add("socket", families()...)
		add("socketcall", fail(unix.ENOSYS)) // its arguments cannot be seen
	}
	return append(block, allowed())
}

// families lets sockets be made that stay in the sandbox, and no others: a
// virtual machine's way to its host belongs to no network namespace.
func families() []unix.SockFilter {
	kept := []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}
	verdict := []unix.SockFilter{loadWord(argument(0))}
	for i, family := range kept {
		verdict = append(verdict, jump(unix.BPF_JEQ, family, uint8(len(kept)-i), 0))
	}
	return append(verdict, fail(unix.EAFNOSUPPORT), allowed())
}

func loadWord(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

// jump goes on after yes instructions when the condition holds, else after no.
func jump(condition uint16, value uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | condition | unix.BPF_K, K: value, Jt: yes, Jf: no}
}

func skip(n int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(n)}
}

func fail(errno unix.Errno) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)}
}

func allowed() unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
}

// load puts a filter on this thread, and on the program that it becomes.
func load(filter []byte) error {
	var program []unix.SockFilter
	for size := binary.Size(unix.SockFilter{}); len(filter) >= size; filter = filter[size:] {
		var in unix.SockFilter
		if _, err := binary.Decode(filter, binary.NativeEndian, &in); err != nil {
			return err
		}
		program = append(program, in)
	}
	if len(program) == 0 || len(program) > 4096 {
		return errors.New("there is no filter for this kind of processor")
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return os.NewSyscallError("prctl", errno)
	}
	return nil
}
