package target

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"share/tunnel"
	"share/tunnel/nbio"
)

// A seen is what a target read of a request.
type seen struct {
	head string
	body string
	err  error // what ended the reading, nil if the request was whole
}

// reads is a handler that reads requests with net/http and answers each.
func reads(got chan<- seen, reply string) func(net.Conn) {
	return func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			q, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			body, err := io.ReadAll(q.Body)
			got <- seen{fmt.Sprint(q.TransferEncoding, q.ContentLength, q.Trailer), string(body), err}
			if err != nil {
				return
			}
			io.WriteString(c, reply)
		}
	}
}

// noise is n bytes that do not compress nor repeat.
func noise(n int) string {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return string(b)
}

func TestUploads(t *testing.T) {
	got := make(chan seen, 1)
	s := serve(t, reads(got, ok))
	r := newRig(t, s.addr, Config{})
	began := time.Now()
	sizes := []int{1, 100, maxInline - 1, maxInline, maxInline + 1, nbio.Large - 1, nbio.Large, nbio.Large + 1, 3_000_000}
	for _, size := range sizes {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d chunked=%v", size, chunked), func(t *testing.T) {
				body := noise(size)
				q := request("POST", "/", fmt.Sprint("Content-Length: ", size))
				want := fmt.Sprint([]string(nil), size, http.Header(nil))
				if chunked {
					q = request("POST", "/", "Transfer-Encoding: chunked", "Trailer: X-Sum")
					want = fmt.Sprint([]string{"chunked"}, -1, http.Header{"X-Sum": []string{"7"}})
				}
				x := r.open()
				defer x.Close()
				x.SendRequest(q)
				// In pieces, so that it is not there as a whole.
				for rest := body; len(rest) > 0; {
					n := min(len(rest), 1+rand.IntN(50_000))
					io.WriteString(x, rest[:n])
					if rand.IntN(2) == 0 {
						x.Flush()
					}
					rest = rest[n:]
				}
				var trailers tunnel.Header
				if chunked {
					trailers.Add("X-Sum", "7")
					trailers.Add("Share-X", "8")
					trailers.Add("Host", "9")
				}
				x.End(trailers)
				if a := receive(x); a.err != nil || a.body != "ok" {
					t.Fatalf("%+v", a)
				}
				if g := await(t, got, "the request"); g.err != nil || sha256.Sum256([]byte(g.body)) != sha256.Sum256([]byte(body)) {
					t.Errorf("the target got %d bytes, %v", len(g.body), g.err)
				} else if g.head != want {
					t.Errorf("got %s, want %s", g.head, want)
				}
				if o := r.next(); o.failure != nil {
					t.Error(o.failure)
				}
			})
		}
	}
	// Whatever was idle for longer would not carry a POST.
	if n := s.accepted(); n != 1 && time.Since(began) < keepSure {
		t.Errorf("%d connections, want 1", n)
	}
}

// An upload is passed on as it comes.
func TestUploadIsStreamed(t *testing.T) {
	first := make(chan string, 1)
	s := serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		head(r)
		b := make([]byte, len("5\r\nhello\r\n"))
		io.ReadFull(r, b)
		first <- string(b)
		io.ReadFull(r, b[:5])
		io.WriteString(c, ok)
	})
	r := newRig(t, s.addr, Config{})
	x := r.open()
	defer x.Close()
	x.SendRequest(request("POST", "/", "Transfer-Encoding: chunked"))
	x.Flush()
	io.WriteString(x, "hello")
	x.Flush()
	if got := await(t, first, "the first chunk"); got != "5\r\nhello\r\n" {
		t.Errorf("got %q", got)
	}
	x.End(nil)
	if a := receive(x); a.err != nil || a.body != "ok" {
		t.Errorf("%+v", a)
	}
}

// An upload that the visitor cuts never looks whole at the target, which learns
// it at once.
func TestUploadCut(t *testing.T) {
	for name, q := range map[string]*tunnel.Request{
		"length":  request("POST", "/", "Content-Length: 1000000"),
		"chunked": request("POST", "/", "Transfer-Encoding: chunked"),
	} {
		for _, size := range []int{0, 5, 500_000} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				got := make(chan seen, 1)
				began := make(chan bool, 1)
				s := serve(t, func(c net.Conn) {
					r := bufio.NewReader(c)
					r.Peek(1)
					began <- true
					reads(got, ok)(&readConn{c, r})
				})
				r := newRig(t, s.addr, Config{})
				x := r.open()
				x.SendRequest(q)
				io.WriteString(x, strings.Repeat("x", size))
				x.Flush()
				await(t, began, "the request")
				x.Abort(tunnel.Fail(tunnel.VisitorGone, nil))
				x.Close()
				if g := await(t, got, "the upload's end"); g.err == nil {
					t.Errorf("the target took %d bytes for the whole", len(g.body))
				}
				if o := r.next(); o.status != 0 || o.failure == nil {
					t.Errorf("Serve returned %+v", o)
				}
			})
		}
	}
}

// readConn is a connection some of which was read.
type readConn struct {
	net.Conn
	r io.Reader
}

func (c *readConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// A visitor who leaves is told to a target that thinks, or sends.
func TestVisitorLeaves(t *testing.T) {
	for name, reply := range map[string]string{
		"thinking":  "",
		"sending":   "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
		"streaming": "HTTP/1.1 200 OK\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			// A second is promised, and a machine may stall for as long: once of
			// three times is enough.
			var took time.Duration
			for range 3 {
				if took = leave(t, reply); took <= time.Second {
					return
				}
			}
			t.Errorf("the target was told after %v", took)
		})
	}
}

// leave is a visitor who leaves while the target sends reply, or thinks if it is
// "", and returns how long it takes until the target knows.
func leave(t *testing.T, reply string) (took time.Duration) {
	t.Helper()
	began, ended := make(chan bool, 1), make(chan error, 1)
	s := serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		head(r)
		began <- true
		if reply == "" {
			_, err := r.ReadByte()
			ended <- err
			return
		}
		io.WriteString(c, reply)
		for {
			if _, err := io.WriteString(c, strings.Repeat("x", 100_000)); err != nil {
				ended <- err
				return
			}
		}
	})
	r := newRig(t, s.addr, Config{})
	x := r.open()
	x.SendRequest(request("GET", "/"))
	x.End(nil)
	await(t, began, "the request")
	if reply != "" {
		receiveHead(x)
	}
	start := time.Now()
	x.Abort(tunnel.Fail(tunnel.VisitorGone, nil))
	x.Close()
	err := await(t, ended, "the exchange's end")
	took = time.Since(start)
	if err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the target saw %v after %v", err, took)
	}
	if o := r.next(); o.failure == nil {
		t.Errorf("Serve returned %+v", o)
	}
	return took
}

// Nothing is held back while the target is waited for.
func TestStreamedResponse(t *testing.T) {
	for name, parts := range map[string][]string{
		"chunked": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\ndata1\r\n", "5\r\ndata2\r\n", "0\r\n\r\n"},
		"close":   {"HTTP/1.1 200 OK\r\n\r\n", "data1", "data2", ""},
		"length":  {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "data1", "data2", ""},
	} {
		t.Run(name, func(t *testing.T) {
			goOn := make(chan bool, len(parts))
			release := sync.OnceFunc(func() { close(goOn) })
			defer release()
			s := serve(t, func(c net.Conn) {
				head(bufio.NewReader(c))
				for _, p := range parts {
					io.WriteString(c, p)
					<-goOn
				}
			})
			r := newRig(t, s.addr, Config{})
			x := r.open()
			defer x.Close()
			x.SendRequest(request("GET", "/"))
			x.End(nil)
			if a := receiveHead(x); a.status != 200 {
				t.Fatalf("%+v", a)
			}
			goOn <- true
			for _, want := range []string{"data1", "data2"} {
				p, err := x.Data()
				if err != nil || string(p) != want {
					t.Fatalf("got %q, %v, want %q", p, err, want)
				}
				goOn <- true
			}
			release()
			if _, err := x.Data(); err != io.EOF {
				t.Errorf("end: %v", err)
			}
		})
	}
}
