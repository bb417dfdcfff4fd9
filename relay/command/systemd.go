package command

import (
	"fmt"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"share/tunnel/cmdline"
)

// activate takes the sockets that systemd has opened for this process, if it has.
func (r *serving) activate() error {
	for _, f := range activation.Files(true) {
		name := f.Name()
		if err := r.addresses.Sockets.Activate(name, f); err != nil {
			return cmdline.Unusable("a .socket unit of a relay has ListenStream, or ListenDatagram for dns", fmt.Errorf("systemd's socket: %w", err))
		}
	}
	return nil
}

// notify tells systemd, if it waits to be told.
func (r *serving) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		r.relay.Logger.Warn("systemd cannot be told", "state", state, "error", err.Error())
	}
}

// notifyReloading tells systemd that files are read anew, until the function that
// it returns is called.
func (r *serving) notifyReloading() (done func()) {
	r.notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	return func() { r.notify(daemon.SdNotifyReady) }
}
