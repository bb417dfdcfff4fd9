package admin

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"share/relay/account"
	"share/relay/route"
	"share/relay/store"
)

// pipes is a listener whose connections come by dial.
type pipes struct {
	conns chan net.Conn
	over  chan struct{} // closed by Close
	close func()
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn), over: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.over) })
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.close()
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial connects from an address, and returns once that is taken.
func (p *pipes) dial(from string) net.Conn {
	client, server := net.Pipe()
	p.conns <- &piped{server, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from))}
	return client
}

// A piped is a connection that comes from an address.
type piped struct {
	net.Conn
	addr net.Addr
}

func (p *piped) RemoteAddr() net.Addr { return p.addr }

// serveSlowly serves r, with a store of its own, until the test ends. It is for a
// bubble of synctest.
func serveSlowly(t *testing.T, serve func(context.Context, net.Listener, *Relay) error) (*pipes, store.Store) {
	t.Helper()
	s := openStore(t)
	r := &Relay{Accounts: account.New(s), Names: route.NewRegistry(), State: func() State { return State{} }}
	r.Names.Accounts = r.Accounts
	p := newPipes()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, p, r) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return p, s
}

// request sends a request over conn.
func request(t *testing.T, conn net.Conn, path, token string) {
	t.Helper()
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
}

// A slow is a connection over which little comes in a second.
type slow struct{ net.Conn }

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(time.Second) // of the bubble
	return s.Conn.Read(p[:min(len(p), 1<<10)])
}

// A backup may take its time, longer than any other call, if it is taken.
func TestSlowBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := serveSlowly(t, Serve)
		if _, err := s.Commit(t.Context(), nil, []store.Write{{Key: "large", Value: make([]byte, store.MaxValue)}}); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name  string
			pause time.Duration
			whole bool
		}{{"slow", 0, true}, {"stalled", stallTimeout + time.Second, false}} {
			conn := p.dial("192.0.2.1:1")
			request(t, conn, "/v1/backup", "")
			time.Sleep(tt.pause)
			began := time.Now()
			resp, err := http.ReadResponse(bufio.NewReader(slow{conn}), nil)
			if err == nil {
				err = store.CheckBackup(t.Context(), resp.Body)
			}
			if (err == nil) != tt.whole {
				t.Errorf("%s: %v", tt.name, err)
			}
			if took := time.Since(began); tt.whole && took <= callTimeout {
				t.Errorf("%s: it took %v only", tt.name, took)
			}
			conn.Close()
		}
	})
}

// A process is watched for as long as was asked, and the answer is taken then.
func TestLongWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		watched := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			watch(w, req, profileTime, func() error { return nil }, func() {})
		})
		p, _ := serveSlowly(t, func(ctx context.Context, ln net.Listener, _ *Relay) error { return serve(ctx, ln, watched) })
		conn := p.dial("192.0.2.1:1")
		defer conn.Close()
		began := time.Now()
		request(t, conn, "/?seconds=60", "")
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 200 {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != maxProfile*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// Who takes no answer is left, whatever they asked for.
func TestAnswerNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := serveSlowly(t, ServeRemote)
		for _, path := range []string{"/healthz", "/v1/tokens", "/nowhere", "/v1//tokens"} {
			conn := p.dial("192.0.2.1:1")
			request(t, conn, path, "x")
			time.Sleep(callTimeout + time.Second) // of the bubble
			if b, err := io.ReadAll(conn); len(b) > 0 || err != nil {
				t.Errorf("%s: %q comes late, %v", path, b, err)
			}
			conn.Close()
		}
	})
}

// One address cannot have all connections.
func TestOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := serveSlowly(t, ServeRemote)
		for range 2 * maxConns {
			defer p.dial("192.0.2.1:1").Close()
		}
		began := time.Now()
		for _, from := range []string{"192.0.2.2:1", "[2001:db8::1]:1"} {
			conn := p.dial(from)
			request(t, conn, "/healthz", "")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != 200 {
				t.Errorf("%s: %v", from, err)
			}
			conn.Close()
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("others have waited for %v", took)
		}
		// Those that end make room.
		time.Sleep(headTimeout + time.Second) // of the bubble
		conn := p.dial("192.0.2.1:1")
		defer conn.Close()
		request(t, conn, "/healthz", "")
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 200 {
			t.Errorf("the same address, later: %v", err)
		}
	})
}
