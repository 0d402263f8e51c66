package home

import "astrid/kernel/fault"

// maxSocket is the size of sun_path, in which a path ends with a zero byte.
func maxSocket(goos string) int {
	if goos == "linux" {
		return 108
	}
	return 104
}

// CheckSocket refuses, with Kind Usage, a socket path that the system cannot
// bind nor reach.
func CheckSocket(path, goos string) error {
	if limit := maxSocket(goos); len(path) >= limit {
		return fault.New(fault.Usage, "the socket path %s has %d bytes, the limit is %d: choose a shorter ASTRID_HOME", path, len(path), limit-1)
	}
	return nil
}
