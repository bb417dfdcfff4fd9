// Package child runs a program beside the agent, such as the target itself: in a
// process group of its own, which ends with the program, and with what it writes
// taken by lines.
package child

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"share/tunnel/cmdline"
)

const (
	// graceTime is what a group has to end, if nothing else is said.
	graceTime = 10 * time.Second

	// killTime is what the kernel has to end a group that was killed: a process
	// that waits for a disk does not end before that.
	killTime = time.Second

	// lookEvery is how often is looked whether a group has ended.
	lookEvery = 10 * time.Millisecond
)

// Config says what to run, and how. Args or Shell must be set.
type Config struct {
	// Args are a program, which PATH is searched for, and its arguments.
	Args []string

	// Shell is a line for the system's shell, in place of Args.
	Shell string

	// Env is the whole environment of the program, as Environ makes it.
	Env []string

	// Stdin is what the program reads. If it is the terminal of this process,
	// whose foreground it is, the program has the foreground while it runs, and
	// the keys that make signals; if this process is in the background there,
	// the program reads nothing.
	// If nil, it reads nothing.
	Stdin *os.File

	// Line takes each line that the program writes, without its end and without
	// what steers a terminal, colours excepted. It may block, and the program
	// then waits, but only until ctx ends. It is called by two goroutines, one
	// for each stream.
	// If nil, the lines are dropped.
	Line func(ctx context.Context, stderr bool, line string)

	// Grace is what the group has to end after its signal.
	// If zero, 10 seconds. If negative, none.
	Grace time.Duration

	// Cut kills the group when it is closed. If nil, nothing does.
	Cut <-chan struct{}
}

func (c *Config) grace() time.Duration {
	if c.Grace == 0 {
		return graceTime
	}
	return max(c.Grace, 0)
}

// Run runs a program until it ends and returns its exit code, 128 + n if signal n
// ended it. When ctx ends, the group is sent the signal that is the cause of that,
// a cmdline.Interrupt, or else SIGTERM. When the program has ended, what is left
// of its group is sent SIGTERM. What has not ended within the grace is killed.
//
// The error is a *cmdline.Error if the program cannot be run: 127 if there is
// none, 126 if it is no program. All that Run started has ended when it returns,
// but for a program that the kernel does not end.
func Run(ctx context.Context, cfg Config) (code int, err error) {
	cmd, err := command(&cfg)
	if err != nil {
		return 0, err
	}
	stdout, stderr, err := pipes(cmd)
	if err != nil {
		return 0, err
	}
	g, ended, err := start(cmd, cfg.Stdin)
	cmd.Stdout.(*os.File).Close()
	cmd.Stderr.(*os.File).Close()
	if err != nil {
		stdout.Close()
		stderr.Close()
		return 0, cannotRun(cmd.Args[0], err)
	}
	out := readOutput(&cfg, stdout, stderr)
	defer out.close()
	return g.run(ctx, &cfg, ended), nil
}

// Find returns a *cmdline.Error, as Run would, if the program cannot be run.
func Find(program string) error {
	if _, err := exec.LookPath(program); err != nil {
		return cannotRun(program, err)
	}
	return nil
}

// Name is what a program is called in front of its lines.
func Name(program string) string {
	return strings.TrimSuffix(filepath.Base(program), ".exe")
}

func command(cfg *Config) (*exec.Cmd, error) {
	cmd := shell(cfg.Shell)
	if cfg.Shell == "" {
		cmd = exec.Command(cfg.Args[0], cfg.Args[1:]...)
	}
	if cmd.Err != nil {
		return nil, cannotRun(cmd.Args[0], cmd.Err)
	}
	cmd.Env = cfg.Env
	return cmd, nil
}

// cannotRun says why a program does not start, with the codes that shells have
// for that.
func cannotRun(program string, err error) error {
	e := &cmdline.Error{Code: cmdline.ExitNotRunnable, Err: err}
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		e.Code = cmdline.ExitNotFound
		e.Message, e.Hint = "there is no command "+program, "write its path, or install it"
	case errors.Is(err, fs.ErrPermission):
		e.Message, e.Hint = program+" may not be run", "make it executable"
	case errors.Is(err, exec.ErrDot):
		e.Message, e.Hint = program+" is in the present folder alone", "write ./"+program
	case errors.Is(err, syscall.ENOEXEC):
		e.Message, e.Hint = program+" is no program of this system", "let a script begin with a line such as #!/bin/sh"
	default:
		e.Message = program + " cannot be run: " + cause(err).Error()
	}
	return e
}

// cause is what the system said, without the name that stands before it.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*exec.Error](err); ok {
		return e.Err
	}
	return err
}

// start starts a group, and returns where the exit code of the program comes. The
// thread that starts it waits for it, too: the program may follow the thread.
func start(cmd *exec.Cmd, stdin *os.File) (g *group, ended <-chan int, err error) {
	started, code := make(chan error), make(chan int, 1)
	go func() { // ends with the program
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var err error
		g, err = startGroup(cmd, stdin)
		started <- err
		if err == nil {
			code <- g.wait()
		}
	}()
	err = <-started
	return g, code, err
}

// run waits for the program, and for its group.
func (g *group) run(ctx context.Context, cfg *Config, ended <-chan int) (code int) {
	defer g.release()
	sig, running := syscall.SIGTERM, true
	select {
	case code = <-ended:
		running = false
		if g.gone() {
			return code
		}
	case <-ctx.Done():
		if i, ok := errors.AsType[cmdline.Interrupt](context.Cause(ctx)); ok {
			sig = i.Signal
		}
	}
	g.signal(sig)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	limit, cut := time.After(cfg.grace()), cfg.Cut
	for killed := false; running || !g.gone(); {
		kill := false
		select {
		case code = <-ended:
			running = false
		case <-look.C:
		case <-cut:
			kill = true
		case <-limit:
			if killed && running {
				code = 128 + int(syscall.SIGKILL)
			}
			if killed {
				return code
			}
			kill = true
		}
		if kill {
			killed, cut, limit = true, nil, time.After(killTime)
			g.kill()
		}
	}
	return code
}
