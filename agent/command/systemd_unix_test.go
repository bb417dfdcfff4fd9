//go:build unix

package command

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"share/agent"
)

// systemd hears when the tunnel is ready, once, how it does, that the agent lives
// and that it stops.
func TestService(t *testing.T) {
	dir, err := os.MkdirTemp("", "") // a socket's path has 104 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", socket.LocalAddr().String())
	t.Setenv("WATCHDOG_USEC", "1000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	hear := func(want string) {
		t.Helper()
		buf := make([]byte, 1<<10)
		for {
			if err := socket.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			n, err := socket.Read(buf)
			if err != nil {
				t.Fatalf("want %q, got %v", want, err)
			}
			switch got := string(buf[:n]); {
			case got == want:
				return
			case got != "WATCHDOG=1":
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
	s := service{warn: func(message string) { t.Error(message) }}
	s.observe(agent.Event{Kind: agent.EventTarget})
	s.observe(agent.Event{Kind: agent.EventReady, URL: "http://x.localhost"})
	hear("READY=1\nSTATUS=http://x.localhost")
	s.observe(agent.Event{Kind: agent.EventReconnecting, Reason: "gone\nMAINPID=1"})
	hear("STATUS=reconnecting: gone MAINPID=1")
	s.observe(agent.Event{Kind: agent.EventReady, URL: "http://x.localhost"})
	hear("STATUS=http://x.localhost")
	ctx, cancel := context.WithCancel(t.Context())
	stop := s.watch(ctx)
	hear("WATCHDOG=1")
	cancel()
	hear("STOPPING=1")
	hear("WATCHDOG=1") // until it has stopped
	// Somebody has to read, or a notification waits.
	read := make(chan struct{})
	go func() {
		defer close(read)
		for buf := make([]byte, 1<<10); ; {
			if _, err := socket.Read(buf); err != nil {
				return
			}
		}
	}()
	stop()
	socket.Close()
	<-read
}

// That systemd cannot be told is said once, until it can.
func TestServiceUnheard(t *testing.T) {
	dir, err := os.MkdirTemp("", "") // a socket's path has 104 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	address := &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"}
	t.Setenv("NOTIFY_SOCKET", address.Name)
	warnings := 0
	s := service{warn: func(string) { warnings++ }}
	tell := func(want int) {
		t.Helper()
		s.notify("WATCHDOG=1")
		s.notify("WATCHDOG=1")
		if warnings != want {
			t.Errorf("got %d warnings, want %d", warnings, want)
		}
	}
	tell(1)
	socket, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		t.Fatal(err)
	}
	tell(1)
	socket.Close()
	tell(2)
}
