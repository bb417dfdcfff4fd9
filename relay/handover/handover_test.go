//go:build unix

package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"share/relay/route"
)

// pair returns the two ends of a conversation.
func pair(t testing.TB) (one, other *Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]*Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		nc, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = &Conn{unix: nc.(*net.UnixConn)}
		t.Cleanup(func() { conns[i].Close() })
	}
	return conns[0], conns[1]
}

// What is passed is the same socket: who connects to it may be accepted by
// either process.
func TestPass(t *testing.T) {
	one, other := pair(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	sockets := []Socket{{Kind: "http", Net: "tcp", Addr: "127.0.0.1:0"}, {Kind: "dns", Net: "udp", Addr: ":53", Activated: true}}
	sent := Message{Step: Offer, PID: 7, Sockets: sockets}
	if err := one.Send(t.Context(), sent, tcp.(*net.TCPListener), udp.(*net.UDPConn)); err != nil {
		t.Fatal(err)
	}
	m, err := other.Receive(t.Context(), Offer)
	if err != nil || fmt.Sprint(*m) != fmt.Sprint(sent) {
		t.Fatalf("got %+v, %v, want %+v", m, err, sent)
	}
	files := other.Files()
	if len(files) != 2 || len(other.Files()) != 0 {
		t.Fatalf("%d descriptors came, and %d are left", len(files), len(other.Files()))
	}
	ln, err := net.FileListener(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pc, err := net.FilePacketConn(files[1])
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	for _, f := range files {
		f.Close()
	}
	if got, want := pc.LocalAddr().String(), udp.LocalAddr().String(); got != want {
		t.Errorf("the UDP socket is at %s, want %s", got, want)
	}
	waiting, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	tcp.Close()
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

// A process that takes nothing any more is not waited for, whatever it is told.
func TestSendToTheDeaf(t *testing.T) {
	one, _ := pair(t)
	one.patience = 10 * time.Millisecond
	ended := time.AfterFunc(10*time.Second, func() { one.unix.Close() })
	defer ended.Stop()
	held := Message{Step: Held, Names: []route.Held{{Name: strings.Repeat("x", 64<<10)}}}
	var err error
	for err == nil {
		err = one.Send(t.Context(), held)
	}
	if !strings.Contains(err.Error(), `did not take "held"`) {
		t.Errorf("got %v", err)
	}
}

func TestReceive(t *testing.T) {
	tests := []struct {
		said, want string // in the error
	}{
		{`{"step":"ready","new":{"a":[1]}}` + "\n", ""},
		{`{"step":"ready"}` + "\n" + `{"step":"go"}` + "\n", ""},
		{`{"step":"go"}` + "\n", `says "go" where "ready" is due`},
		{`{"step":"failed","reason":"the port is taken"}` + "\n", "the port is taken"},
		{`{"step":"` + strings.Repeat("x", 999) + `"}` + "\n", "is due"},
		{`ready` + "\n", "no message"},
		{`{"step":"ready"}`, "has ended"},
		{``, "has ended"},
		{strings.Repeat(" ", maxMessage+1), "more than"},
		{`{"step":"ready","names":[` + strings.Repeat(`{},`, NamesAtOnce) + `{}]}` + "\n", "too much"},
		{`{"step":"ready","sockets":[` + strings.Repeat(`{},`, maxSockets) + `{}]}` + "\n", "too much"},
	}
	for _, tt := range tests {
		one, other := pair(t)
		go func() { // ended by the end of one
			io.WriteString(one.unix, tt.said)
			one.unix.Close()
		}()
		m, err := other.Receive(t.Context(), Ready)
		if tt.want == "" && (err != nil || m.Step != Ready) || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 400) {
			t.Errorf("%.60q: got %v, want %q", tt.said, err, tt.want)
		}
		other.Close()
	}
}

// Each waits for the other as long as its context does.
func TestReceiveEnds(t *testing.T) {
	one, _ := pair(t)
	why := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, why)
	defer cancel()
	if _, err := one.Receive(ctx, Ready); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	long := Message{Step: Held, Names: []route.Held{{Name: strings.Repeat("x", 8<<20)}}}
	if err := one.Send(ctx, long); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

// A refusal, and what knows no handover, are told apart.
func TestAsk(t *testing.T) {
	refuse := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string // in the error
	}{
		{"accepts", func(w http.ResponseWriter, req *http.Request) {
			if !Asks(req) || req.Method != "POST" || req.URL.Path != Path {
				t.Errorf("%s %s %v", req.Method, req.URL, req.Header)
			}
			c, err := Accept(w)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if _, err := c.Receive(context.Background(), Want); err != nil {
				t.Error(err)
			}
			c.Fail(errors.New("not today"))
		}, ""},
		{"is too old", http.NotFound, ErrTooOld.Error()},
		{"has no such method", refuse(405, ""), ErrTooOld.Error()},
		{"is ending", refuse(503, `{"detail":"it is"}`+"\n"), ErrEnding.Error()},
		{"is busy", refuse(409, `{"detail":"another does"}`+"\n"), "another does"},
		{"is broken", refuse(500, "oops\n"), "500 Internal Server Error"},
		{"says nothing", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, "has ended"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			ln, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewUnstartedServer(tt.handler)
			srv.Listener.Close()
			srv.Listener = ln
			srv.Start()
			defer srv.Close()
			c, err := Ask(t.Context(), path)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Send(t.Context(), Message{Step: Want}); err != nil {
				t.Fatal(err)
			}
			_, err = c.Receive(t.Context(), Offer)
			if f, ok := errors.AsType[*FailedError](err); !ok || f.Reason != "not today" {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := Ask(t.Context(), filepath.Join(t.TempDir(), "nobody")); !errors.Is(err, ErrNoRelay) {
		t.Errorf("nobody listens: %v", err)
	}
}

// FuzzReceive: whatever comes, it is taken for a message that was due, or refused
// in a line of bounded length; nothing behind the message is eaten.
func FuzzReceive(f *testing.F) {
	f.Add([]byte(`{"step":"held","names":[{"name":"x","account":"a","holder":"h"}]}`))
	f.Add([]byte(`{"step":"failed","reason":"\u0000"}`))
	f.Add([]byte(`{"step":"go"`))
	f.Fuzz(func(t *testing.T, said []byte) {
		if strings.Contains(string(said), "\n") {
			return
		}
		one, other := pair(t)
		go func() { // ended by the end of one
			one.unix.Write(append(said, "\n"+`{"step":"lent"}`+"\n"...))
			one.unix.Close()
		}()
		m, err := other.Receive(t.Context(), Held, Go)
		if err == nil && m.Step != Held && m.Step != Go {
			t.Errorf("took %q", m.Step)
		}
		if err != nil && len(err.Error()) > 2000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		if _, err := other.Receive(t.Context(), Lent); err != nil {
			t.Errorf("the next message: %v", err)
		}
		other.Close()
	})
}
