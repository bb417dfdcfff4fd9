package acme

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

const (
	// hookTimeout bounds a run of a hook and, where the system can end them
	// together, of what it has started; hookEnd what it leaves open behind it.
	hookTimeout = 2 * time.Minute
	hookEnd     = time.Second

	// maxComplaint bounds what is kept of what a hook writes to stderr.
	maxComplaint = 1 << 10
)

// A Hook is a program that publishes values in the DNS. It is run as
//
//	PROGRAM present|cleanup FQDN VALUE
//
// and is expected to return when the DNS answers accordingly, within two
// minutes. An exit code other than 0 is a failure, which its stderr explains.
type Hook struct{ path string }

// NewHook returns the Hook of a program that can be run.
func NewHook(program string) (*Hook, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, err
	}
	return &Hook{path}, nil
}

// Present runs the program with present.
func (h *Hook) Present(ctx context.Context, fqdn, value string) error {
	return h.run(ctx, "present", fqdn, value)
}

// Remove runs the program with cleanup.
func (h *Hook) Remove(ctx context.Context, fqdn, value string) error {
	return h.run(ctx, "cleanup", fqdn, value)
}

func (h *Hook) run(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.path, args...)
	cmd.WaitDelay = hookEnd
	together(cmd)
	var said complaint
	cmd.Stderr = &said
	err := cmd.Run()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("it did not end within %v", hookTimeout)
	}
	if text := said.line(); text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	return fmt.Errorf("hook %s %s: %w", h.path, args[0], err)
}

// A complaint keeps the last of what is written.
type complaint struct{ buf bytes.Buffer }

func (c *complaint) Write(p []byte) (int, error) {
	c.buf.Write(p)
	if over := c.buf.Len() - maxComplaint; over > 0 {
		c.buf.Next(over)
	}
	return len(p), nil
}

// line gives it on one line.
func (c *complaint) line() string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(c.buf.String(), "?")), " ")
}
