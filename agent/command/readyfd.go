package command

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"share/agent"
	"share/tunnel/cmdline"
)

const (
	// maxFD bounds the number of a descriptor: no shell opens one beyond it.
	maxFD = 1<<16 - 1

	// readyFlush is how long close waits for a reader who has stopped reading.
	readyFlush = time.Second
)

// readyFD is the descriptor that whoever started the process has opened to learn
// when the tunnel is ready.
type readyFD struct {
	number int // 0 if there is none
	file   *os.File
	urls   chan string   // holds one for each relay
	done   chan struct{} // closed when run has returned

	mu   sync.Mutex
	told map[string]bool // the relays whose URL was; guarded by mu
}

func (r *readyFD) flags() []cli.Flag {
	return []cli.Flag{
		cmdline.Value("ready-fd", "write the URL and a newline to the open descriptor `N` when the tunnel is ready, and close it; for several relays a line each", cmdline.Number(&r.number, 3, maxFD)),
	}
}

// open takes the descriptor over; so many relays will have a URL. What goes wrong
// from then on is told to warn. The error is a *cmdline.Error.
func (r *readyFD) open(relays int, warn func(message string)) (err error) {
	if r.number == 0 {
		return nil
	}
	if r.file, err = inherit(r.number); err != nil {
		return cmdline.Unusable(fmt.Sprintf("open it for writing, as a shell does with %d>FILE, or use --url-file", r.number), fmt.Errorf("--ready-fd %d: %w", r.number, err))
	}
	r.urls, r.done, r.told = make(chan string, relays), make(chan struct{}), make(map[string]bool)
	go func() { // close waits for it, unless nobody reads: then the process ends it
		defer close(r.done)
		if err := r.run(relays); err != nil {
			warn(fmt.Sprintf("the URL could not be told by --ready-fd: %v", err))
		}
	}()
	return nil
}

// run writes the URLs until all relays have theirs, or close, and closes the
// descriptor.
func (r *readyFD) run(relays int) error {
	defer r.file.Close()
	for range relays {
		url, ok := <-r.urls
		if !ok {
			return nil
		}
		if _, err := r.file.WriteString(url + "\n"); err != nil {
			return err
		}
	}
	return nil
}

// observe has a URL written that is ready for the first time. It never blocks, and
// may be called from any goroutine until close.
func (r *readyFD) observe(e agent.Event) {
	if e.Kind != agent.EventReady || r.file == nil {
		return
	}
	r.mu.Lock()
	told := r.told[e.Relay]
	r.told[e.Relay] = true
	r.mu.Unlock()
	if told {
		return
	}
	select {
	case r.urls <- e.URL:
	default: // there are no more relays than that
	}
}

// close closes the descriptor, after what there is to write.
func (r *readyFD) close() {
	if r.file == nil {
		return
	}
	close(r.urls)
	select {
	case <-r.done:
	case <-time.After(readyFlush):
	}
}
