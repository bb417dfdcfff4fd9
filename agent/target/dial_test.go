package target

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"share/tunnel"
)

// closedPort returns an address that nothing listens on, nor will while the
// test runs: it is one end of a connection.
func closedPort(t testing.TB) string {
	t.Helper()
	s := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

func TestRefused(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "no.sock")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{
		closedPort(t), port(closedPort(t)), "h2c://" + closedPort(t), "https://" + closedPort(t), "h2://" + closedPort(t),
		"unix:" + missing, "unix:" + file, "unix:" + file + "/x",
	} {
		t.Run(addr, func(t *testing.T) {
			r := newRig(t, addr, Config{})
			for _, method := range []string{"GET", "HEAD", "POST"} {
				q, body := request(method, "/"), ""
				if method == "POST" {
					body = strings.Repeat("x", 256<<10)
					q = request(method, "/", "Content-Length: 262144")
				}
				a := r.ask(q, body)
				failed(t, a, tunnel.TargetRefused)
				if method == "HEAD" && a.body != "" {
					t.Errorf("HEAD has body %q", a.body)
				}
				f := r.next().failure
				if f == nil || !strings.Contains(f.Detail, "never seen up") || f.NextHop != r.target.hop {
					t.Errorf("failure %+v", f)
				}
			}
			if h := r.target.Health(); h.Up || h.Failure.Cause != tunnel.TargetRefused {
				t.Errorf("health %+v", h)
			}
		})
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := serveOn(t, ln, replies(ok))
	r := newRig(t, "unix:"+path, Config{})
	for range 3 {
		if a := r.get("/"); a.err != nil || a.body != "ok" {
			t.Fatalf("%+v", a)
		}
		r.next()
	}
	if n := s.accepted(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// What stands where the socket should is not the target.
func TestNoUnixSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("other numbers")
	}
	for _, test := range []struct {
		name  string
		place func(path string) error
	}{
		{"nothing", func(string) error { return nil }},
		{"a folder", func(path string) error { return os.Mkdir(path, 0o700) }},
		{"a file", func(path string) error { return os.WriteFile(path, nil, 0o600) }},
		{"a link to itself", func(path string) error { return os.Symlink(path, path) }},
		{"a socket of nobody", func(path string) error {
			ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
			if err == nil {
				ln.SetUnlinkOnClose(false)
				ln.Close()
			}
			return err
		}},
		{"a socket of datagrams", func(path string) error {
			c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path})
			if err == nil {
				t.Cleanup(func() { c.Close() })
			}
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			if err := test.place(path); err != nil {
				t.Fatal(err)
			}
			failed(t, newRig(t, "unix:"+path, Config{}).get("/"), tunnel.TargetRefused)
		})
	}
}

// localhost is found on whichever loopback address it listens.
func TestLocalhost(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
			if err != nil {
				t.Skipf("no %s here: %v", host, err)
			}
			serveOn(t, ln, once(ok, false))
			for _, name := range []string{"", "localhost:", "app.LOCALHOST.:"} {
				r := newRig(t, name+port(ln.Addr().String()), Config{})
				for range 2 {
					if a := r.get("/"); a.err != nil || a.body != "ok" {
						t.Fatalf("%q: %+v", name, a)
					}
				}
			}
		})
	}
}

// fakeDialer is a dialer to addr whose connects are made by connect.
func fakeDialer(t testing.TB, addr string, connect func(ctx context.Context, network, addr string) (net.Conn, error)) *dialer {
	t.Helper()
	a, err := Parse(addr)
	if err != nil {
		t.Fatal(err)
	}
	d := newDialer(&Config{Address: a})
	d.connect = connect
	return d
}

func TestLoopbackOrder(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	noIPv6 := &net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv6loopback}, Err: os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)}
	reset := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNRESET)}
	if runtime.GOOS == "windows" {
		t.Skip("other numbers")
	}
	var tried []string
	answers := map[string]error{}
	d := fakeDialer(t, "80", func(_ context.Context, _, addr string) (net.Conn, error) {
		tried = append(tried, addr)
		if err := answers[addr]; err != nil {
			return nil, err
		}
		a, b := net.Pipe()
		b.Close()
		return a, nil
	})
	for i, test := range []struct {
		six, four error
		want      string
		cause     tunnel.Cause
	}{
		{nil, nil, "[::1]:80", 0},
		{refused, nil, "[::1]:80 127.0.0.1:80", 0},
		{refused, nil, "127.0.0.1:80", 0},
		{refused, refused, "127.0.0.1:80 [::1]:80", tunnel.TargetRefused},
		{nil, refused, "127.0.0.1:80 [::1]:80", 0},
		{nil, refused, "[::1]:80", 0},
		{noIPv6, refused, "[::1]:80 127.0.0.1:80", tunnel.TargetRefused},
		{refused, context.DeadlineExceeded, "[::1]:80 127.0.0.1:80", tunnel.TargetRefused},
		{context.DeadlineExceeded, refused, "[::1]:80 127.0.0.1:80", tunnel.TargetRefused},
		{noIPv6, context.DeadlineExceeded, "[::1]:80 127.0.0.1:80", tunnel.TargetConnectTimeout},
		{reset, refused, "[::1]:80 127.0.0.1:80", tunnel.TargetClosed},
		{refused, reset, "[::1]:80 127.0.0.1:80", tunnel.TargetClosed},
	} {
		tried = nil
		answers["[::1]:80"], answers["127.0.0.1:80"] = test.six, test.four
		c, f := d.dial(t.Context())
		if c != nil {
			c.Close()
		}
		if got := strings.Join(tried, " "); got != test.want {
			t.Errorf("%d: tried %s, want %s", i, got, test.want)
		}
		if test.cause == 0 && f != nil || test.cause != 0 && (f == nil || f.Cause != test.cause) {
			t.Errorf("%d: failure %v, want %v", i, f, test.cause)
		}
	}
}

func TestConnectCause(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("other numbers")
	}
	sys := func(e syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}, Err: os.NewSyscallError("connect", e)}
	}
	for _, test := range []struct {
		err  error
		want tunnel.Cause
	}{
		{sys(syscall.ECONNREFUSED), tunnel.TargetRefused},
		{sys(syscall.ECONNRESET), tunnel.TargetClosed},
		{sys(syscall.ENOENT), tunnel.TargetRefused},
		{sys(syscall.EACCES), tunnel.TargetNotPermitted},
		{sys(syscall.EPERM), tunnel.TargetNotPermitted},
		{sys(syscall.ENETUNREACH), tunnel.TargetUnroutable},
		{sys(syscall.EHOSTUNREACH), tunnel.TargetUnroutable},
		{sys(syscall.EMFILE), tunnel.Overload},
		{sys(syscall.ENFILE), tunnel.Overload},
		{sys(syscall.EADDRNOTAVAIL), tunnel.Overload},
		{sys(syscall.ETIMEDOUT), tunnel.TargetConnectTimeout},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}, tunnel.TargetNameUnknown},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}, tunnel.TargetNameUnknown},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", IsTimeout: true}}, tunnel.TargetNameTimeout},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, tunnel.TargetConnectTimeout},
		{context.DeadlineExceeded, tunnel.TargetConnectTimeout},
		{errors.New("odd"), tunnel.Internal},
	} {
		d := fakeDialer(t, "192.0.2.1:80", func(context.Context, string, string) (net.Conn, error) { return nil, test.err })
		_, f := d.dial(t.Context())
		if f == nil || f.Cause != test.want || f.NextHop != "192.0.2.1:80" || f.By != tunnel.Agent {
			t.Errorf("%v: got %+v, want %v", test.err, f, test.want)
		}
	}
}

func TestConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := fakeDialer(t, "192.0.2.1:80", func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		began := time.Now()
		_, f := d.dial(t.Context())
		if f == nil || f.Cause != tunnel.TargetConnectTimeout || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", f, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, f = d.dial(ctx); f == nil || f.Cause != tunnel.VisitorGone {
			t.Errorf("cancelled: %v", f)
		}
	})
}

// A unix socket whose backlog is full is waited for, as TCP does by itself.
func TestBacklogFull(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows refuses")
	}
	synctest.Test(t, func(t *testing.T) {
		full := &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EAGAIN)}
		tries := 0
		d := fakeDialer(t, "unix:/x", func(context.Context, string, string) (net.Conn, error) {
			if tries++; tries < 20 {
				return nil, full
			}
			a, b := net.Pipe()
			b.Close()
			return a, nil
		})
		c, f := d.dial(t.Context())
		if f != nil {
			t.Fatal(f)
		}
		c.Close()
		d.connect = func(context.Context, string, string) (net.Conn, error) { return nil, full }
		if _, f := d.dial(t.Context()); f == nil || f.Cause != tunnel.TargetConnectTimeout {
			t.Errorf("got %v", f)
		}
	})
}

func TestHandshakeCauses(t *testing.T) {
	plain := serve(t, func(c net.Conn) {
		c.Read(make([]byte, 1))
		io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})
	silent := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	closing := serve(t, func(c net.Conn) {})
	secure := serveTLS(t, replies(ok), nil)
	for _, test := range []struct {
		name, addr string
		cfg        Config
		want       tunnel.Cause
	}{
		{"plain HTTP", "https://" + plain.addr, Config{}, tunnel.TargetTLS},
		{"plain HTTP for h2", "h2://" + plain.addr, Config{}, tunnel.TargetTLS},
		{"closes", "https://" + closing.addr, Config{}, tunnel.TargetTLS},
		{"silent", "https://" + silent.addr, Config{ConnectTimeout: 100 * time.Millisecond}, tunnel.TargetConnectTimeout},
		{"unknown authority", "https://" + secure.addr, Config{}, tunnel.TargetCertificate},
		{"other name", "https://localhost:" + port(secure.addr), Config{RootCAs: x509.NewCertPool()}, tunnel.TargetCertificate},
		{"no HTTP/2", "h2://" + secure.addr, Config{Insecure: true}, tunnel.TargetTLS},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, test.addr, test.cfg)
			failed(t, r.get("/"), test.want)
			if h := r.target.Health(); h.Up || h.Failure.Cause != test.want {
				t.Errorf("health %+v", h)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	a := Address{Scheme: HTTP, Host: "localhost", Port: 1}
	for _, cfg := range []Config{
		{},
		{Address: a, HostHeader: "a b"},
		{Address: a, HostHeader: "a\r\nb"},
		{Address: a, Hold: -1},
		{Address: a, HeaderTimeout: -1},
		{Address: a, ConnectTimeout: -1},
	} {
		if _, err := New(cfg); err == nil || strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("New(%+v): %v", cfg, err)
		}
	}
	if _, err := New(Config{Address: a, HostHeader: "Dev.Test:80"}); err != nil {
		t.Error(err)
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "just now", 12 * time.Second: "12 s ago", 119 * time.Second: "119 s ago", 2 * time.Minute: "2 min ago",
		3 * time.Hour: "3 h ago", 72 * time.Hour: "3 days ago",
	} {
		if got := ago(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	if got := fmt.Sprint(Health{}.Note(), Health{Up: true, Since: time.Now()}.Note()); got != "" {
		t.Errorf("note %q", got)
	}
}
