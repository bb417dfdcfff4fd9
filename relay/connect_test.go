package relay

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"share/tunnel"
	"share/tunnel/websock"
)

// dialSocket comes by WebSocket to the door of a kind.
func (s *serving) dialSocket(kind, host string) net.Conn {
	s.t.Helper()
	var conn net.Conn
	var err error
	if kind == doorHTTPS {
		conn, err = s.dialTLS(kind, 0, "http/1.1")
	} else {
		conn = s.dial(kind)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	ws, err := websock.Dial(s.t.Context(), conn, websock.Request{Host: host, Path: tunnel.ConnectPath})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { ws.Close() })
	return ws
}

// An agent that comes by WebSocket serves, has lanes, and is told of a drain,
// as others do.
func TestAgentByWebSocket(t *testing.T) {
	s := serve(t, Config{Domain: "share.test"}, newCertificate(t, "share.test", "*.share.test"), doorHTTP, doorHTTPS)
	for name, kind := range map[string]string{"plain": doorHTTP, "tls": doorHTTPS} {
		a, err := connect(t, s.dialSocket(kind, "share.test"), tunnel.Hello{}, say(name), &tunnel.Bind{ID: 1, Kind: "http", Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := a.receive().(*tunnel.Bound); !ok {
			t.Fatalf("%s: got %+v", name, m)
		}
		if resp, body := get(t, s.dial(doorHTTP), name+".share.test"); resp.StatusCode != 200 || body != name {
			t.Errorf("%s: got %d %q", name, resp.StatusCode, body)
		}
		lane := s.dialSocket(kind, "share.test")
		joined := make(chan error, 1)
		go func() { joined <- a.Join(t.Context(), lane, tunnel.Hello{}) }() // ends with the session
		until(t, "the lane", func() bool { return a.Lanes() == 2 })
		defer func() {
			if err := await(t, joined, "the lane's end"); err == nil {
				t.Error("a lane ends without an error")
			}
		}()
		defer a.Close()
		defer func() {
			if m, ok := a.receive().(*tunnel.Drain); !ok {
				t.Errorf("%s: got %+v instead of the drain", name, m)
			}
		}()
	}
	s.stop()
}

// Refusals arrive by WebSocket, too, and what never says who it is loses the
// connection.
func TestAgentByWebSocketRefused(t *testing.T) {
	var tokens Tokens
	tokens.Add("ann", "secret")
	s := serve(t, Config{Tokens: tokens}, nil, doorHTTP)
	_, err := connect(t, s.dialSocket(doorHTTP, "localhost"), tunnel.Hello{Token: "other"}, say(""), &tunnel.Bind{ID: 1, Kind: "http", Name: "x"})
	if refused, ok := errors.AsType[*tunnel.RejectError](err); !ok || refused.Code != tunnel.RejectToken {
		t.Errorf("a wrong token: %v", err)
	}
	for name, preface := range map[string]string{
		"too long":   "SHR1\x01\x01\x01\x00\x00\x00\x20\x01",
		"no relay":   "GET / HTTP/1.1\r\n\r\n",
		"unfinished": "SHR1\x01\x01",
	} {
		conn := s.dialSocket(doorHTTP, "localhost")
		io.WriteString(conn, preface)
		began := time.Now()
		conn.SetDeadline(began.Add(patience))
		_, err := io.Copy(io.Discard, conn)
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			t.Errorf("%s: the connection is still open", name)
		}
		if took := time.Since(began); name != "unfinished" && took >= agentTimeout {
			t.Errorf("%s: it took %v", name, took)
		}
	}
	if s.log.has("secret") {
		t.Errorf("a token is in the log: %s", s.log)
	}
}

// A front adds fields to the request that goes through it.
type front struct {
	net.Conn
	fields string
	passed bool
}

func (f *front) Write(p []byte) (int, error) {
	if f.passed {
		return f.Conn.Write(p)
	}
	f.passed = true
	_, err := f.Conn.Write(bytes.Replace(p, []byte("\r\n\r\n"), []byte("\r\n"+f.fields+"\r\n"), 1))
	return len(p), err
}

// A token that came through a front in plain is let in if the front is trusted
// to have had it over TLS.
func TestAgentBehindFront(t *testing.T) {
	var tokens Tokens
	tokens.Add("ann", "secret")
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, tt := range []struct {
		name     string
		fields   string
		local    string // where the front reaches the relay
		trusted  []netip.Prefix
		insecure bool
		want     tunnel.RejectCode
	}{
		{"on this machine", "", "127.0.0.1", nil, false, ""},
		{"from afar", "", "192.0.2.1", loopback, false, tunnel.RejectInsecure},
		{"over TLS", "X-Forwarded-Proto: https\r\n", "192.0.2.1", loopback, false, ""},
		{"over TLS, as nobody knows", "X-Forwarded-Proto: https\r\n", "192.0.2.1", nil, false, tunnel.RejectInsecure},
		{"over plain HTTP", "X-Forwarded-Proto: http\r\n", "192.0.2.1", loopback, false, tunnel.RejectInsecure},
		{"insecure at both ends", "", "192.0.2.1", nil, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, Config{Tokens: tokens, Insecure: tt.insecure, TrustedProxies: tt.trusted}, nil, doorHTTP)
			until(t, "the relay", func() bool { return s.log.has("listening") })
			accepted, near := socketPair(t)
			conn := place{accepted, &net.TCPAddr{IP: net.ParseIP(tt.local)}}
			served := make(chan struct{})
			go func() { // ended by the handshake
				defer close(served)
				s.edge.Serve(conn, conn, nil, nil)
			}()
			ws, err := websock.Dial(t.Context(), &front{Conn: near, fields: tt.fields}, websock.Request{Host: "localhost", Path: tunnel.ConnectPath})
			if err != nil {
				t.Fatal(err)
			}
			_, err = connect(t, ws, tunnel.Hello{Token: "secret", Insecure: tt.insecure}, say(""))
			refused, ok := errors.AsType[*tunnel.RejectError](err)
			if ok != (tt.want != "") || ok && refused.Code != tt.want {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			await(t, served, "the handshake")
		})
	}
}

// A relay for one agent takes no other by WebSocket.
func TestSoleHasNoWebSocket(t *testing.T) {
	s := serve(t, Config{Sole: true}, nil, doorHTTP)
	for _, host := range []string{"localhost", "127.0.0.1", "x.localhost", "share.test"} {
		_, err := websock.Dial(t.Context(), s.dial(doorHTTP), websock.Request{Host: host, Path: tunnel.ConnectPath})
		if status, ok := errors.AsType[*websock.StatusError](err); !ok || status.Status != 404 {
			t.Errorf("%s: got %v", host, err)
		}
	}
}
