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

// detaching is share http in the background: the process that was asked for it runs
// the same command line once more, and waits until that one has its URL.
type detaching struct {
	wanted bool // --detach
	inside bool // this process is the second
	log    *control.LogFile
}

// A handover is what the second process tells the first.
type handover struct {
	PID int    `json:"pid"`
	Log string `json:"log"`
}

func (d *detaching) flags() []cli.Flag {
	return []cli.Flag{
		cmdline.Toggle("detach", "go on in the background once the tunnel is ready, with --wait once the target is up, too, and log to a file in the state folder", &d.wanted),
		&cli.BoolFlag{Name: "detached", Hidden: true, Destination: &d.inside},
	}
}

// due reports whether another process is to be started.
func (d *detaching) due() bool { return d.wanted && !d.inside }

// start runs the command line in the background, and returns when that has its URL,
// or with its exit code.
func (s *sharing) start() error {
	p := &s.process
	if p.StateDir == "" {
		return cmdline.Usage("set SHARE_STATE_DIR", "--detach wants a state folder for its logs, and there is none")
	}
	cmd := p.Again(append([]string{p.Args[0], "--detached"}, p.Args[1:]...)...)
	cmd.SysProcAttr = background()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, nil, p.Stderr
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
		s.report(told)
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

// pass gives a signal to a process, which is to end.
func pass(cause error, to *os.Process) {
	if sig, ok := errors.AsType[cmdline.Interrupt](cause); !ok || to.Signal(sig.Signal) != nil {
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
func (s *sharing) report(told *handover) {
	var handler slog.Handler = slog.NewTextHandler(s.process.Stderr, &slog.HandlerOptions{Level: s.level})
	switch {
	case s.quiet:
		return
	case s.json:
		handler = slog.NewJSONHandler(s.process.Stderr, &slog.HandlerOptions{Level: s.level})
	}
	slog.New(handler).Info("detached", "pid", told.PID, "log", told.Log)
}

// suit returns the view for this process.
func (s *sharing) suit() (terminal.Config, error) {
	p := &s.process
	if !s.detach.inside {
		return terminal.Suit(s.view, s.streams()), nil
	}
	log, err := p.places().OpenLog()
	if err != nil {
		return terminal.Config{}, cmdline.Failed("--detach wants a state folder that can be written to", err)
	}
	s.detach.log = log
	// What ends the program itself is worth the same file; if it cannot have it, it
	// ends as well.
	_ = debug.SetCrashOutput(log.File(), debug.CrashOptions{})
	view := terminal.Suit(s.view, s.streams())
	both := &fork{log: log, until: p.Stderr}
	view.Stderr = both
	view.Ready = func() {
		line, err := json.Marshal(handover{os.Getpid(), log.Path})
		if err == nil {
			fmt.Fprintf(p.Stdout, "%s%s\n", handedOver, line)
		}
		both.until = nil
		silence(p.Stdout, p.Stderr)
	}
	return view, nil
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
