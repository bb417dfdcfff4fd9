package cmdline

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Watch tells systemd by notify that the process stops, once ctx has ended, and, if
// it wants to know, that the process lives, until done is closed: alive returns if
// it does.
func Watch(ctx context.Context, done <-chan struct{}, alive func(), notify func(state string)) {
	var tick <-chan time.Time
	if every, err := daemon.SdWatchdogEnabled(false); err == nil && every > 0 {
		ticker := time.NewTicker(every / 2)
		defer ticker.Stop()
		tick = ticker.C
	}
	over := ctx.Done()
	for {
		select {
		case <-tick:
			alive()
			notify(daemon.SdNotifyWatchdog)
		case <-over:
			over = nil
			notify(daemon.SdNotifyStopping)
		case <-done:
			return
		}
	}
}
