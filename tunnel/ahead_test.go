package tunnel

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
)

// stopped returns an exchange whose visitor has read the first bytes of body, and
// then no more, when all the rest has been read ahead. Its agent has sent no END.
func stopped(t *testing.T, body []byte) (p *rawPeer, x *Exchange, first []byte) {
	t.Helper()
	p, relay, _ := rawAgent(t, connPair)
	p.drain()
	x = begin(t, relay)
	p.put(muxBytes(2, appendResponse(nil, &Response{Status: 200, ContentLength: -1})))
	if _, err := x.ReceiveResponse(); err != nil {
		t.Fatal(err)
	}
	if !relay.take(maxWindow - firstWindow) {
		t.Fatal("no memory is to spare")
	}
	x.in.window.size, x.in.window.granted = maxWindow, maxWindow
	for rest := range slices.Chunk(body, 3*maxChunk/7) {
		p.put(muxBytes(2, append(frameOf(typeData, len(rest)), rest...)))
		if first == nil {
			b, err := x.Data()
			if err != nil {
				t.Fatal(err)
			}
			first = bytes.Clone(b)
		}
	}
	until(t, "reading ahead", func() bool {
		a := x.in.ahead
		a.mu.Lock()
		defer a.mu.Unlock()
		var held int64
		for _, piece := range a.queue {
			held += int64(piece.w - piece.r)
		}
		return held+x.lane.consumed.Load() == x.lane.arrived.Load()
	})
	return p, x, first
}

// large is a body that no two pieces of are alike.
func large() []byte {
	body := make([]byte, 5*maxChunk+12345)
	for i := range body {
		body[i] = byte(i*i>>9 ^ i)
	}
	return body
}

func TestReadAheadInOrder(t *testing.T) {
	body := large()
	p, x, got := stopped(t, body)
	defer x.Close()
	p.put(muxBytes(2, frame(typeData|frameEnd)))
	rest, err := io.ReadAll(readerOf(x))
	got = append(got, rest...)
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes, %v; want the %d that were sent", len(got), err, len(body))
	}
}

// What was read ahead of a visitor who leaves is held no longer.
func TestReadAheadForNobody(t *testing.T) {
	p, x, _ := stopped(t, large())
	l := x.lane
	x.Close()
	until(t, "the end of what came", func() bool { return l.consumed.Load() == l.arrived.Load() })
	p.put(muxFrame(muxWindowUpdate, muxFIN, 2, 0))
	until(t, "the end of the stream", func() bool { return l.streams() == 0 || l.session.Err() != nil })
	if err := l.session.Err(); err != nil {
		t.Error(err)
	}
}

// What came before the link was lost is the visitor's, and the loss behind it.
func TestReadAheadOfALoss(t *testing.T) {
	body := large()
	p, x, got := stopped(t, body)
	defer x.Close()
	p.Close()
	within(t, "end of the session", x.lane.session.Done())
	rest, err := io.ReadAll(readerOf(x))
	failure(t, err, LinkLost)
	if got = append(got, rest...); !bytes.Equal(got, body) {
		t.Errorf("%d bytes before the loss, want the %d that were sent", len(got), len(body))
	}
}

// What is behind an error that came with bytes is read, too.
func TestReadAheadBeyondAnError(t *testing.T) {
	a := newAhead(nil)
	copy(a.room(), "some")
	a.add(4, errors.New("the window update fails"))
	into := a.room()
	if into == nil {
		t.Fatal("the stream is read no more")
	}
	copy(into, "more")
	a.add(4, nil)
	a.room()
	a.add(0, io.EOF)
	if got, err := io.ReadAll(a); string(got) != "somemore" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
