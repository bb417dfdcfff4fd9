// Package access writes a relay's access log: a line for each exchange, as JSON
// or in the combined format. Who has a line to write leaves it in a buffer and
// goes on; one goroutine writes. What does not fit is dropped, and counted.
package access

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxPending bounds what waits to be written: a second of 20,000 lines.
	maxPending = 8 << 20

	// firstPending is how much room there is at first, and again once a flood
	// is over.
	firstPending = 64 << 10

	// tellEvery is how often it is said that lines are dropped.
	tellEvery = 10 * time.Second

	// closeTime is how long Close waits for who does not take the last lines.
	closeTime = time.Second
)

// A Log takes the records of exchanges. Its methods may be called by many
// goroutines.
type Log struct {
	format Format
	out    output
	log    *slog.Logger
	more   chan struct{} // something is pending, or closed set; holds one
	done   chan struct{} // closed when the goroutine that writes has ended

	mu      sync.Mutex
	pending []byte // guarded by mu
	dropped uint64 // guarded by mu; lines
	closed  bool   // guarded by mu

	// Owned by the goroutine that writes.
	told   uint64    // of dropped
	toldAt time.Time // when
	failed bool      // the last write did
}

// An output is where lines go.
type output interface {
	// Write writes whole lines.
	io.Writer
	// lost is how many lines it was given and could not write.
	lost() uint64
	close() error
}

// New returns a Log that writes to w, whose it stays. logger is told what goes
// wrong.
func New(w io.Writer, format Format, logger *slog.Logger) *Log {
	return start(&plain{w: w}, format, logger)
}

// Open returns a Log that writes to the file path, behind what is there. A file
// that is moved away is let go of within a second of the next line, and another
// opened in its place: rotating needs no word to the relay.
func Open(path string, format Format, logger *slog.Logger) (*Log, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	return start(f, format, logger), nil
}

func start(out output, format Format, logger *slog.Logger) *Log {
	l := &Log{format: format, out: out, log: logger, more: make(chan struct{}, 1), done: make(chan struct{})}
	go l.run() // ended by Close
	return l
}

// Write takes a record. It does not wait: where there is no room the line is
// dropped.
func (l *Log) Write(r *Record) {
	var room [1 << 10]byte
	line := l.format.append(room[:0], r)
	l.mu.Lock()
	switch {
	case l.closed:
	case len(l.pending)+len(line) > maxPending:
		l.dropped++
	default:
		l.pending = append(l.pending, line...)
	}
	l.mu.Unlock()
	l.wake()
}

func (l *Log) wake() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// Dropped is how many lines were dropped, or could not be written.
func (l *Log) Dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped + l.out.lost()
}

// Close writes what is pending and ends the log. Where nobody takes the lines it
// returns after a second all the same; they are lost then.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wake()
	select {
	case <-l.done:
		return l.out.close()
	case <-time.After(closeTime):
		return fmt.Errorf("access log: the last lines are not taken")
	}
}

// run writes what is pending until the log is closed.
func (l *Log) run() {
	defer close(l.done)
	spare := make([]byte, 0, firstPending)
	for range l.more {
		l.mu.Lock()
		batch, closed := l.pending, l.closed
		l.pending = spare[:0]
		l.mu.Unlock()
		if len(batch) > 0 {
			l.note(l.out.Write(batch))
		}
		if closed {
			l.toldAt = time.Time{} // the last chance
		}
		l.tell()
		if spare = batch; cap(spare) > 8*firstPending {
			spare = make([]byte, 0, firstPending)
		}
		if closed {
			return
		}
	}
}

// note says when writing begins to fail, and when it works again.
func (l *Log) note(_ int, err error) {
	switch {
	case err != nil && !l.failed:
		l.log.Error("the access log cannot be written", "error", err.Error())
	case err == nil && l.failed:
		l.log.Info("the access log is written again")
	}
	l.failed = err != nil
}

// tell says how many lines were dropped since it did the last time.
func (l *Log) tell() {
	dropped := l.Dropped()
	now := time.Now()
	if dropped == l.told || now.Sub(l.toldAt) < tellEvery {
		return
	}
	l.log.Warn("lines of the access log are dropped", "lines", dropped-l.told)
	l.told, l.toldAt = dropped, now
}
