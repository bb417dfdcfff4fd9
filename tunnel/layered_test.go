package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"share/tunnel/nbio"
)

// A layer stands for TLS: it writes in records, and says goodbye when closed.
type layer struct{ net.Conn }

func (l *layer) NetConn() net.Conn { return l.Conn }

func (l *layer) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 {
		k, err := l.Conn.Write(p[:min(len(p), tlsRecord)])
		if n += k; err != nil {
			return n, err
		}
		p = p[k:]
	}
	return n, nil
}

func (l *layer) Close() error {
	l.Conn.Write([]byte("bye"))
	return l.Conn.Close()
}

// layered returns a link over a layer, the socket beneath, and the far end.
func layered(t *testing.T) (*link, *nbio.Conn, net.Conn) {
	t.Helper()
	near, far := connPair(t)
	t.Cleanup(func() { near.Close(); far.Close() })
	conn, ok := nbio.New(near).(*nbio.Conn)
	if !ok {
		t.Skip("records are never gathered on this system")
	}
	return newLink(&layer{conn}), conn, far
}

// Whatever the sizes of frames, they arrive in their order.
func TestLayeredLinkKeepsOrder(t *testing.T) {
	l, _, far := layered(t)
	var want []byte
	for i := range 300 {
		size := []int{1, 100, largePiece - 1, largePiece, maxChunk}[i*7%5]
		want = append(append(want, muxFrame(muxData, 0, 2, size)...), bytes.Repeat([]byte{byte(i)}, size)...)
	}
	wrote := make(chan error, 1)
	go func() { // ended by the far end, which reads all
		for p := want; len(p) > 0; {
			size := int(muxLength(p))
			l.Write(p[:muxHeaderLen])
			l.Write(p[muxHeaderLen : muxHeaderLen+size])
			p = p[muxHeaderLen+size:]
		}
		wrote <- errors.Join(l.Flush(), l.Close())
	}()
	got, err := io.ReadAll(far)
	if err != nil || !bytes.Equal(got, append(want, "bye"...)) {
		t.Errorf("%d bytes arrived (%v), want the %d sent, in order", len(got), err, len(want)+len("bye"))
	}
	if err := within(t, "end of the writer", wrote); err != nil {
		t.Error(err)
	}
}

// A link whose peer reads nothing ends, whether it is a batch that is stuck or
// only the goodbye.
func TestLayeredLinkClosesWhileStuck(t *testing.T) {
	for _, batch := range []bool{true, false} {
		t.Run(fmt.Sprintf("batch=%v", batch), func(t *testing.T) {
			l, conn, _ := layered(t)
			stuff(t, conn)
			wrote := make(chan error, 1)
			if batch {
				body := make([]byte, maxChunk)
				go func() { // ended by Close
					l.Write(muxFrame(muxData, 0, 2, len(body)))
					_, err := l.Write(body)
					wrote <- err
				}()
				until(t, "a write that is stuck", func() bool { return l.sending.Load() != 0 })
			}
			closed := make(chan error, 1)
			go func() { closed <- l.Close() }() // ended by goodbyeTime
			within(t, "end of Close", closed)
			if batch {
				if err := within(t, "end of Write", wrote); err == nil {
					t.Error("the body was written, want an error")
				}
			}
		})
	}
}
