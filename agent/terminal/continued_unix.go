//go:build unix

package terminal

import (
	"os"
	"os/signal"
	"syscall"
)

// continued gets a token when the process was stopped and goes on.
func continued() (_ <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGCONT)
	return c, func() { signal.Stop(c) }
}
