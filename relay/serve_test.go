package relay

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"share/tunnel"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// A serving is a Relay that serves until the test ends.
type serving struct {
	*Relay
	t     *testing.T
	log   *lines
	addrs map[string]string // by kind of the door
	stop  context.CancelFunc
	ended chan error // what Serve returned
}

// serve runs a relay at doors of the given kinds; those other than http show
// certificate.
func serve(t *testing.T, cfg Config, certificate Certificates, kinds ...string) *serving {
	t.Helper()
	addresses := Addresses{Certificate: certificate}
	for _, kind := range kinds {
		switch kind {
		case doorHTTP:
			addresses.HTTP = "127.0.0.1:0"
		case doorHTTPS:
			addresses.HTTPS = "127.0.0.1:0"
		case doorRedirect:
			addresses.Redirect = "127.0.0.1:0"
		case doorAgents:
			addresses.Agents = "127.0.0.1:0"
		}
	}
	doors, err := addresses.Listen()
	if err != nil {
		t.Fatal(err)
	}
	return serveAt(t, cfg, doors...)
}

// serveAt runs a relay at doors.
func serveAt(t *testing.T, cfg Config, doors ...Door) *serving {
	t.Helper()
	s := &serving{t: t, log: &lines{}, addrs: make(map[string]string), ended: make(chan error, 1)}
	cfg.Logger = newLogger(s.log)
	if cfg.Grace == 0 {
		cfg.Grace = patience
	}
	var err error
	if s.Relay, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	for _, d := range doors {
		s.addrs[d.Kind] = d.Addr().String()
	}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	go func() {
		s.ended <- s.Serve(ctx, doors...)
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.stop()
		s.Cut()
		for range s.ended {
		}
	})
	return s
}

// dial connects to the door of a kind.
func (s *serving) dial(kind string) net.Conn {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.addrs[kind])
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return nc
}

// dialTLS connects over TLS.
func (s *serving) dialTLS(kind string, version uint16, protocols ...string) (*tls.Conn, error) {
	tc := tls.Client(s.dial(kind), &tls.Config{InsecureSkipVerify: true, NextProtos: protocols, MaxVersion: version})
	return tc, tc.Handshake()
}

// An agent is one end of a session, and what its relay says.
type agent struct {
	*tunnel.Session
	t *testing.T
}

// connect opens a session over conn.
func connect(t *testing.T, conn net.Conn, hello tunnel.Hello, handler func(*tunnel.Exchange), first ...tunnel.Message) (*agent, error) {
	conn.SetDeadline(time.Time{})
	session, err := tunnel.Connect(t.Context(), conn, hello, first...)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	wg.Go(func() { session.Serve(context.Background(), handler) })
	t.Cleanup(func() {
		session.Close()
		wg.Wait()
	})
	return &agent{session, t}, nil
}

// agent connects in plain and binds name, whose requests handler answers.
func (s *serving) agent(name string, handler func(*tunnel.Exchange)) *agent {
	s.t.Helper()
	a, err := connect(s.t, s.dial(doorHTTP), tunnel.Hello{}, handler, &tunnel.Bind{ID: 1, Kind: "http", Name: name, Holder: "test"})
	if err != nil {
		s.t.Fatal(err)
	}
	if m, ok := a.receive().(*tunnel.Bound); !ok {
		s.t.Fatalf("%q is not bound: %#v", name, m)
	}
	return a
}

// receive returns the relay's next message, nil if the session has ended.
func (a *agent) receive() tunnel.Message {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m, err := a.Receive(ctx)
	if ctx.Err() != nil {
		a.t.Fatal("no message")
	}
	if err != nil {
		return nil
	}
	return m
}

// bind asks for a name and returns the answer.
func (a *agent) bind(b tunnel.Bind) tunnel.Message {
	a.t.Helper()
	if b.Kind == "" {
		b.Kind = "http"
	}
	if err := a.Send(&b); err != nil {
		a.t.Fatal(err)
	}
	return a.receive()
}

// get asks for host over nc and returns the answer.
func get(t *testing.T, nc net.Conn, host string) (*http.Response, string) {
	t.Helper()
	if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return answerOf(t, nc)
}

// later is get in the background. An error stands where the body would.
func later(nc net.Conn, host string) <-chan string {
	bodies := make(chan string, 1)
	go func() { // ended by nc's deadline
		_, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		body := ""
		if err == nil {
			_, body, err = readAnswer(nc)
		}
		if err != nil {
			body = err.Error()
		}
		bodies <- body
	}()
	return bodies
}

// answerOf reads the answer to a GET.
func answerOf(t *testing.T, nc net.Conn) (*http.Response, string) {
	t.Helper()
	resp, body, err := readAnswer(nc)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func readAnswer(nc net.Conn) (*http.Response, string, error) {
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// say is a handler that answers with text.
func say(text string) func(*tunnel.Exchange) {
	return func(x *tunnel.Exchange) {
		x.SendResponse(&tunnel.Response{Status: 200, ContentLength: int64(len(text))})
		io.WriteString(x, text)
		x.End(nil)
	}
}

// until waits until is holds.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// await fails the test unless something comes in time.
func await[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: nothing after %v", what, patience)
	}
	return v
}

// lines gathers a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newLogger(l *lines) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *lines) has(text string) bool { return strings.Contains(l.String(), text) }

// line reports whether one line has all of texts.
func (l *lines) line(texts ...string) bool {
	for line := range strings.Lines(l.String()) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			return true
		}
	}
	return false
}

// writePair writes a new certificate for names, and its key, to files of dir.
func writePair(t *testing.T, dir string, names ...string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: names, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// newCertificate returns a Certificate for names.
func newCertificate(t *testing.T, names ...string) *Certificate {
	t.Helper()
	c, err := LoadCertificate(writePair(t, t.TempDir(), names...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
