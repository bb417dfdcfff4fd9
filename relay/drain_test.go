package relay

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"share/tunnel"
)

// busy is a handler that holds its exchanges, whose heads were sent or not.
type busy struct {
	entered, finish chan bool
}

func newBusy() busy { return busy{make(chan bool), make(chan bool, 1)} }

func (b busy) handle(x *tunnel.Exchange) {
	gone := make(chan *tunnel.Failure, 1)
	x.OnAbort(func(f *tunnel.Failure) { gone <- f })
	if string(x.Request().Target) == "/begun" {
		x.SendResponse(&tunnel.Response{Status: 200, ContentLength: -1})
		io.WriteString(x, "begun")
		x.Flush()
	}
	select {
	case b.entered <- true:
	case <-gone:
		return
	}
	select {
	case <-gone:
	case <-b.finish:
		if string(x.Request().Target) == "/begun" {
			x.End(nil)
		} else {
			say("finished")(x)
		}
	}
}

// A visit is a request and what its answer is read from.
type visit struct {
	net.Conn
	r *bufio.Reader
}

func (s *serving) visit(target string) visit {
	s.t.Helper()
	nc := s.dial(doorHTTP)
	io.WriteString(nc, "GET "+target+" HTTP/1.1\r\nHost: x.localhost\r\n\r\n")
	return visit{nc, bufio.NewReader(nc)}
}

// A relay that is stopped tells its agents, lets what is open end, and then
// returns: visitors first, sessions last.
func TestDrain(t *testing.T) {
	s := serve(t, Config{}, nil, doorHTTP)
	b := newBusy()
	a := s.agent("x", b.handle)
	first := s.visit("/begun")
	await(t, b.entered, "the first request")
	second := s.visit("/")
	await(t, b.entered, "the second request")
	idle := s.dial(doorHTTP)
	greeting := s.dial(doorHTTP)
	io.WriteString(greeting, "SHR")
	until(t, "the greeting", func() bool { return s.strange() == 2 })

	s.stop()
	if m, ok := a.receive().(*tunnel.Drain); !ok || m.Deadline() != patience {
		t.Errorf("the agent is told %+v", m)
	}
	for name, nc := range map[string]net.Conn{"idle": idle, "in its preface": greeting} {
		if got, err := io.ReadAll(nc); len(got) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if nc, err := net.Dial("tcp", s.addrs[doorHTTP]); err == nil {
		nc.Close()
		t.Error("the relay still takes connections")
	}
	select {
	case err := <-s.ended:
		t.Fatalf("Serve returned %v with requests open", err)
	default:
	}
	close(b.finish)
	for name, v := range map[string]visit{"begun": first, "finished": second} {
		resp, err := http.ReadResponse(v.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != name || err != nil {
			t.Errorf("%s: %q, %v", name, body, err)
		}
		v.Close()
	}
	if err := await(t, s.ended, "Serve"); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if m := a.receive(); m != nil {
		t.Errorf("the agent gets %+v instead of the session's end", m)
	}
}

// A relay that was replaced waits for those who have not said yet what they want, and
// no longer than for others.
func TestReplacedDrainsStrangers(t *testing.T) {
	s := serve(t, Config{Grace: time.Millisecond}, nil, doorHTTP)
	silent := s.dial(doorHTTP)
	until(t, "the silent one", func() bool { return s.strange() == 1 })
	s.replaced.Store(true)
	s.stop()
	silent.SetDeadline(time.Now().Add(firstTimeout / 2))
	if n, err := silent.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v; want the end", n, err)
	}
	if err := await(t, s.ended, "Serve"); err != nil {
		t.Error(err)
	}
}

// At the grace's end, or at a second signal, what is open is cut, with a cause.
func TestDrainIsCut(t *testing.T) {
	for name, grace := range map[string]time.Duration{"the grace": 20 * time.Millisecond, "no grace": -1, "a second signal": patience} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, Config{Grace: grace}, nil, doorHTTP)
			b := newBusy()
			s.agent("x", b.handle)
			var begun, waiting []visit
			for range 3 {
				v := s.visit("/begun")
				await(t, b.entered, "a request")
				if _, err := v.r.Peek(1); err != nil {
					t.Fatal(err)
				}
				begun = append(begun, v)
				v = s.visit("/")
				await(t, b.entered, "a request")
				waiting = append(waiting, v)
			}
			s.stop()
			if name == "a second signal" {
				until(t, "the drain", func() bool { return s.log.has("draining") })
				s.Cut()
			}
			for _, v := range begun {
				resp, err := http.ReadResponse(v.r, nil)
				if err != nil {
					continue // the reset took it along
				}
				if body, err := io.ReadAll(resp.Body); err == nil {
					t.Errorf("an answer that is cut looks whole: %q", body)
				}
			}
			for _, v := range waiting {
				resp, err := http.ReadResponse(v.r, nil)
				if err != nil {
					t.Errorf("a request that waits is not answered: %v", err)
				} else if resp.StatusCode != 503 || resp.Header.Get("Share-Error") != "draining" {
					t.Errorf("a request that waits gets %d %q", resp.StatusCode, resp.Header.Get("Share-Error"))
				}
			}
			if err := await(t, s.ended, "Serve"); err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}

// An agent that is silent in its preface does not keep a relay that is cut.
func TestCutDoesNotWaitForAPreface(t *testing.T) {
	s := serve(t, Config{}, nil, doorHTTP)
	conn := s.dial(doorHTTP)
	io.WriteString(conn, "SHR1\x01\x01")
	until(t, "the preface", func() bool { return s.strange() == 1 })
	began := time.Now()
	s.stop()
	s.Cut()
	if err := await(t, s.ended, "Serve"); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("Serve took %v", took)
	}
}
