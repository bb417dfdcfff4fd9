package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"share/agent"
	"share/agent/terminal"
	"share/tunnel/cmdline"
)

func newBeside(command ...string) (*beside, *terminal.View) {
	view := terminal.Start(terminal.Config{Stdout: io.Discard, Stderr: io.Discard})
	b := &beside{command: command}
	b.prepare(&sharing{process: Process{Environ: func() []string { return nil }}}, view)
	return b, view
}

// What is passed on, with a command and without.
func TestBesidePass(t *testing.T) {
	ready := func(relay, url string) agent.Event {
		return agent.Event{Kind: agent.EventReady, Relay: relay, URL: url}
	}
	target := func(up bool) agent.Event { return agent.Event{Kind: agent.EventTarget, Up: up} }
	lost := agent.Event{Kind: agent.EventReconnecting, Relay: "a"}
	for name, tt := range map[string]struct {
		command string
		events  []agent.Event
		want    string
	}{
		"no command":        {"", []agent.Event{target(false), ready("", "u"), target(true)}, "target ready u target"},
		"waits":             {"x", []agent.Event{target(false), ready("", "u"), target(true), target(false)}, "target ready u target"},
		"up first":          {"x", []agent.Event{target(true), ready("", "u"), ready("", "v")}, "target warning ready u ready v"},
		"up before it runs": {"x", []agent.Event{ready("", "u"), target(true)}, "target warning ready u"},
		"lost meanwhile":    {"x", []agent.Event{ready("a", "u"), lost, target(true)}, "reconnecting target"},
		"again":             {"x", []agent.Event{ready("a", "u"), lost, ready("a", "v"), target(true)}, "reconnecting target ready v"},
		"two relays":        {"x", []agent.Event{ready("a", "u"), ready("b", "v"), lost, target(true)}, "reconnecting target ready v"},
		"never up":          {"x", []agent.Event{ready("a", "u"), target(false)}, ""},
	} {
		b, view := newBeside(strings.Fields(tt.command)...)
		var got []string
		for _, e := range tt.events {
			b.pass(e, func(e agent.Event) { got = append(got, strings.TrimSpace(e.Kind.String()+" "+e.URL)) })
			if e.Kind == agent.EventReady && !strings.HasPrefix(name, "up before") {
				b.begin()
			}
		}
		view.Close(0, "", nil)
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("%s: got %q, want %q", name, text, tt.want)
		}
	}
}

// What was held back is ready when that is told, not before.
func TestBesideReadyTime(t *testing.T) {
	b, view := newBeside("x")
	began := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var got []time.Time
	for _, e := range []agent.Event{{Kind: agent.EventReady, Time: began}, {Kind: agent.EventTarget, Up: true, Time: began.Add(time.Minute)}} {
		b.pass(e, func(e agent.Event) { got = append(got, e.Time) })
	}
	view.Close(0, "", nil)
	if want := []time.Time{began.Add(time.Minute), began.Add(time.Minute)}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestBesideVerdict(t *testing.T) {
	command, failed := &ended{0, "x ended with code 0"}, &ended{4, "x ended with code 4"}
	tested := &ended{5, "on-ready ended with code 5"}
	interrupt := cmdline.Interrupt{Signal: syscall.SIGTERM}
	gone := &cmdline.Error{Code: cmdline.ExitTargetDown, Message: "gone"}
	for name, tt := range map[string]struct {
		exit    bool
		cause   error
		command *ended
		want    string
	}{
		"a signal":                        {false, interrupt, nil, "nothing"},
		"a signal, with a command":        {false, interrupt, failed, "4 terminated"},
		"a signal before --on-ready ends": {true, interrupt, command, "143 terminated"},
		"the command":                     {false, failed, failed, "4 x ended with code 4"},
		"the command, well":               {false, command, command, "0 x ended with code 0"},
		"the command before --on-ready":   {true, failed, failed, "4 x ended with code 4"},
		"the same, well":                  {true, command, command, "error 7"},
		"--on-ready":                      {true, tested, failed, "5 on-ready ended with code 5"},
		"an error":                        {true, gone, command, "error 7"},
		"a limit":                         {false, endTTL, nil, "nothing"},
		"a limit before --on-ready ends":  {true, endRequests, nil, "error 1"},
	} {
		b := beside{exit: tt.exit}
		end, err := b.verdict(tt.cause, tt.command)
		got := "nothing"
		if e, ok := errors.AsType[*cmdline.Error](err); ok {
			got = fmt.Sprint("error ", e.Code)
		} else if end != nil {
			got = fmt.Sprint(end.code, " ", end.reason)
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}

// What runs beside an agent ends with it, and its end is that of the agent.
func TestBesideRun(t *testing.T) {
	untilEnd := func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}
	refused := &cmdline.Error{Code: cmdline.ExitRefused, Message: "taken"}

	b, view := newBeside("nosuchcommand12")
	b.pass(agent.Event{Kind: agent.EventReady, URL: "u"}, func(agent.Event) {})
	_, err := b.run(t.Context(), untilEnd)
	if e, ok := errors.AsType[*cmdline.Error](err); !ok || e.Code != cmdline.ExitNotFound {
		t.Errorf("a command that is not there: got %v", err)
	}
	view.Close(0, "", nil)

	b, view = newBeside("nosuchcommand12") // which is never started
	end, err := b.run(t.Context(), func(context.Context) error { return refused })
	if end != nil || !errors.Is(err, error(refused)) {
		t.Errorf("a refusal: got %v, %v", end, err)
	}
	view.Close(0, "", nil)
}

// The command is left until the agent has let the requests in flight end; that of
// --on-ready gets a signal at once.
func TestBesideDrain(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has no sh")
	}
	for name, tt := range map[string]struct {
		cause error
		ready bool // it is that of --on-ready
		told  bool // while requests are in flight
	}{
		"a limit":                {endTTL, false, false},
		"a signal":               {cmdline.Interrupt{Signal: syscall.SIGTERM}, false, false},
		"a limit, on ready":      {endTTL, true, false},
		"a signal, on ready too": {cmdline.Interrupt{Signal: syscall.SIGTERM}, true, true},
	} {
		dir := t.TempDir()
		within := func(d time.Duration, file string) bool {
			for end := time.Now().Add(d); ; time.Sleep(time.Millisecond) {
				if _, err := os.Stat(filepath.Join(dir, file)); err == nil || time.Now().After(end) {
					return err == nil
				}
			}
		}
		script := "cd " + dir + `; trap '>told; exit 3' TERM; >runs; while :; do /bin/sleep 0.01; done`
		b, view := newBeside()
		if tt.ready {
			b.onReady = script
		} else {
			b.command = []string{"/bin/sh", "-c", script}
		}
		b.pass(agent.Event{Kind: agent.EventReady, URL: "u"}, func(agent.Event) {})
		b.pass(agent.Event{Kind: agent.EventTarget, Up: true}, func(agent.Event) {})
		ctx, end := context.WithCancelCause(t.Context())
		_, err := b.run(ctx, func(work context.Context) error {
			if !within(20*time.Second, "runs") {
				t.Errorf("%s: the command does not run", name)
			}
			end(tt.cause)
			<-work.Done()
			wait := 20 * time.Second
			if !tt.told {
				wait = 200 * time.Millisecond
			}
			if got := within(wait, "told"); got != tt.told {
				t.Errorf("%s: told %v, want %v", name, got, tt.told)
			}
			return nil
		})
		if told := within(0, "told"); err != nil || !told {
			t.Errorf("%s: got %v, and told %v", name, err, told)
		}
		view.Close(0, "", nil)
	}
}

// A ttl over before the command has come up is no success: there was no tunnel.
func TestBesideNeverUp(t *testing.T) {
	for _, up := range []bool{false, true} {
		b, view := newBeside("x")
		if up {
			b.pass(agent.Event{Kind: agent.EventTarget, Up: true}, func(agent.Event) {})
		}
		_, err := b.verdict(endTTL, &ended{143, "x ended with code 143"})
		if e, ok := errors.AsType[*cmdline.Error](err); ok == up || ok && e.Code != cmdline.ExitTargetDown {
			t.Errorf("up %v: got %v", up, err)
		}
		view.Close(0, "", nil)
	}
}

func TestSplitCommand(t *testing.T) {
	for args, want := range map[string]string{
		"80":              "[80] []",
		"80 -- npm -x --": "[80] [npm -x --]",
		"80 --":           "no command stands behind --",
		"":                "no target is named",
		"-- npm":          "no target is named",
		"80 npm":          `there is more than one target: ["80" "npm"]`,
	} {
		targets, command, err := splitCommand(strings.Fields(args))
		got := fmt.Sprint(targets, command)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", args, got, want)
		}
	}
	if _, _, err := splitCommand([]string{"80", "--", ""}); err == nil || err.Error() != "the command behind -- has an empty name" {
		t.Errorf("an empty name: got %v", err)
	}
}
