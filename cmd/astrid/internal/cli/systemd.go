package cli

import (
	"net"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"astrid/kernel/fault"
	"astrid/kernel/view"
)

// activated is the socket that systemd has bound and handed over; nil when it
// has not.
func activated() (*net.UnixListener, error) {
	listeners, err := activation.Listeners()
	switch {
	case err != nil:
		return nil, fault.Wrap(fault.KindOf(err), err, "take the socket from systemd")
	case len(listeners) == 0:
		return nil, nil
	}
	l, ok := listeners[0].(*net.UnixListener)
	if !ok || len(listeners) > 1 {
		return nil, fault.New(fault.Usage, "systemd hands over %d sockets; one Unix stream socket, ListenStream=%%h/.astrid/sessions/system.sock, is what a kernel takes", len(listeners))
	}
	return l, nil
}

// shedDescriptors closes what was left open by accident; what systemd hands over
// was not.
func (a *app) shedDescriptors() error {
	if a.Getenv("LISTEN_FDS") != "" {
		return nil
	}
	return view.ShedDescriptors()
}

// notify tells systemd, if it wants to know, that the kernel is ready, or ends.
func (a *app) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.log().Warn("systemd was not told", "state", state, "err", err)
	}
}

// withoutSystemd is the environment of children, for which neither the socket
// nor the notifications are meant.
func withoutSystemd(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		return strings.HasPrefix(v, "LISTEN_") || strings.HasPrefix(v, "NOTIFY_SOCKET=")
	})
}
