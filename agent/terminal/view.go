// Package terminal is what a person types and sees. It reads command lines, and
// it shows an agent's events: at a terminal, as one-line logs, or as JSON for
// scripts. What it writes is a function of the events alone, and no byte of a
// visitor or a target can steer a terminal or forge a line.
package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/charmbracelet/lipgloss"

	"share/agent"
	"share/tunnel"
)

// A Mode says for whom events are shown.
type Mode uint8

const (
	Plain Mode = iota // the URL on Stdout, one-line logs on Stderr
	JSON              // events on Stdout, one JSON object a line; JSON logs on Stderr
	Quiet             // the URL on Stdout, errors on Stderr
	Live              // nothing on Stdout, request lines and a box or blocks on Stderr
)

// Config says how a View shows events. Only Stdout and Stderr must be set.
type Config struct {
	Mode   Mode
	Stdout io.Writer
	Stderr io.Writer

	// Target is the target as the user named it.
	Target string

	// URLFile is a file that holds the URL and a newline while the tunnel is
	// ready: a line for each relay, if there are several. It is never seen
	// half-written. If empty, none is written.
	URLFile string

	// Unread is called when nobody reads Stdout or Stderr any more, perhaps more
	// than once. SIGPIPE ends the process no more then.
	// If nil, it does.
	Unread func()

	// Level is the least level of the logs in the modes that have any.
	// If nil, slog.LevelInfo.
	Level slog.Leveler

	// Renderer makes the colours of Live. If nil, there are none.
	Renderer *lipgloss.Renderer

	// Width gives the terminal's width for Live, 0 if it is not known.
	// If nil, it is not known.
	Width func() int

	// ASCII keeps Live to ASCII.
	ASCII bool

	// Terminal is where Live keeps a box below the lines, the file that Stderr
	// is. If nil, or if that fails, there are blocks between the lines.
	Terminal *os.File

	// Term is the terminal's type.
	Term string

	// Keys is a terminal whose keys the box heeds: it is in raw mode until
	// Close. If nil, there are no keys.
	Keys *os.File

	// Interrupt is what ctrl+c does. It must be set if Keys is.
	Interrupt func()

	// Browse opens a URL in the user's browser. Its error is shown as it is. If
	// nil, there is no key for that.
	Browse func(url string) error

	// SendOwnHost has the target see its own Host, which a key is for once it has
	// refused the visitors'. If nil, there is none.
	SendOwnHost func()

	// QR shows the URL as a QR code below the box from the start, if there is room.
	QR bool

	// Gauge looks at the agent for the box. If nil, it is not looked at.
	Gauge func() agent.Gauge

	// Tunnels looks at the tunnels of several, in the order in which the box is to
	// have them. If nil, there is one, whose events have no label.
	Tunnels func() []Tunnel
}

// silent reports whether nothing is shown of a request that ended so.
func (c *Config) silent(cause tunnel.Cause) bool {
	return c.Mode == Quiet || c.Mode == Plain && cause == tunnel.CauseNone && c.Level != nil && c.Level.Level() > slog.LevelInfo
}

// How many events wait for a slow reader. Requests are dropped first, so that
// the states that follow them are still shown.
const (
	maxRequests = 1 << 10
	maxEvents   = 2 << 10

	// maxLines is how many may wait when one more of Print's is taken.
	maxLines = 256
)

// A View shows events. Its methods are safe for concurrent use.
type View struct {
	cfg   Config
	show  func(*output, agent.Event)
	made  state // of what is ready, for the URL's file; owned by run
	urls  URLFile
	lossy bool // Stdout has not taken the last that was written to it; owned by run

	mu      sync.Mutex
	queue   []agent.Event // guarded by mu
	then    []func()      // to be called behind it; guarded by mu
	dropped int           // events lost since the last that were shown; guarded by mu
	missed  missed        // the requests among them, nil if there are none; guarded by mu
	closed  bool          // guarded by mu
	restore func()        // gives a terminal that was taken over its modes back, nil if none was; guarded by mu
	room    chan struct{} // closed when the queue is empty again; guarded by mu
	wake    chan struct{} // holds one token while there is something to do
	ending  chan struct{} // closed by finish
	done    chan struct{} // closed when run has returned
}

// Start returns a view that shows what it is given until Close.
func Start(cfg Config) *View {
	v := newView(cfg)
	if cfg.Unread != nil {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // the write fails as well
	}
	go func() { // Close waits for it
		v.run()
		close(v.done)
	}()
	return v
}

func newView(cfg Config) *View {
	v := &View{
		cfg:    cfg,
		urls:   URLFile{Path: cfg.URLFile},
		room:   make(chan struct{}),
		wake:   make(chan struct{}, 1),
		ending: make(chan struct{}),
		done:   make(chan struct{}),
	}
	switch cfg.Mode {
	case JSON:
		v.show = newJSON(cfg).show
	case Live:
		v.show = newLive(cfg).show
	default:
		v.show = newPlain(cfg).show
	}
	return v
}

// Show takes e, whose time is now if it has none, to be shown. It never blocks:
// when the reader of the output is too slow, events are dropped, and their
// number is shown later.
func (v *View) Show(e agent.Event) {
	if e.Kind == agent.EventRequest && v.cfg.silent(e.Cause) {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	v.mu.Lock()
	limit := maxEvents
	if e.Kind == agent.EventRequest || e.Kind == agent.EventOpen {
		limit = maxRequests
	}
	if v.closed || len(v.queue) >= limit {
		v.dropped++
		if e.Kind == agent.EventRequest {
			if v.missed == nil {
				v.missed = missed{}
			}
			v.missed.add(e)
		}
	} else {
		v.queue = append(v.queue, e)
	}
	v.mu.Unlock()
	v.signal()
}

// Print takes e as Show does, but waits for a slow reader, until ctx ends: what a
// program writes waits for who reads it, and is not lost.
func (v *View) Print(ctx context.Context, e agent.Event) {
	for {
		v.mu.Lock()
		room, full := v.room, len(v.queue) >= maxLines && !v.closed
		v.mu.Unlock()
		if !full {
			v.Show(e)
			return
		}
		select {
		case <-room:
		case <-ctx.Done():
			return
		}
	}
}

// Then has do called, by the goroutine that writes, once all that the view was given
// before is shown. It never blocks, and is for a view that is not closed.
func (v *View) Then(do func()) {
	v.mu.Lock()
	v.then = append(v.then, do)
	v.mu.Unlock()
	v.signal()
}

// Close shows how the agent stopped: by err, or else with code, for reason. It
// returns the exit code after all that the view was given is shown and the
// URL's file is gone. It does not wait for a reader who has stopped reading.
func (v *View) Close(code int, reason string, err error) int {
	now := time.Now()
	var last []agent.Event
	if err != nil {
		e := asError(err)
		code, reason = e.Code, e.Message
		last = append(last, agent.Event{Kind: agent.EventError, Time: now, Code: e.Code, Message: e.Message, Hint: e.Hint, Excerpt: e.Excerpt})
	}
	v.finish(append(last, agent.Event{Kind: agent.EventStopped, Time: now, Code: code, Reason: reason})...)
	select {
	case <-v.done:
	case <-time.After(flushTime):
		v.mu.Lock()
		restore := v.restore
		v.mu.Unlock()
		if restore != nil {
			restore()
		}
		_ = v.urls.Close() // what it has to say, nobody reads
	}
	return code
}

// flushTime is how long Close waits for a slow reader.
const flushTime = time.Second

// finish makes run return once it has shown what there is, last in one batch with
// all before it. It is called once.
func (v *View) finish(last ...agent.Event) {
	v.mu.Lock()
	v.queue = append(v.queue, last...)
	v.closed = true
	v.mu.Unlock()
	close(v.ending)
	v.signal()
}

func (v *View) setRestore(fn func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.restore = fn
}

func (v *View) signal() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// run shows events until finish, then removes the URL's file. It blocks for as
// long as a write to Stdout or Stderr does.
func (v *View) run() {
	defer v.removeURL()
	if v.cfg.Mode == Live && v.cfg.Terminal != nil && v.interact() {
		return
	}
	for {
		select {
		case <-v.wake:
		case <-v.ending:
		}
		b := v.take()
		b.tellLost(false)
		var out output
		for _, e := range b.events {
			v.show(&out, e)
		}
		v.flush(&out)
		b.shown()
		if b.closed {
			return
		}
	}
}

// take takes what came, and keeps the URL's file.
func (v *View) take() (b batch) {
	v.mu.Lock()
	queue := v.queue
	b.dropped, b.missed, b.then, b.closed = v.dropped, v.missed, v.then, v.closed
	v.queue, v.dropped, v.missed, v.then = nil, 0, nil, nil
	close(v.room)
	v.room = make(chan struct{})
	v.mu.Unlock()
	if v.cfg.URLFile == "" {
		b.events = queue
		return b
	}
	for _, e := range queue {
		if e.Kind == agent.EventReady {
			v.made.apply(e)
			if err := v.urls.Keep(strings.Join(v.made.urls(), "\n")); err != nil {
				b.events = append(b.events, warning("%v", err))
			}
		}
		b.events = append(b.events, e)
	}
	return b
}

// output gathers what a batch of events writes.
type output struct {
	stdout, stderr []byte
}

// flush writes out. What Stdout does not take is told on Stderr, once until it takes
// more.
func (v *View) flush(out *output) {
	v.write(v.cfg.Stderr, out.stderr)
	if len(out.stdout) == 0 {
		return
	}
	err := v.write(v.cfg.Stdout, out.stdout)
	if err != nil && !v.lossy && !errors.Is(err, syscall.EPIPE) {
		v.write(v.cfg.Stderr, v.complaint(err))
	}
	v.lossy = err != nil
}

// complaint is what there is to say of what Stdout did not take, in each mode: that
// may be the only line that is waited for.
func (v *View) complaint(err error) []byte {
	e := warning("lines are lost: %v", err)
	if v.cfg.Mode == Quiet {
		return []byte(errorLine(e.Message, ""))
	}
	var out output
	v.show(&out, e)
	return out.stderr
}

// write writes text, if there is any. That Stderr does not take it is not shown: there
// is nowhere left.
func (v *View) write(to io.Writer, text []byte) error {
	if len(text) == 0 {
		return nil
	}
	_, err := to.Write(text)
	if errors.Is(err, syscall.EPIPE) && v.cfg.Unread != nil {
		v.cfg.Unread()
	}
	return err
}

func (v *View) removeURL() {
	if err := v.urls.Close(); err != nil {
		var out output
		v.show(&out, warning("%v", err))
		v.flush(&out)
	}
}

func warning(format string, args ...any) agent.Event {
	return agent.Event{Kind: agent.EventWarning, Time: time.Now(), Message: fmt.Sprintf(format, args...)}
}
