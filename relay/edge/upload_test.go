package edge

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"share/tunnel"
)

// A counted connection counts what is read of it.
type counted struct {
	*net.TCPConn
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// The last bytes of a body wait for the agent to read while the visitor sends
// its next request: one must not get into the other.
func TestPipelinedBytesStayOutOfABody(t *testing.T) {
	t.Parallel()
	const (
		window = 256 << 10      // of an exchange: what the link takes of an agent that does not read
		first  = window - 4<<10 // the rest finds no room
		last   = 30 << 10       // read at once, and more than is copied before it is sent
	)
	g := newGate()
	defer g.open()
	s := newStub(t, func(x *tunnel.Exchange) {
		if string(x.Request().Method) == "GET" {
			respond(x, 200, "second")
			return
		}
		g.hold()
		body, err := io.ReadAll(x)
		if want := bytes.Repeat([]byte("a"), first+last); err != nil || !bytes.Equal(body, want) {
			t.Errorf("the agent got %d bytes with %d of another request, %v", len(body), bytes.Count(body, []byte("b")), err)
		}
		respond(x, 200, "first")
	}, nil)
	var taken atomic.Int64
	v := s.visitThrough(func(nc *net.TCPConn) net.Conn { return &counted{nc, &taken} })
	v.send("POST / HTTP/1.1\nHost: x.test\nContent-Length: 288768\n\n")
	await(t, g.entered, "the request")
	before := taken.Load()
	v.Write(bytes.Repeat([]byte("a"), first))
	until(t, "the first part", func() bool { return taken.Load() == before+first })
	v.Write(bytes.Repeat([]byte("a"), last))
	until(t, "the last part", func() bool { return taken.Load() == before+first+last })
	v.send("GET / HTTP/1.1\nHost: x.test\nX-Pad: " + string(bytes.Repeat([]byte("b"), 20000)) + "\n\n")
	c := s.only()
	for range 3 {
		c.look(time.Now())
	}
	c.mu.Lock()
	peeking := c.peeking
	c.mu.Unlock()
	if peeking != nil {
		until(t, "the next request", func() bool { return taken.Load() > before+first+last })
		t.Error("the next request is read while the body's bytes are in use")
	}
	g.open()
	if a := v.receive("POST"); a.body != "first" {
		t.Errorf("first answer: %q", a.body)
	}
	if a := v.receive("GET"); a.body != "second" {
		t.Errorf("second answer: %q", a.body)
	}
}
