package dns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// Who holds as many connections as there may be keeps nobody away.
func TestConnections(t *testing.T) {
	_, addr := serve(t, Config{Domain: "share.test", Addresses: addresses()})
	ask := func(c *dns.Conn, timeout time.Duration) error {
		c.SetDeadline(time.Now().Add(timeout))
		if err := c.WriteMsg(question("web.share.test.", dns.TypeA)); err != nil {
			return err
		}
		_, err := c.ReadMsg()
		return err
	}
	var held []*dns.Conn
	for range maxConns + 1 {
		c, err := dns.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := ask(c, tcpIdle/2); err != nil {
			t.Fatalf("beside %d connections: %v", len(held), err)
		}
		held = append(held, c)
	}
	if err := ask(held[0], 10*time.Second); err == nil {
		t.Errorf("there are %d connections", len(held))
	}
}

// A pipes accepts the ends of pipes.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Who asks over TCP and does not read loses the connection, at the latest when
// the server ends.
func TestNobodyReads(t *testing.T) {
	for _, ending := range []bool{false, true} {
		t.Run(fmt.Sprintf("ending %t", ending), func(t *testing.T) {
			s, err := New(Config{Domain: "share.test", Addresses: addresses()})
			if err != nil {
				t.Fatal(err)
			}
			pc, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ln := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
			s.Use(ln, pc)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(ctx) }()
			client, server := net.Pipe()
			ln.conns <- server
			c := &dns.Conn{Conn: client}
			if err := c.WriteMsg(question("web.share.test.", dns.TypeA)); err != nil {
				t.Fatal(err)
			}
			if !ending {
				client.SetWriteDeadline(time.Now().Add(5 * tcpWrite))
				if _, err := client.Write([]byte{0}); !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("it waits to be read for ever: %v", err)
				}
				client.Close()
			}
			stop()
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Error("it does not end")
				client.Close()
				<-ended
			}
			client.Close()
		})
	}
}

// Where no connection can be taken for want of descriptors, it is not tried
// without a pause.
func TestAcceptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(failing{})
		began := time.Now()
		if c, err := q.Accept(); err == nil || time.Since(began) < acceptPause {
			t.Errorf("got %v, %v after %v", c, err, time.Since(began))
		}
		began = time.Now()
		q.Close()
		if c, err := q.Accept(); err == nil || time.Since(began) > 0 {
			t.Errorf("closed: got %v, %v after %v", c, err, time.Since(began))
		}
	})
}

type failing struct{ net.Listener }

func (failing) Accept() (net.Conn, error) {
	return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept", syscall.EMFILE)}
}

func (failing) Close() error { return nil }
