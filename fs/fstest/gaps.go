package fstest

// posixGaps are tests of posixtest that no mount of ours passes.
var posixGaps = Gaps{
	"FcntlFlockLocksFile": "expects one process's POSIX lock to refuse another of the same process; no file system does that",
}
