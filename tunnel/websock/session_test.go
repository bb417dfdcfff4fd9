package websock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"share/tunnel"
	"share/tunnel/nbio"
)

// sessions returns the ends of a session over a WebSocket, whose exchanges
// handler answers, and the agent's end of that. All is closed with the test.
func sessions(t *testing.T, handler func(*tunnel.Exchange)) (agent, relay *tunnel.Session, link *Conn) {
	t.Helper()
	near, far := tcpPair(t)
	var wg sync.WaitGroup
	accepted := make(chan *tunnel.Session, 1)
	wg.Go(func() {
		defer close(accepted)
		conn, err := serve(nbio.New(far))
		if err != nil {
			return
		}
		if _, err := tunnel.ReadHello(conn); err != nil {
			conn.Close()
			return
		}
		if s, err := tunnel.Accept(conn, &tunnel.Welcome{}); err == nil {
			accepted <- s
			s.Serve(context.Background(), nil)
		}
	})
	link, err := Dial(t.Context(), nbio.New(near), Request{Host: "relay.test", Path: tunnel.ConnectPath})
	if err != nil {
		t.Fatal(err)
	}
	if agent, err = tunnel.Connect(t.Context(), link, tunnel.Hello{}); err != nil {
		t.Fatal(err)
	}
	wg.Go(func() { agent.Serve(context.Background(), handler) })
	if relay = await(t, accepted, "the session"); relay == nil {
		t.Fatal("the session was not accepted")
	}
	t.Cleanup(func() {
		agent.Close()
		relay.Close()
		wg.Wait()
	})
	return agent, relay, link
}

// open sends a request with a body over s. The exchange is closed, once its
// body is sent or has failed, by done.
func open(t *testing.T, s *tunnel.Session, body []byte) (x *tunnel.Exchange, done func()) {
	t.Helper()
	x, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &tunnel.Request{Method: []byte("POST"), Target: []byte("/"), ContentLength: int64(len(body))}
	if len(body) > 0 {
		r.Flags = tunnel.RequestBody
	}
	if err := x.SendRequest(r); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		x.Write(body)
		x.End(nil)
	})
	return x, func() {
		wg.Wait()
		x.Close()
	}
}

// echo answers with the request's body.
func echo(x *tunnel.Exchange) {
	x.SendResponse(&tunnel.Response{Status: 200, ContentLength: x.Request().ContentLength})
	if _, err := io.Copy(x, x); err == nil {
		x.End(nil)
	}
}

// Exchanges, also many and large ones, and the heartbeat pass as they do over
// a connection without a WebSocket.
func TestSession(t *testing.T) {
	agent, relay, _ := sessions(t, echo)
	var wg sync.WaitGroup
	for i := range 8 {
		want := bytes.Repeat([]byte{byte('a' + i)}, 1<<(3*i))
		x, done := open(t, relay, want)
		wg.Go(func() {
			defer done()
			resp, err := x.ReceiveResponse()
			if err != nil || resp.Status != 200 {
				t.Errorf("got %+v, %v", resp, err)
				return
			}
			if got, err := io.ReadAll(x); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back as %d, %v", len(want), len(got), err)
			}
		})
	}
	wg.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for name, s := range map[string]*tunnel.Session{"agent": agent, "relay": relay} {
		if err := s.Ping(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// However a WebSocket ends under an answer, with a goodbye too, the answer is
// cut and never whole.
func TestSessionIsCut(t *testing.T) {
	for name, cut := range map[string]func(*Conn){
		"closed":         func(c *Conn) { c.Close() },
		"ended":          func(c *Conn) { c.CloseWrite() },
		"with a goodbye": func(c *Conn) { c.NetConn().Write(frame(final|closing, []byte{0x3, 0xe8})) },
		"reset": func(c *Conn) {
			c.NetConn().(interface{ SetLinger(int) error }).SetLinger(0)
			c.NetConn().Close()
		},
		"inside a message": func(c *Conn) {
			c.NetConn().Write(frameHead(final|binaryFrame, 100))
			c.CloseWrite()
		},
		"with text": func(c *Conn) { c.NetConn().Write(frame(final|text, []byte("x"))) },
	} {
		t.Run(name, func(t *testing.T) {
			begun, release := make(chan bool, 1), make(chan bool)
			_, relay, link := sessions(t, func(x *tunnel.Exchange) {
				x.SendResponse(&tunnel.Response{Status: 200, ContentLength: -1})
				io.WriteString(x, "half")
				x.Flush()
				begun <- true
				<-release
			})
			defer close(release)
			x, done := open(t, relay, nil)
			defer done()
			await(t, begun, "the answer")
			if _, err := x.ReceiveResponse(); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(x, make([]byte, len("half"))); err != nil {
				t.Fatal(err)
			}
			cut(link)
			n, err := x.Read(make([]byte, 1))
			if f, ok := errors.AsType[*tunnel.Failure](err); n != 0 || !ok || f.Cause != tunnel.LinkLost {
				t.Errorf("got %d bytes, %v", n, err)
			}
		})
	}
}

// A drain lets what is open end.
func TestSessionDrains(t *testing.T) {
	begun, finish := make(chan bool, 1), make(chan bool)
	release := sync.OnceFunc(func() { close(finish) })
	defer release()
	agent, relay, _ := sessions(t, func(x *tunnel.Exchange) {
		begun <- true
		<-finish
		echo(x)
	})
	x, done := open(t, relay, []byte("late"))
	await(t, begun, "the request")
	drained := make(chan error, 1)
	go func() { // ended by the exchange's end
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		drained <- relay.Drain(ctx, tunnel.Drain{DeadlineMS: patience.Milliseconds()})
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if m, err := agent.Receive(ctx); err != nil {
		t.Errorf("got %+v, %v", m, err)
	} else if _, ok := m.(*tunnel.Drain); !ok {
		t.Errorf("got %+v", m)
	}
	release()
	if _, err := x.ReceiveResponse(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(x); string(got) != "late" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	done()
	if err := await(t, drained, "the drain"); err != nil {
		t.Errorf("Drain: %v", err)
	}
}

// A peer that never says who it is loses the connection.
func TestPrefaceIsBounded(t *testing.T) {
	_, server := pair(t)
	began := time.Now()
	_, err := tunnel.ReadHello(server)
	if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() || time.Since(began) > patience {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}
