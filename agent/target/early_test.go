package target

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"share/tunnel"
)

// An answer that comes before the body is whole arrives; the rest of the body
// is not wanted any more, and the connection is not used again.
func TestEarlyAnswer(t *testing.T) {
	const early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"
	for name, handle := range map[string]func(net.Conn){
		"keeps the connection": func(c net.Conn) {
			r := bufio.NewReader(c)
			head(r)
			io.WriteString(c, early)
			io.Copy(io.Discard, r)
		},
		"closes": func(c net.Conn) {
			head(bufio.NewReader(c))
			io.WriteString(c, strings.Replace(early, "\r\n", "\r\nConnection: close\r\n", 1))
		},
		"resets": func(c net.Conn) {
			head(bufio.NewReader(c))
			io.WriteString(c, early)
			reset(c)
		},
		"reads some and closes": func(c net.Conn) {
			r := bufio.NewReader(c)
			head(r)
			io.CopyN(io.Discard, r, 100_000)
			io.WriteString(c, early)
		},
	} {
		for _, stalled := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s stalled=%v", name, stalled), func(t *testing.T) {
				s := serve(t, handle)
				r := newRig(t, s.addr, Config{})
				x := r.open()
				x.SendRequest(request("POST", "/", "Content-Length: 1000000000"))
				// 150 kB fit the buffers and arrive; then the visitor waits or goes on.
				io.WriteString(x, strings.Repeat("x", 150_000))
				x.Flush()
				wrote := make(chan error, 1)
				go func() { // ends with the exchange
					var err error
					for n := 150_000; n < 1_000_000_000 && err == nil && !stalled; n += 50_000 {
						_, err = io.WriteString(x, strings.Repeat("x", 50_000))
					}
					wrote <- err
				}()
				a := receive(x)
				err := <-wrote
				x.Close()
				if a.err != nil || a.status != 413 || a.body != "no" {
					t.Fatalf("%+v", a)
				}
				if err != nil && !errors.Is(err, tunnel.ErrStopped) {
					t.Errorf("write: %v", err)
				}
				if o := r.next(); o.status != 413 || o.failure != nil {
					t.Errorf("Serve returned %+v", o)
				}
				r.target.pool.mu.Lock()
				idle := len(r.target.pool.idle)
				r.target.pool.mu.Unlock()
				if idle != 0 {
					t.Error("the connection is kept")
				}
			})
		}
	}
}

// A target that closes without an answer, before the body or inside it.
func TestClosesInsideTheBody(t *testing.T) {
	for _, read := range []int64{0, 1, 100_000} {
		for _, rst := range []bool{false, true} {
			t.Run(fmt.Sprintf("after %d rst=%v", read, rst), func(t *testing.T) {
				s := serve(t, func(c net.Conn) {
					r := bufio.NewReader(c)
					head(r)
					io.CopyN(io.Discard, r, read)
					if rst {
						reset(c)
					}
				})
				r := newRig(t, s.addr, Config{})
				failed(t, r.ask(request("POST", "/", "Content-Length: 4000000"), strings.Repeat("x", 4_000_000)), tunnel.TargetClosed)
				if o := r.next(); o.failure == nil || o.failure.Cause != tunnel.TargetClosed || s.accepted() != 1 {
					t.Errorf("Serve returned %+v after %d connections", o, s.accepted())
				}
			})
		}
	}
}

// A close-delimited answer to a body that the target refused to read ends with
// a reset, whoever learns of it first: reader or writer.
func TestRefusedBodyCutsAnswer(t *testing.T) {
	for range 20 {
		s := serve(t, func(c net.Conn) {
			head(bufio.NewReader(c))
			io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhello")
			reset(c)
		})
		r := newRig(t, s.addr, Config{})
		a := r.ask(request("POST", "/", "Content-Length: 300000"), strings.Repeat("x", 300_000))
		if a.err != nil {
			cut(t, a, tunnel.TargetIncomplete)
		} else {
			failed(t, a, tunnel.TargetIncomplete)
		}
	}
}

// Expect: 100-continue is the target's to grant or to refuse.
func TestExpectContinue(t *testing.T) {
	for name, refuse := range map[string]bool{"granted": false, "refused": true} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(c net.Conn) {
				r := bufio.NewReader(c)
				h, _ := head(r)
				if !strings.Contains(h, "Expect: 100-continue\r\n") {
					return
				}
				if refuse {
					io.WriteString(c, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
					head(r)
					return
				}
				io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
				io.CopyN(io.Discard, r, 5)
				io.WriteString(c, ok)
			})
			r := newRig(t, s.addr, Config{})
			x := r.open()
			q := request("POST", "/", "Expect: 100-continue", "Content-Length: 5")
			q.Flags |= tunnel.RequestExpect
			x.SendRequest(q)
			x.Flush()
			resp, err := x.ReceiveResponse()
			if err != nil {
				t.Fatal(err)
			}
			if refuse {
				if _, err := x.Data(); resp.Status != 417 || err != io.EOF {
					t.Errorf("status %d, %v", resp.Status, err)
				}
				x.Close()
				if o := r.next(); o.status != 417 || o.failure != nil {
					t.Errorf("Serve returned %+v", o)
				}
				return
			}
			if resp.Status != 100 {
				t.Fatalf("status %d", resp.Status)
			}
			io.WriteString(x, "hello")
			x.End(nil)
			if a := receive(x); a.err != nil || a.body != "ok" {
				t.Errorf("%+v", a)
			}
			x.Close()
		})
	}
}
