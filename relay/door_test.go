package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"share/tunnel"
	"share/tunnel/nbio"
)

// What a connection to each door is, by its first bytes.
func TestDoors(t *testing.T) {
	s := serve(t, Config{Domain: "share.test"}, newCertificate(t, "share.test", "*.share.test"), doorHTTP, doorHTTPS, doorAgents)
	hello := func(t *testing.T, conn net.Conn) {
		t.Helper()
		if _, err := connect(t, conn, tunnel.Hello{}, say("")); err != nil {
			t.Errorf("the agent is not let in: %v", err)
		}
	}
	home := func(t *testing.T, conn net.Conn) {
		t.Helper()
		if resp, body := get(t, conn, "share.test"); resp.StatusCode != 200 || !strings.Contains(body, "share relay") {
			t.Errorf("got %d %q", resp.StatusCode, body)
		}
	}
	closed := func(t *testing.T, conn net.Conn) {
		t.Helper()
		if b, err := io.ReadAll(conn); len(b) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %q, %v, want the connection's end", b, err)
		}
	}
	settings := func(t *testing.T, conn net.Conn) {
		t.Helper()
		head := make([]byte, 9)
		if _, err := io.ReadFull(conn, head); err != nil || head[3] != 4 {
			t.Errorf("got frame % x, %v, want SETTINGS", head, err)
		}
	}
	const preface2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"

	t.Run("plain visitor", func(t *testing.T) { home(t, s.dial(doorHTTP)) })
	t.Run("plain agent", func(t *testing.T) { hello(t, s.dial(doorHTTP)) })
	t.Run("h2c", func(t *testing.T) {
		conn := s.dial(doorHTTP)
		io.WriteString(conn, preface2)
		settings(t, conn)
	})
	for name, request := range map[string]string{
		"like an agent": "SHR1 / HTTP/1.1\r\nHost: share.test\r\n\r\n",
		"like h2c":      "PRI / HTTP/1.1\r\nHost: share.test\r\n\r\n",
		"S":             "S / HTTP/1.1\r\nHost: share.test\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn := s.dial(doorHTTP)
			for i := range len(request) { // a byte at a time
				io.WriteString(conn, request[i:i+1])
			}
			b := make([]byte, len("HTTP/1.1 405"))
			if _, err := io.ReadFull(conn, b); err != nil || string(b) != "HTTP/1.1 405" {
				t.Errorf("got %q, %v", b, err)
			}
		})
	}
	for name, garbage := range map[string]string{"TLS": "\x16\x03\x01\x00\x05hello", "zeros": strings.Repeat("\x00", 40), "SSH": "SSH-2.0-OpenSSH_9\r\n"} {
		t.Run(name+" at the plain door", func(t *testing.T) {
			conn := s.dial(doorHTTP)
			io.WriteString(conn, garbage)
			b := make([]byte, len("HTTP/1.1 400"))
			if _, err := io.ReadFull(conn, b); err != nil || string(b) != "HTTP/1.1 400" {
				t.Errorf("got %q, %v", b, err)
			}
		})
	}

	secure := func(t *testing.T, kind string, version uint16, protocols ...string) *tls.Conn {
		t.Helper()
		conn, err := s.dialTLS(kind, version, protocols...)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	t.Run("visitor over TLS", func(t *testing.T) { home(t, secure(t, doorHTTPS, 0, "http/1.1")) })
	t.Run("visitor over TLS 1.2 without ALPN", func(t *testing.T) { home(t, secure(t, doorHTTPS, tls.VersionTLS12)) })
	t.Run("h2", func(t *testing.T) {
		conn := secure(t, doorHTTPS, 0, "h2")
		io.WriteString(conn, preface2)
		settings(t, conn)
	})
	t.Run("agent over TLS", func(t *testing.T) { hello(t, secure(t, doorHTTPS, 0, tunnel.ALPN)) })
	t.Run("agent over TLS 1.2", func(t *testing.T) {
		conn, err := s.dialTLS(doorHTTPS, tls.VersionTLS12, tunnel.ALPN)
		if err == nil {
			closed(t, conn)
		}
	})
	t.Run("plain visitor at the TLS door", func(t *testing.T) {
		resp, _ := get(t, s.dial(doorHTTPS), "share.test")
		if got := resp.Header.Get("Share-Error"); resp.StatusCode != 400 || got != "bad_request" || !resp.Close {
			t.Errorf("got %d %q, close %v", resp.StatusCode, got, resp.Close)
		}
		conn := s.dial(doorHTTPS)
		io.WriteString(conn, "HEAD / HTTP/1.1\r\nHost: share.test\r\n\r\n")
		if b, err := io.ReadAll(conn); !strings.HasPrefix(string(b), "HTTP/1.1 400") || !strings.HasSuffix(string(b), "\r\n\r\n") || err != nil {
			t.Errorf("HEAD: got %q, %v", b, err)
		}
		if !s.log.line("cause=bad_request", "plain HTTP where TLS is spoken") {
			t.Errorf("log: %s", s.log)
		}
	})
	t.Run("plain agent at the TLS door", func(t *testing.T) {
		conn := s.dial(doorHTTPS)
		if _, err := connect(t, conn, tunnel.Hello{}, say("")); err == nil {
			t.Error("the agent is let in")
		}
	})

	t.Run("agent at the agents' door", func(t *testing.T) { hello(t, s.dial(doorAgents)) })
	t.Run("agent at the agents' door over TLS", func(t *testing.T) { hello(t, secure(t, doorAgents, 0, tunnel.ALPN)) })
	t.Run("agent at the agents' door without ALPN", func(t *testing.T) { closed(t, secure(t, doorAgents, 0)) })
	t.Run("agent at the agents' door over TLS 1.2", func(t *testing.T) {
		if _, err := s.dialTLS(doorAgents, tls.VersionTLS12, tunnel.ALPN); err == nil {
			t.Error("the handshake is accepted")
		}
	})
	t.Run("visitor at the agents' door", func(t *testing.T) {
		conn := s.dial(doorAgents)
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: share.test\r\n\r\n")
		closed(t, conn)
	})
	t.Run("visitor at the agents' door over TLS", func(t *testing.T) {
		if conn, err := s.dialTLS(doorAgents, 0, "http/1.1"); err == nil {
			closed(t, conn)
		}
	})
	t.Run("h2c at the agents' door", func(t *testing.T) {
		conn := s.dial(doorAgents)
		io.WriteString(conn, preface2)
		closed(t, conn)
	})
}

// A place is a connection that came in at an address of its own.
type place struct {
	net.Conn
	local net.Addr
}

func (p place) LocalAddr() net.Addr { return p.local }

// In plain the agents' door takes those of this machine.
func TestPlainAgentsBeyondLoopback(t *testing.T) {
	r, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	d := Door{Kind: doorAgents, AgentsOnly: true, Certificate: newCertificate(t, "share.test")}
	for local, want := range map[string]error{"127.0.0.1": nil, "::1": nil, "192.0.2.1": errPlain, "2001:db8::1": errPlain} {
		ours, theirs := net.Pipe()
		go io.WriteString(ours, "SHR1\x01")
		conn := place{theirs, &net.TCPAddr{IP: net.ParseIP(local)}}
		_, first, protocol, err := d.identify(context.Background(), r.tlsConfig(d), conn, patience)
		if !errors.Is(err, want) || err == nil && (protocol != tunnel.ALPN || string(first) != "SHR1\x01") {
			t.Errorf("%s: got %q, %q, %v; want %v", local, first, protocol, err, want)
		}
		ours.Close()
		theirs.Close()
	}
}

func TestReadFirst(t *testing.T) {
	const silence = "|" // the peer waits until the relay does not
	tests := []struct {
		sent string
		want string
		err  error
	}{
		{"GET", "G", nil},
		{"PRI * HTTP", "PRI *", nil},
		{"SHR1\x01{}", "SHR1\x01", nil},
		{"SHR" + silence, "SHR", nil}, // an HTTP/1.1 visitor, so far
		{"P" + silence, "P", nil},
		{silence, "", os.ErrDeadlineExceeded},
		{"", "", io.EOF},
		{"S", "S", nil},
	}
	for _, tt := range tests {
		ours, theirs := net.Pipe()
		done := make(chan bool)
		go func() {
			defer close(done)
			for i := range len(tt.sent) {
				if tt.sent[i] == silence[0] {
					theirs.SetReadDeadline(time.Unix(1, 0))
					return
				}
				if _, err := io.WriteString(ours, tt.sent[i:i+1]); err != nil {
					return
				}
			}
			ours.Close()
		}()
		got, err := readFirst(theirs, nil)
		// net.Pipe hands over what was asked for, a byte at a time.
		if string(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%q: got %q, %v; want %q, %v", tt.sent, got, err, tt.want, tt.err)
		}
		theirs.Close()
		<-done
		ours.Close()
	}
}

// What has come already is read whole; what tells no protocol is waited for.
func TestIdentifyAtOnce(t *testing.T) {
	const ask = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	hello := "SHR1\x01" + strings.Repeat("x", 100)
	tests := []struct{ sent, later, first, protocol, rest string }{
		{ask, "", ask, "", ""},
		{hello, "", hello, tunnel.ALPN, ""},
		{"PRI * HTTP/2.0\r\n", "", "PRI * HTTP/2.0\r\n", "h2", ""},
		{"SHR", "1\x01{}", "SHR1\x01", tunnel.ALPN, "{}"},
		{"PO", "ST /", "POST ", "", "/"},
		{"", ask, ask[:1], "", ask[1:]},
	}
	ln, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, tt := range tests {
		far, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		near, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn, ok := nbio.New(near).(*nbio.Conn)
		if !ok {
			t.Skip("sockets cannot be tried on this system")
		}
		conn.Unread([]byte(tt.sent))
		go func() { // ended by far's end
			io.WriteString(far, tt.later)
			far.(*net.TCPConn).CloseWrite()
		}()
		d := Door{Kind: doorHTTP}
		nc, first, protocol, err := d.identify(t.Context(), nil, conn, patience)
		// Without a word ahead, more may have come by the time of a look.
		if tt.sent == "" && err == nil {
			nc = unread(nc, first[1:])
			first = first[:1]
		}
		if err != nil || string(first) != tt.first || protocol != tt.protocol {
			t.Errorf("%q: got %q, %q, %v; want %q, %q", tt.sent, first, protocol, err, tt.first, tt.protocol)
		} else if rest, err := io.ReadAll(nc); err != nil || string(rest) != tt.rest {
			t.Errorf("%q: %q, %v is left, want %q", tt.sent, rest, err, tt.rest)
		}
		near.Close()
		far.Close()
	}
}

// A certificate that no longer loads is told of when a visitor comes.
func TestCertificateProblemIsLogged(t *testing.T) {
	certificate := newCertificate(t, "share.test", "*.share.test")
	s := serve(t, Config{Domain: "share.test"}, certificate, doorHTTPS)
	os.WriteFile(certificate.keyFile, []byte("broken"), 0o600)
	touch(t, certificate, time.Hour)
	for range 3 {
		due(certificate)
		if _, err := s.dialTLS(doorHTTPS, 0, "http/1.1"); err != nil {
			t.Error(err)
		}
	}
	if got := strings.Count(s.log.String(), "the new certificate is not used"); got != 1 {
		t.Errorf("it is logged %d times: %s", got, s.log)
	}
}

// A certificate that covers too little is told of at the start.
func TestCertificateOfAnotherDomain(t *testing.T) {
	s := serve(t, Config{Domain: "share.test"}, newCertificate(t, "share.test"), doorHTTPS)
	s.dial(doorHTTPS) // it serves
	until(t, "the warning", func() bool {
		return s.log.has("does not cover the domain and its wildcard\" host=*.share.test")
	})
	if s.log.has("host=share.test") {
		t.Errorf("the domain that it covers is warned of: %s", s.log)
	}
}
