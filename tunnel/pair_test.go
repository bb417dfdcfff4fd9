package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connPair returns the ends of a loopback TCP connection.
func connPair(t testing.TB) (agent, relay net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	agent, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	relay, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return agent, relay
}

// pair opens a session over the two ends of a connection; the agent serves
// handler. Both ends are closed when the test ends.
func pair(t testing.TB, agentConn, relayConn net.Conn, handler func(*Exchange)) (agent, relay *Session) {
	t.Helper()
	var wg sync.WaitGroup
	relays := make(chan *Session, 1)
	wg.Go(func() {
		defer close(relays)
		if _, err := ReadHello(relayConn); err != nil {
			t.Errorf("ReadHello: %v", err)
			return
		}
		s, err := Accept(relayConn, &Welcome{})
		if err != nil {
			t.Errorf("Accept: %v", err)
			return
		}
		relays <- s
		s.Serve(context.Background(), nil)
	})
	agent, err := Connect(context.Background(), agentConn, Hello{})
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	wg.Go(func() { agent.Serve(context.Background(), handler) })
	relay = <-relays
	if relay == nil {
		t.FailNow()
	}
	t.Cleanup(func() {
		agent.Close()
		relay.Close()
		wg.Wait()
	})
	return agent, relay
}

// tcpPair is pair over loopback TCP.
func tcpPair(t testing.TB, handler func(*Exchange)) (agent, relay *Session) {
	a, r := connPair(t)
	return pair(t, a, r, handler)
}

// answer is a handler that reads the whole request and answers with its body.
func answer(x *Exchange) {
	body, err := io.ReadAll(readerOf(x))
	if err != nil {
		x.Abort(AsFailure(err))
		return
	}
	r := &Response{Status: 200, Reason: []byte("OK"), ContentLength: int64(len(body))}
	r.Header.Add("Echo", string(x.Request().Target))
	x.SendResponse(r)
	x.Write(body)
	x.End(nil)
}

type exchangeReader struct{ *Exchange }

func readerOf(x *Exchange) io.Reader { return exchangeReader{x} }

// ask sends a request with a body and returns the answer's body.
func ask(s *Session, target string, body []byte) ([]byte, error) {
	x, err := s.Open(context.Background())
	if err != nil {
		return nil, err
	}
	defer x.Close()
	if err := x.SendRequest(&Request{Method: []byte("POST"), Target: []byte(target), ContentLength: int64(len(body))}); err != nil {
		return nil, err
	}
	if _, err := x.Write(body); err != nil {
		return nil, err
	}
	if err := x.End(nil); err != nil {
		return nil, err
	}
	r, err := x.ReceiveResponse()
	if err != nil {
		return nil, err
	}
	if got := string(r.Header.Get("echo")); got != target {
		return nil, fmt.Errorf("answer is for %q, want %q", got, target)
	}
	return io.ReadAll(readerOf(x))
}

// get opens an exchange and sends a request without a body. It is closed when
// the test ends.
func get(t testing.TB, s *Session) *Exchange {
	t.Helper()
	x := begin(t, s)
	t.Cleanup(x.Close)
	return x
}

// begin is get for a caller who closes the exchange.
func begin(t testing.TB, s *Session) *Exchange {
	t.Helper()
	return beginAt(t, s, "/")
}

// beginAt is begin for a target.
func beginAt(t testing.TB, s *Session, target string) *Exchange {
	t.Helper()
	x, err := s.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := x.SendRequest(&Request{Method: []byte("GET"), Target: []byte(target)}); err != nil {
		t.Fatal(err)
	}
	if err := x.End(nil); err != nil {
		t.Fatal(err)
	}
	return x
}

// failure asserts that err is a Failure of the given cause.
func failure(t testing.TB, err error, want Cause) *Failure {
	t.Helper()
	f, ok := errors.AsType[*Failure](err)
	if !ok || f.Cause != want {
		t.Fatalf("error is %v, want the cause %v", err, want)
	}
	return f
}
