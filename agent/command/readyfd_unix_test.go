//go:build unix

package command

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"share/agent"
	"share/tunnel/cmdline"
)

// given is a descriptor of f's file as another process would have opened it for
// this one.
func given(t *testing.T, f *os.File) int {
	t.Helper()
	fd, err := unix.Dup(int(f.Fd())) // which is not closed on exec
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return fd
}

func TestReadyFD(t *testing.T) {
	ready := func(relay, url string) agent.Event {
		return agent.Event{Kind: agent.EventReady, Relay: relay, URL: url}
	}
	tests := []struct {
		name   string
		relays int
		events []agent.Event
		want   string
		open   bool // until close
	}{
		{"one relay", 1, []agent.Event{{Kind: agent.EventTarget}, ready("", "http://a")}, "http://a\n", false},
		{"ready again", 1, []agent.Event{ready("", "http://a"), ready("", "http://b")}, "http://a\n", false},
		{"never ready", 1, []agent.Event{{Kind: agent.EventReconnecting}}, "", true},
		{"two relays", 2, []agent.Event{ready("a", "http://a"), ready("a", "http://a"), ready("b", "http://b")}, "http://a\nhttp://b\n", false},
		{"two relays, one ready", 2, []agent.Event{ready("b", "http://b")}, "http://b\n", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			// A test that fails does not wait.
			reader.SetReadDeadline(time.Now().Add(30 * time.Second))
			r := &readyFD{number: given(t, writer)}
			if err := r.open(tt.relays, func(m string) { t.Error(m) }); err != nil {
				t.Fatal(err)
			}
			if flags, err := unix.FcntlInt(uintptr(r.number), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("flags %#x, %v: children get the descriptor, too", flags, err)
			}
			for _, e := range tt.events {
				r.observe(e)
			}
			if tt.open {
				r.close()
			}
			got, err := io.ReadAll(reader)
			if string(got) != tt.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
			if !tt.open {
				r.close()
			}
		})
	}
}

// A reader who is gone is a warning, and the tunnel goes on.
func TestReadyFDUnread(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r := &readyFD{number: given(t, writer)}
	said := make(chan string, 1)
	if err := r.open(1, func(m string) { said <- m }); err != nil {
		t.Fatal(err)
	}
	reader.Close()
	r.observe(agent.Event{Kind: agent.EventReady, URL: "http://a"})
	r.close()
	select {
	case m := <-said:
		if !strings.Contains(m, "--ready-fd") || !strings.Contains(m, "broken pipe") {
			t.Errorf("said %q", m)
		}
	default:
		t.Error("nothing was said")
	}
}

func TestReadyFDRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	readable := given(t, file)
	defer unix.Close(readable)
	own, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	for _, tt := range []struct {
		name   string
		number int
		want   error
	}{
		{"nothing's", maxFD, errNotOpen},
		{"the process's own", int(own.Fd()), errNotOpen},
		{"one to read from", readable, errNotWritable},
	} {
		r := &readyFD{number: tt.number}
		err := r.open(1, func(m string) { t.Error(m) })
		e, ok := errors.AsType[*cmdline.Error](err)
		if !errors.Is(err, tt.want) || !ok || e.Code != cmdline.ExitConfig || e.Hint == "" {
			t.Errorf("%s: got %v, want %v and exit code %d", tt.name, err, tt.want, cmdline.ExitConfig)
		}
		r.observe(agent.Event{Kind: agent.EventReady, URL: "http://a"})
		r.close()
	}
}
