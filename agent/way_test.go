package agent

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"share/tunnel"
	"share/tunnel/websock"
)

// upgrade answers one request on conn: as a WebSocket, whose echo it then is,
// or with status.
func upgrade(conn net.Conn, status string) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	if status != "" || r.URL.Path != tunnel.ConnectPath {
		io.WriteString(conn, "HTTP/1.1 "+status+"\r\nContent-Length: 0\r\n\r\n")
		return
	}
	if ws, err := websock.Accept(conn, r.Header.Get("Sec-WebSocket-Key")); err == nil {
		io.Copy(ws, ws)
		ws.Close()
	}
}

// tried gathers what a server was tried with.
type tried struct {
	mu  sync.Mutex
	all []string // guarded by mu
}

func (s *tried) add(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, what)
}

func (s *tried) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
}

func (s *tried) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

func (s *tried) want(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.all, want) {
		t.Errorf("tried %q, want %q", s.all, want)
	}
}

// greetEcho is a greeting that an echo answers.
func greetEcho(conn net.Conn) error {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "SHR1"); err != nil {
		return err
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if string(got) != "SHR1" {
		return tunnel.ErrNotRelay
	}
	return nil
}

// A server of TLS that is not the relay itself, or what stands before it, is
// passed by a WebSocket, and from then on at once.
func TestReachPastTLS(t *testing.T) {
	cert, pool := newCert(t, "localhost")
	for name, link := range map[string]func(net.Conn, *tls.Config) *tls.Config{
		"no ALPN":      func(_ net.Conn, c *tls.Config) *tls.Config { c.NextProtos = nil; return c },
		"another ALPN": func(_ net.Conn, c *tls.Config) *tls.Config { return c },
		"old TLS":      func(_ net.Conn, c *tls.Config) *tls.Config { c.MaxVersion = tls.VersionTLS12; return c },
		"an end":       func(conn net.Conn, _ *tls.Config) *tls.Config { conn.Close(); return nil },
		"a reset": func(conn net.Conn, _ *tls.Config) *tls.Config {
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
			return nil
		},
		"silence": func(conn net.Conn, _ *tls.Config) *tls.Config {
			io.Copy(io.Discard, conn)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			var seen tried
			addr := listen(t, func(conn net.Conn) {
				defer conn.Close()
				tconn := tls.Server(conn, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
					seen.add(strings.Join(h.SupportedProtos, " "))
					config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
					if slices.Contains(h.SupportedProtos, tunnel.ALPN) {
						config = link(conn, config)
					} else if name == "old TLS" {
						config.MaxVersion = tls.VersionTLS12
					}
					if config == nil {
						return nil, net.ErrClosed
					}
					return config, nil
				}})
				if tconn.Handshake() == nil {
					upgrade(tconn, "")
				}
			})
			d := newDialer(&Config{Relay: mustRelay(t, "https://"+addr), RelayCA: pool})
			d.patience = patience
			if name == "silence" {
				d.patience = 200 * time.Millisecond
			}
			p, err := d.reach(t.Context(), greetEcho)
			if err != nil || p.way != waySocket || p.via() != "WebSocket" {
				t.Fatalf("got %+v, %v", p, err)
			}
			if w := p.warning(); !strings.Contains(w, "can read the token") || strings.Contains(w, "\n") {
				t.Errorf("the warning is %q", w)
			}
			seen.want(t, tunnel.ALPN, "http/1.1")
			if p, err = d.reach(t.Context(), greetEcho); err != nil || p.way != waySocket || p.warning() != "" {
				t.Errorf("again: %+v, %v, %q", p, err, p.warning())
			}
			conn, err := d.dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantEcho(t, conn)
			seen.want(t, tunnel.ALPN, "http/1.1", "http/1.1", "http/1.1")
		})
	}
}

// In plain the answer to the preface decides.
func TestReachPastHTTP(t *testing.T) {
	for name, answer := range map[string]string{"HTTP": "HTTP/1.1 400 Bad Request\r\n\r\n", "an end": ""} {
		t.Run(name, func(t *testing.T) {
			var seen tried
			addr := listen(t, func(conn net.Conn) {
				defer conn.Close()
				r := bufio.NewReader(conn)
				first, _ := r.Peek(4)
				seen.add(string(first))
				if string(first) == "SHR1" {
					r.Discard(4)
					io.WriteString(conn, answer)
					return
				}
				upgrade(&readAhead{conn, r}, "")
			})
			d := newDialer(&Config{Relay: mustRelay(t, "http://"+addr)})
			p, err := d.reach(t.Context(), greetEcho)
			if err != nil || p.way != waySocket {
				t.Fatalf("got %+v, %v", p, err)
			}
			if w := p.warning(); !strings.HasPrefix(w, "the relay is reached by WebSocket: ") || strings.Contains(w, "token") {
				t.Errorf("the warning is %q", w)
			}
			seen.want(t, "SHR1", "GET ")
		})
	}
}

// readAhead is a connection some of whose bytes were read.
type readAhead struct {
	net.Conn
	r *bufio.Reader
}

func (c *readAhead) Read(p []byte) (int, error) { return c.r.Read(p) }

// What no other way helps with is not tried twice, and keeps its meaning.
func TestReachGivesUp(t *testing.T) {
	cert, pool := newCert(t, "localhost")
	var seen tried
	serve := func(protocols ...string) string {
		return listen(t, func(conn net.Conn) {
			seen.add("conn")
			echo(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protocols}))
		})
	}
	relay := serve(tunnel.ALPN)
	refused := &tunnel.RejectError{Code: tunnel.RejectToken}
	for name, tt := range map[string]struct {
		d     *dialer
		greet error
		conns int
	}{
		"nothing listens": {newDialer(&Config{Relay: mustRelay(t, "https://"+closedAddr(t))}), nil, 0},
		"no trust":        {newDialer(&Config{Relay: mustRelay(t, "https://"+relay)}), nil, 1},
		"a refusal":       {newDialer(&Config{Relay: mustRelay(t, "https://"+relay), RelayCA: pool}), refused, 1},
		"a relay's end":   {newDialer(&Config{Relay: mustRelay(t, "https://"+relay), RelayCA: pool}), io.ErrUnexpectedEOF, 1},
	} {
		seen.reset()
		_, err := tt.d.reach(t.Context(), func(conn net.Conn) error { conn.Close(); return tt.greet })
		if err == nil || tt.greet != nil && !errors.Is(err, tt.greet) {
			t.Errorf("%s: got %v", name, err)
		}
		if n := seen.count(); errors.Is(err, tunnel.ErrNotRelay) || n != tt.conns {
			t.Errorf("%s: got %v behind %d connections, want %d", name, err, n, tt.conns)
		}
	}
	// The context's end is the end of it.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newDialer(&Config{Relay: mustRelay(t, "https://"+relay), RelayCA: pool}).reach(ctx, greetEcho); err == nil {
		t.Error("a dial whose context has ended succeeds")
	}
}

// Only where each way leads to something that is no relay, there is none.
func TestReachNotARelay(t *testing.T) {
	cert, pool := newCert(t, "localhost")
	for status, notRelay := range map[string]bool{
		"200 OK": true, "404 Not Found": true, "403 Forbidden": true, "301 Moved Permanently": true, "500 Internal Server Error": true,
		"502 Bad Gateway": false, "503 Service Unavailable": false, "504 Gateway Timeout": false, "429 Too Many Requests": false,
	} {
		addr := listen(t, func(conn net.Conn) {
			upgrade(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}), status)
		})
		_, err := newDialer(&Config{Relay: mustRelay(t, "https://"+addr), RelayCA: pool}).reach(t.Context(), greetEcho)
		if err == nil || errors.Is(err, tunnel.ErrNotRelay) != notRelay {
			t.Errorf("%s: got %v, want not a relay: %v", status, err, notRelay)
		}
	}
}

// A relay that was reached by WebSocket and is so no more is looked for
// without one.
func TestReachBack(t *testing.T) {
	addr := listen(t, echo)
	d := newDialer(&Config{Relay: mustRelay(t, "http://"+addr)})
	d.last.Store(uint32(waySocket))
	p, err := d.reach(t.Context(), greetEcho)
	if err != nil || p.way != wayLink || !strings.Contains(p.warning(), "without a WebSocket again") {
		t.Errorf("got %+v, %v, %q", p, err, p.warning())
	}
	if p, err = d.reach(t.Context(), greetEcho); err != nil || p.warning() != "" {
		t.Errorf("again: %+v, %v", p, err)
	}
}

// A relay that was met, and now takes connections without an answer, is given
// some time before another way is tried.
func TestReachIsPatient(t *testing.T) {
	cert, pool := newCert(t, "localhost")
	var down atomic.Bool
	var seen tried
	addr := listen(t, func(conn net.Conn) {
		defer conn.Close()
		tconn := tls.Server(conn, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			seen.add(h.SupportedProtos[0])
			if down.Load() {
				conn.Close()
			}
			return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{tunnel.ALPN}}, nil
		}})
		echo(tconn)
	})
	d := newDialer(&Config{Relay: mustRelay(t, "https://"+addr), RelayCA: pool})
	if p, err := d.reach(t.Context(), greetEcho); err != nil || p.via() != "" || p.warning() != "" {
		t.Fatalf("got %+v, %v", p, err)
	}
	down.Store(true)
	for range maxSilences {
		seen.want(t, slices.Repeat([]string{tunnel.ALPN}, seen.count())...)
		if _, err := d.reach(t.Context(), greetEcho); err == nil || errors.Is(err, tunnel.ErrNotRelay) {
			t.Errorf("got %v", err)
		}
	}
	seen.want(t, tunnel.ALPN, tunnel.ALPN, tunnel.ALPN, tunnel.ALPN, "http/1.1")
	down.Store(false)
	if p, err := d.reach(t.Context(), greetEcho); err != nil || p.via() != "" {
		t.Errorf("got %+v, %v", p, err)
	}
}

// What intercepts TLS, behind a proxy that knows CONNECT, is passed by a
// WebSocket through both; where a proxy does not know CONNECT, in plain, by a
// request to the proxy. Nothing goes past a proxy.
func TestReachThroughProxy(t *testing.T) {
	cert, pool := newCert(t, "relay.example")
	var seen tried
	addr := listen(t, func(conn net.Conn) {
		defer conn.Close()
		r := bufio.NewReader(conn)
		first, err := r.Peek(4)
		if err != nil {
			return
		}
		if string(first) == "GET " {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			seen.add("GET " + req.RequestURI + " " + req.Header.Get("Proxy-Authorization"))
			ws, err := websock.Accept(conn, req.Header.Get("Sec-WebSocket-Key"))
			if err == nil {
				io.Copy(ws, ws)
				ws.Close()
			}
			return
		}
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		seen.add("CONNECT " + req.RequestURI + " " + req.Header.Get("Proxy-Authorization"))
		if req.URL.Port() == "80" {
			io.WriteString(conn, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		upgrade(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}), "")
	})
	through := func(relay string) *dialer {
		return newDialer(&Config{Relay: mustRelay(t, relay), RelayCA: pool, Proxy: func(*url.URL) (*url.URL, error) {
			return url.Parse("http://u:p@" + addr)
		}})
	}
	p, err := through("https://relay.example").reach(t.Context(), greetEcho)
	if err != nil || p.via() != "WebSocket through proxy "+addr {
		t.Errorf("got %+v, %v", p, err)
	}
	seen.want(t, "CONNECT relay.example:443 Basic dTpw", "CONNECT relay.example:443 Basic dTpw")
	seen.reset()
	if p, err = through("http://relay.example").reach(t.Context(), greetEcho); err != nil || p.via() != "WebSocket through proxy "+addr {
		t.Errorf("got %+v, %v", p, err)
	}
	seen.want(t, "CONNECT relay.example:80 Basic dTpw", "GET http://relay.example/.share/connect Basic dTpw")
	seen.reset()
	_, err = through("https://relay.example:80").reach(t.Context(), greetEcho)
	if refused, ok := errors.AsType[*proxyError](err); !ok || refused.status != 405 {
		t.Errorf("got %v", err)
	}
	seen.want(t, "CONNECT relay.example:80 Basic dTpw")
}

// An agent whose relay is behind a front says which way it went, and comes
// back by it.
func TestRunByWebSocket(t *testing.T) {
	relay := newFakeRelay(t)
	front := listen(t, func(conn net.Conn) {
		r := bufio.NewReader(conn)
		req, err := http.ReadRequest(r)
		if err != nil {
			io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			conn.Close()
			return
		}
		ws, err := websock.Accept(conn, req.Header.Get("Sec-WebSocket-Key"))
		if err != nil {
			return
		}
		relay.serveAgent(ws)
	})
	r := start(t, Config{Relay: mustRelay(t, "http://"+front), Token: secret, Name: "web", Target: newTarget(t, hello)})
	if e := r.event(EventWarning); !strings.Contains(e.Message, "reached by WebSocket") {
		t.Errorf("warning: %q", e.Message)
	}
	for range 2 {
		if e := r.event(EventReady); !e.Verified || e.Via != "WebSocket" {
			t.Errorf("ready: %+v", e)
		}
		s := relay.waitBound()
		if a := ask(s, get("/a")); a.err != nil || a.body != "hello from /a" {
			t.Errorf("exchange: %+v", a)
		}
		s.Close()
	}
}
