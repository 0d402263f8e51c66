package jail

import (
	"bytes"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// obstacle names the setting of this machine that explains why a user namespace
// was not made or is of no use, and what to do, for the end of a sentence; "" when
// err is of another kind.
func obstacle(err error) string {
	none := setting("user/max_user_namespaces") == "0"
	switch {
	case none || errors.Is(err, unix.ENOSPC):
		return "; the sysctl user.max_user_namespaces allows no further user namespace: raise it as root"
	case !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES):
		return ""
	case os.Geteuid() != 0 && setting("kernel/unprivileged_userns_clone") == "0":
		return "; the sysctl kernel.unprivileged_userns_clone is 0: set it to 1 as root"
	case setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
		return "; the sysctl kernel.apparmor_restrict_unprivileged_userns is 1: set it to 0 as root, give astrid an AppArmor profile with userns, or install bubblewrap if its package brings one"
	}
	return "; user namespaces are forbidden here: in a container, allow them by its seccomp and AppArmor profiles"
}

// setting is the value of a sysctl, "" when there is none.
func setting(name string) string {
	data, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(data))
}
