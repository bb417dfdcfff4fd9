package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/urfave/cli/v2"

	"share/agent/control"
	"share/agent/terminal"
	"share/tunnel/cmdline"
)

const (
	// handedOver begins the line by which an agent in the background says that it
	// needs the process no more that has started it. No URL and no event is like it.
	handedOver = "handed over "

	// maxLine bounds a line of it.
	maxLine = 1 << 20
)

// detaching is share http or share up in the background: the process that was asked
// for it runs the same command line once more, and waits until that one has its URL.
type detaching struct {
	wanted bool // --detach
	inside bool // this process is the second

	process *Process
	log     *control.LogFile
	lines   *fork       // what the view writes to the log
	told    sync.Once   // the first process was, or is about to be
	parted  atomic.Bool // the first process needs this one no more
}

// A handover is what the second process tells the first.
type handover struct {
	PID int    `json:"pid"`
	Log string `json:"log"`
}

// flags are those of a command that goes on in the background once something is so.
func (d *detaching) flags(once string) []cli.Flag {
	return []cli.Flag{
		cmdline.Toggle("detach", "go on in the background once "+once+", and log to a file in the state folder", &d.wanted),
		&cli.BoolFlag{Name: "detached", Hidden: true, Destination: &d.inside},
	}
}

// due reports whether another process is to be started.
func (d *detaching) due() bool { return d.wanted && !d.inside }

// start runs the command line in the background, and returns when that has its URL,
// or with its exit code. What it says itself looks as view does.
func (d *detaching) start(p *Process, view terminal.Config) error {
	if p.StateDir == "" {
		return cmdline.Usage("set SHARE_STATE_DIR", "--detach wants a state folder for its logs, and there is none")
	}
	cmd := p.Again(append([]string{p.Args[0], "--detached"}, p.Args[1:]...)...)
	cmd.SysProcAttr = background()
	cmd.Stderr = p.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // it ends with this process
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	ctx, stop := p.UntilSignal(func() {})
	defer stop()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start in the background: %w", err)
	}
	defer context.AfterFunc(ctx, func() { pass(context.Cause(ctx), cmd.Process) })()
	told, err := relayLines(p.Stdout, out)
	if told != nil {
		report(p.Stderr, view, told)
		return cmd.Process.Release()
	}
	if err != nil {
		cmd.Process.Kill() // it cannot say any more that it is ready
	}
	werr := cmd.Wait()
	code := cmd.ProcessState.ExitCode()
	switch {
	case err != nil:
		return err
	case code > 0:
		return cli.Exit("", code) // it has said why
	case code < 0:
		return fmt.Errorf("the agent was ended before it was ready: %w", werr)
	}
	return errors.New("the agent was stopped before it was ready")
}

// pass gives a signal to a process, which is to end: a SIGHUP as one that has no other
// meaning there.
func pass(cause error, to *os.Process) {
	sig, ok := errors.AsType[cmdline.Interrupt](cause)
	if sig.Signal == syscall.SIGHUP {
		sig.Signal = syscall.SIGTERM
	}
	if !ok || to.Signal(sig.Signal) != nil {
		to.Kill()
	}
}

// relayLines copies lines until the one that hands over, which it returns; nil if
// there is none.
func relayLines(w io.Writer, r io.Reader) (*handover, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), handedOver); ok {
			told := new(handover)
			if err := json.Unmarshal([]byte(text), told); err != nil {
				return nil, fmt.Errorf("what the agent says is no handover: %w", err)
			}
			return told, nil
		}
		if _, err := fmt.Fprintln(w, lines.Text()); err != nil {
			return nil, err
		}
	}
	return nil, lines.Err()
}

// report logs where the agent is now.
func report(w io.Writer, view terminal.Config, told *handover) {
	var handler slog.Handler = slog.NewTextHandler(w, &slog.HandlerOptions{Level: view.Level})
	switch view.Mode {
	case terminal.Quiet:
		return
	case terminal.JSON:
		handler = slog.NewJSONHandler(w, &slog.HandlerOptions{Level: view.Level})
	}
	slog.New(handler).Info("detached", "pid", told.PID, "log", told.Log)
}

// open returns view as the second process has it, which close follows; elsewhere it
// is what it was.
func (d *detaching) open(p *Process, view terminal.Config) (_ terminal.Config, err error) {
	if !d.inside {
		return view, nil
	}
	if d.log, err = p.places().OpenLog(); err != nil {
		return view, cmdline.Failed("--detach wants a state folder that can be written to", err)
	}
	// What ends the program itself is worth the same file; if it cannot have it, it
	// ends as well.
	_ = debug.SetCrashOutput(d.log.File(), debug.CrashOptions{})
	d.mind(p.Stdin, p.Interrupt)
	p.Stdin = nil // that is not for a command
	d.process, d.lines = p, &fork{log: d.log, until: p.Stderr}
	view.Stderr = d.lines
	return view, nil
}

// mind calls stop if starter, which ends with the process that has started this one,
// does so before that was told: nobody would know of this one.
func (d *detaching) mind(starter *os.File, stop func()) {
	go func() { // ends with starter
		io.Copy(io.Discard, starter)
		silence(starter)
		if !d.parted.Load() {
			stop()
		}
	}()
}

// ready has the second process tell the first, once, when view has shown the URL.
func (d *detaching) ready(view *terminal.View) {
	if d.inside {
		d.told.Do(func() { view.Then(d.handOver) })
	}
}

// handOver is for the goroutine that writes to lines.
func (d *detaching) handOver() {
	d.parted.Store(true)
	line, err := json.Marshal(handover{os.Getpid(), d.log.Path})
	if err == nil {
		fmt.Fprintf(d.process.Stdout, "%s%s\n", handedOver, line)
	}
	d.lines.until = nil
	silence(d.process.Stdout, d.process.Stderr)
}

// uncontrolled is why an agent in the background does not start that has no socket.
func uncontrolled(err error) error {
	return cmdline.Failed("without that, nothing could stop it", err)
}

// path is the file that is logged to, empty if there is none.
func (d *detaching) path() string {
	if d.log == nil {
		return ""
	}
	return d.log.Path
}

func (d *detaching) close() {
	if d.log != nil {
		d.log.Close() // there is nowhere left to complain
	}
}

// A fork writes to a log, and to who has started the process for as long as that
// waits. It is for one goroutine.
type fork struct {
	log   io.Writer
	until io.Writer // nil once nobody waits
}

func (f *fork) Write(text []byte) (int, error) {
	if f.until != nil {
		f.until.Write(text)
	}
	return f.log.Write(text)
}
