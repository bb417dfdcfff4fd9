package terminal

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"

	"share/agent"
)

// What a program beside the agent writes, in each mode.
func TestOutput(t *testing.T) {
	lines := []agent.Event{
		{Kind: agent.EventOutput, Time: noon, Source: "npm", Message: "\x1b[32mready\x1b[0m"},
		{Kind: agent.EventOutput, Time: noon, Source: "\x1b[2J", Stderr: true, Message: "oops"},
	}
	const named = "[npm] \x1b[32mready\x1b[0m\n[\\x1b[2J] oops\n"
	for mode, want := range map[Mode][2]string{
		Plain: {"", named},
		Live:  {"", named},
		Quiet: {"", "\x1b[32mready\x1b[0m\noops\n"},
		JSON: {`{"v":1,"event":"output","time":"2026-01-02T12:00:00.000Z","source":"npm","stream":"stdout","line":"\u001b[32mready\u001b[0m"}
{"v":1,"event":"output","time":"2026-01-02T12:00:00.000Z","source":"\u001b[2J","stream":"stderr","line":"oops"}
`, `{"time":"2026-01-02T12:00:00Z","level":"INFO","msg":"output","source":"npm","stream":"stdout","line":"\u001b[32mready\u001b[0m"}
{"time":"2026-01-02T12:00:00Z","level":"INFO","msg":"output","source":"\u001b[2J","stream":"stderr","line":"oops"}
`},
	} {
		stdout, stderr := run(Config{Mode: mode}, lines...)
		compare(t, "stdout", stdout, want[0])
		compare(t, "stderr", stderr, want[1])
	}
}

// Print waits for who reads slowly, and loses nothing.
func TestPrint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		v := newView(Config{Mode: Quiet, Stdout: &out, Stderr: &out})
		line := agent.Event{Kind: agent.EventOutput, Message: "x"}
		for range maxLines {
			v.Print(t.Context(), line)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan bool)
		go func() {
			v.Print(ctx, line) // until ctx ends
			done <- true
			v.Print(t.Context(), line) // until there is room
			done <- true
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("it does not wait")
		default:
		}
		cancel()
		<-done
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("it does not wait again")
		default:
		}
		ended := make(chan bool)
		go func() {
			v.run()
			close(ended)
		}()
		<-done
		v.finish()
		<-ended
		if got := out.Len(); got != 2*(maxLines+1) {
			t.Errorf("got %d bytes, want %d", got, 2*(maxLines+1))
		}
	})
}
