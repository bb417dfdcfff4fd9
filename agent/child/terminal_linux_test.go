package child

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"share/testdata/bench/rig"
)

// runAtTerminal is what this test program does in place of tests, at a terminal of
// its own: it runs the line of shell that the variable has, and another beside it when
// that writes so.
func runAtTerminal(line string) {
	show := func(_ context.Context, _ bool, line string) { fmt.Println(line) }
	code, err := Run(context.Background(), Config{Shell: line, Env: os.Environ(), Stdin: os.Stdin, Line: func(ctx context.Context, stderr bool, line string) {
		if line != "another" {
			show(ctx, stderr, line)
			return
		}
		// A shell cannot trap a signal that was ignored when it began.
		if code, err := Run(ctx, Config{Shell: "trap 'echo heard' TTOU; kill -TTOU $$; echo done", Env: os.Environ(), Line: show}); code != 0 || err != nil {
			fmt.Println("another", code, err)
		}
	}})
	foreground, _ := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	fmt.Println("ended", code, err, foreground == syscall.Getpgrp())
}

// A program has the terminal of this process while it runs, with its keys.
func TestTerminal(t *testing.T) {
	for name, tt := range map[string]struct{ line, await, keys, want string }{
		"reads":     {"echo ready; read x; echo got $x; exit 3", "ready", "hello\n", "got hello\nended 3 <nil> true\n"},
		"interrupt": {"trap 'echo int; exit 4' INT; echo ready; while :; do sleep 0.01; done", "ready", "\x03", "int\nended 4 <nil> true\n"},
		"question":  {"printf 'sure? '; read x; exit 5", "sure?", "y\n", "ended 5 <nil> true\n"},
		"killed":    {"stty raw; echo ready; kill -9 $$", "", "", "ready\nended 137 <nil> true\n"},
		"not run":   {"exit 6", "", "", "ended 6 <nil> true\n"},
		"beside":    {"echo another; read x; exit 8", "heard", "\n", "done\nended 8 <nil> true\n"},
		"stop key":  {"echo ready; read x; echo got $x; exit 7", "ready", "\x1agone on\n", "got gone on\nended 7 <nil> true\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			master, slave, err := rig.Terminal(24, 80)
			if err != nil {
				t.Fatal(err)
			}
			defer master.Close()
			defer slave.Close()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), atTerminal+"="+tt.line)
			cmd.Stdin, cmd.Stderr = slave, os.Stderr
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				cmd.Process.Kill()
				cmd.Wait()
			}()
			// It ends the reading below, too.
			defer time.AfterFunc(patience, func() { cmd.Process.Kill() }).Stop()
			lines := bufio.NewReader(out)
			if tt.await != "" {
				if line, err := lines.ReadString('\n'); !strings.HasPrefix(line, tt.await) {
					t.Fatalf("got %q, %v, want %q", line, err, tt.await)
				}
				if _, err := master.WriteString(tt.keys); err != nil {
					t.Fatal(err)
				}
			}
			var got strings.Builder
			lines.WriteTo(&got)
			if got.String() != tt.want {
				t.Errorf("got %q, want %q", got.String(), tt.want)
			}
			if mode, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS); err != nil || mode.Lflag&unix.ICANON == 0 {
				t.Errorf("the terminal is not as it was: %+v, %v", mode, err)
			}
		})
	}
}
