//go:build unix

package command

import (
	"os"
	"os/signal"
	"syscall"

	"share/relay"
)

// followSignals reloads files at SIGHUP and upgrades at SIGUSR2, until stop.
func (r *serving) followSignals(rel *relay.Relay) (stop func()) {
	n := &renewal{serving: r, relay: rel}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2)
	ended := make(chan struct{})
	go func() { // stop waits for it
		defer close(ended)
		for sig := range signals {
			switch sig {
			case syscall.SIGHUP:
				n.reload()
			default:
				go n.upgrade() // ends with the new process, or with this one
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-ended
	}
}
