package command

import (
	"context"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"share/relay"
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

// watch tells systemd that the relay stops once ctx has ended and, if it wants
// to know, that the relay lives, until done is closed.
func (r *serving) watch(ctx context.Context, rel *relay.Relay, done <-chan struct{}) {
	var alive <-chan time.Time
	if every, err := daemon.SdWatchdogEnabled(false); err == nil && every > 0 {
		ticker := time.NewTicker(every / 2)
		defer ticker.Stop()
		alive = ticker.C
	}
	over := ctx.Done()
	for {
		select {
		case <-alive:
			rel.Alive()
			r.notify(daemon.SdNotifyWatchdog)
		case <-over:
			over = nil
			r.notify(daemon.SdNotifyStopping)
		case <-done:
			return
		}
	}
}
