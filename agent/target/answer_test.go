package target

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"share/tunnel"
)

// Answer is for exchanges that never reach Serve; the body of the request, come
// or not, does not matter to it.
func TestAnswer(t *testing.T) {
	target, err := New(Config{Address: Address{Scheme: HTTP, Host: "localhost", Port: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	relay := session(t, func(x *tunnel.Exchange) {
		f := &tunnel.Failure{Cause: tunnel.Draining, By: tunnel.Agent}
		if err := target.Answer(x, f); err != nil {
			t.Errorf("Answer: %v", err)
		}
	})
	open := func() *tunnel.Exchange {
		x, err := relay.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, size := range []int{0, 5, 50_000, 1_000_000} {
		q := request("GET", "/")
		if size > 0 {
			q = request("POST", "/", "Transfer-Encoding: chunked")
		}
		x := open()
		failed(t, askOn(x, q, strings.Repeat("x", size)), tunnel.Draining)
		x.Close()
	}
	x := open()
	x.SendRequest(request("POST", "/", "Content-Length: 5"))
	x.Flush() // and no body
	failed(t, receive(x), tunnel.Draining)
	x.Close()
}

// The connection that Run has made may have ended before it is used.
func TestSpareDied(t *testing.T) {
	closed := make(chan bool, 1)
	var conns atomic.Int32
	s := serve(t, func(c net.Conn) {
		if conns.Add(1) == 1 {
			c.Close()
			closed <- true
			return
		}
		replies(ok)(c)
	})
	r := newRig(t, s.addr, Config{})
	r.target.probe(t.Context())
	await(t, closed, "the first connection's end")
	if a := r.ask(request("POST", "/", "Content-Length: 2"), "hi"); a.err != nil || a.body != "ok" {
		t.Errorf("%+v", a)
	}
}

func TestUpgradeOverTLS(t *testing.T) {
	for _, notify := range []bool{true, false} {
		s := serveTLS(t, func(c net.Conn) {
			r := bufio.NewReader(c)
			head(r)
			io.WriteString(c, switching)
			b, _ := io.ReadAll(r) // up to the visitor's close_notify
			io.WriteString(c, strings.ToUpper(string(b)))
			if notify {
				c.Close()
			}
		}, nil)
		r := newRig(t, "https://"+s.addr, Config{RootCAs: s.roots})
		x := upgraded(t, r)
		io.WriteString(x, "hello")
		x.End(nil)
		a := &answer{}
		if receiveBody(x, a); a.body != "HELLO" {
			t.Errorf("%+v", a)
		}
		if notify != (a.err == nil) {
			t.Errorf("close_notify %v: end %v", notify, a.err)
		}
		x.Close()
	}
}
