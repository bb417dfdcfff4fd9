package command

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/daemon"

	"share/agent"
	"share/tunnel/cmdline"
)

// service tells systemd how the tunnel does, if systemd waits to be told.
type service struct {
	warn func(message string)

	mu     sync.Mutex
	ready  bool // systemd knows; guarded by mu
	failed bool // what it was told last has not arrived; guarded by mu
}

// observe tells of e. It may be called from any goroutine.
func (s *service) observe(e agent.Event) {
	switch e.Kind {
	case agent.EventReady:
		s.notify(s.first() + "STATUS=" + line(e.URL))
	case agent.EventReconnecting:
		s.notify("STATUS=reconnecting: " + line(e.Reason))
	}
}

// first returns what says that the tunnel is ready, once.
func (s *service) first() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready {
		return ""
	}
	s.ready = true
	return daemon.SdNotifyReady + "\n"
}

// watch tells that the agent lives, and, once ctx has ended, that it stops, until
// the function that it returns is called.
func (s *service) watch(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { cmdline.Watch(ctx, done, func() {}, s.notify) })
	return func() {
		close(done)
		wg.Wait()
	}
}

// notify tells systemd. It warns when that begins to fail, and not each time: an agent
// that lives says so for months.
func (s *service) notify(state string) {
	_, err := daemon.SdNotify(false, state)
	s.mu.Lock()
	news := err != nil && !s.failed
	s.failed = err != nil
	s.mu.Unlock()
	if news {
		s.warn(fmt.Sprintf("systemd cannot be told %q: %v", state, err))
	}
}

// line makes what a peer wrote one line: systemd takes each line for a variable.
func line(s string) string { return strings.Join(strings.Fields(s), " ") }
