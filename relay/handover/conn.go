package handover

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// A Conn is one process's end. Its methods are for one goroutine.
type Conn struct {
	unix     *net.UnixConn
	bytes    []byte        // what has come and was not yet taken
	files    []*os.File    // likewise
	patience time.Duration // if zero, Patience
}

// Close ends the conversation, and closes what was passed and not taken.
func (c *Conn) Close() error {
	for _, f := range c.Files() {
		f.Close()
	}
	return c.unix.Close()
}

// Files returns the descriptors that have come since the last call. They are the
// caller's.
func (c *Conn) Files() []*os.File {
	files := c.files
	c.files = nil
	return files
}

// Send sends a message, and with it the descriptors of sockets, which stay open
// here. It waits for Patience until the other process takes it.
func (c *Conn) Send(ctx context.Context, m Message, sockets ...syscall.Conn) error {
	ctx, cancel := c.wait(ctx, "take", m.Step)
	defer cancel()
	line, err := json.Marshal(m)
	if err == nil {
		defer c.until(ctx)()
		err = pass(c.unix, append(line, '\n'), sockets)
	}
	if err != nil {
		return c.explain(ctx, fmt.Errorf("say %q: %w", m.Step, err))
	}
	return nil
}

// Receive returns the next message, which is to be of one of two steps. It waits
// for Patience. A *FailedError is the other process's own word.
func (c *Conn) Receive(ctx context.Context, step Step, or ...Step) (*Message, error) {
	ctx, cancel := c.wait(ctx, "say", step)
	defer cancel()
	line, err := c.line(ctx)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	m := new(Message)
	if err := json.Unmarshal(line, m); err != nil {
		return nil, fmt.Errorf("what the other process says is no message: %w", err)
	}
	for _, s := range or {
		if m.Step == s {
			step = s
		}
	}
	return m, m.want(step)
}

// wait bounds how long the other process may take to do something about a step.
func (c *Conn) wait(ctx context.Context, do string, step Step) (context.Context, context.CancelFunc) {
	patience := cmp.Or(c.patience, Patience)
	return context.WithTimeoutCause(ctx, patience, fmt.Errorf("the other process did not %s %q within %v", do, step, patience))
}

// Fail tells the other process why this one does not go on. It is for when that
// is no news to it as well.
func (c *Conn) Fail(err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// The connection's end says it, too.
	_ = c.Send(ctx, Message{Step: Failed, Reason: err.Error()})
}

// line returns what comes before the next line feed.
func (c *Conn) line(ctx context.Context) ([]byte, error) {
	for looked := 0; ; {
		if i := bytes.IndexByte(c.bytes[looked:], '\n'); i >= 0 {
			line := c.bytes[:looked+i]
			c.bytes = c.bytes[looked+i+1:]
			return line, nil
		}
		looked = len(c.bytes)
		if looked > maxMessage {
			return nil, fmt.Errorf("the other process says more than %d bytes at once", maxMessage)
		}
		if err := c.read(ctx); err != nil {
			return nil, err
		}
	}
}

// read adds to what has come.
func (c *Conn) read(ctx context.Context) error {
	defer c.until(ctx)()
	buf := make([]byte, 16<<10)
	n, files, err := receive(c.unix, buf)
	c.bytes = append(c.bytes, buf[:n]...)
	c.files = append(c.files, files...)
	if len(c.files) > maxSockets {
		return errors.New("the other process passes too many descriptors")
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	if n > 0 {
		return nil
	}
	return err
}

// until makes ctx's end that of what is under way, until the function that it
// returns is called.
func (c *Conn) until(ctx context.Context) func() {
	c.unix.SetDeadline(time.Time{}) // of an earlier context's end
	stop := context.AfterFunc(ctx, func() { c.unix.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

// explain says what an error of the connection means.
func (c *Conn) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return errEnded
	}
	return err
}
