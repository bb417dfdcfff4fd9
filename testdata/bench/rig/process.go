package rig

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a running child. Its owner calls Close.
type Process struct {
	name   string
	cmd    *exec.Cmd
	out    *lines // standard output
	errout *lines // standard error
	done   chan struct{}
}

// Start runs bin with args and env added to the environment. The child dies
// with this process where the system can promise that.
func Start(bin string, env []string, args ...string) (*Process, error) {
	p := &Process{
		name:   filepath.Base(bin) + " " + strings.Join(args, " "),
		cmd:    exec.Command(bin, args...),
		out:    newLines(),
		errout: newLines(),
		done:   make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout = p.out
	p.cmd.Stderr = p.errout
	p.cmd.SysProcAttr = dieWithParent()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go p.reap() // ends when the child does
	return p, nil
}

func (p *Process) reap() {
	_ = p.cmd.Wait() // how it ended is in ProcessState
	p.out.close()
	p.errout.close()
	close(p.done)
}

// Pid is the child's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitCode is how the child ended; -1 while it runs or if a signal ended it.
func (p *Process) ExitCode() int {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	default:
		return -1
	}
}

// Signal sends sig; a child that has ended is no error.
func (p *Process) Signal(sig os.Signal) { _ = p.cmd.Process.Signal(sig) }

// Kill ends the child without warning and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Close asks the child to stop, kills it after 3 s, and waits for its end.
func (p *Process) Close() {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(3 * time.Second):
		p.Kill()
	}
}

// Log is the last of what the child wrote to standard error.
func (p *Process) Log() string { return p.errout.tail() }

// Await returns once the child has written a line to standard output that
// match accepts. It fails when ctx ends, or the child does.
func (p *Process) Await(ctx context.Context, match func(line []byte) bool) error {
	return p.await(ctx, p.out, match)
}

// await returns the first line of l that match accepts. It fails when ctx
// ends, or the child does.
func (p *Process) await(ctx context.Context, l *lines, match func(line []byte) bool) error {
	for seen := 0; ; {
		batch, more := l.after(seen)
		for _, line := range batch {
			if match(line) {
				return nil
			}
		}
		seen += len(batch)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w\n%s", p.name, context.Cause(ctx), p.Log())
		case <-p.done:
			if rest, _ := l.after(seen); len(rest) == 0 {
				return fmt.Errorf("%s: %s\n%s", p.name, p.cmd.ProcessState, p.Log())
			}
		case <-more:
		}
	}
}

// lines is an io.Writer that keeps whole lines, the first maxLines of them,
// and the last bytes written.
type lines struct {
	mu    sync.Mutex
	part  []byte
	whole [][]byte
	last  []byte
	more  chan struct{} // closed and replaced at each new line
	// all of the above guarded by mu
}

const (
	maxLines = 4096    // what a start is recognised by comes early
	maxTail  = 6 << 10 // what is shown of a child that failed
)

func newLines() *lines { return &lines{more: make(chan struct{})} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = append(l.last, p...)
	if len(l.last) > 2*maxTail {
		l.last = append(l.last[:0], l.last[len(l.last)-maxTail:]...)
	}
	if len(l.whole) >= maxLines {
		return len(p), nil
	}
	l.part = append(l.part, p...)
	for {
		line, rest, ok := bytes.Cut(l.part, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		l.whole = append(l.whole, bytes.Clone(line))
		l.part = rest
		l.wake()
	}
}

func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake()
}

func (l *lines) wake() {
	close(l.more)
	l.more = make(chan struct{})
}

// after returns the lines from the n-th on, and a channel that is closed
// when there are more.
func (l *lines) after(n int) ([][]byte, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.whole[min(n, len(l.whole)):len(l.whole):len(l.whole)], l.more
}

func (l *lines) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.last[max(0, len(l.last)-maxTail):])
}
