package tunnel

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// patience bounds what a test waits for; only a fault lasts that long.
const patience = time.Minute

// More flags of the multiplexer's frames.
const (
	muxACK = 2
	muxFIN = 4
	muxRST = 8
)

// muxFrame is the header of a multiplexer's frame.
func muxFrame(typ byte, flags uint16, stream uint32, length int) []byte {
	b := []byte{muxVersion, typ}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return binary.BigEndian.AppendUint32(b, uint32(length))
}

// muxBytes is a multiplexer's frame that carries bytes of a stream.
func muxBytes(stream uint32, p []byte) []byte {
	return append(muxFrame(muxData, 0, stream, len(p)), p...)
}

// muxOpen opens a stream.
func muxOpen(stream uint32) []byte { return muxFrame(muxWindowUpdate, muxSYN, stream, 0) }

// frame is one of this protocol's frames.
func frame(typ byte, payload ...byte) []byte {
	return endFrame(append(beginFrame(nil, typ), payload...), 0)
}

// frameOf is a frame's header that announces n bytes.
func frameOf(typ byte, n int) []byte { return []byte{typ, byte(n >> 16), byte(n >> 8), byte(n)} }

// A rawPeer is the far end of a lane, played by hand.
type rawPeer struct {
	net.Conn
	t       testing.TB
	streams map[uint32][]byte // what came and was not yet looked at
}

// put writes bytes. An error is left to the reader: the lane has ended.
func (p *rawPeer) put(frames ...[]byte) error {
	_, err := p.Write(slices.Concat(frames...))
	return err
}

// drain reads until the connection ends, in the background.
func (p *rawPeer) drain() {
	done := make(chan bool)
	go func() { // ended by the cleanup of rawAgent and rawRelay
		defer close(done)
		io.Copy(io.Discard, p.Conn)
	}()
	p.t.Cleanup(func() { p.Conn.Close(); <-done })
}

// next returns the next frame that arrives on a stream.
func (p *rawPeer) next(stream uint32) (typ byte, payload []byte) {
	p.t.Helper()
	for {
		if b := p.streams[stream]; len(b) >= frameHeaderLen {
			n := frameHeaderLen + (int(b[1])<<16 | int(b[2])<<8 | int(b[3]))
			if len(b) >= n {
				p.streams[stream] = b[n:]
				return b[0], b[frameHeaderLen:n]
			}
		}
		p.read()
	}
}

// read takes one of the multiplexer's frames.
func (p *rawPeer) read() {
	p.t.Helper()
	head := make([]byte, muxHeaderLen)
	if _, err := io.ReadFull(p.Conn, head); err != nil {
		p.t.Fatalf("raw peer: %v", err)
	}
	if head[1] != muxData {
		return
	}
	body := make([]byte, muxLength(head))
	if _, err := io.ReadFull(p.Conn, body); err != nil {
		p.t.Fatalf("raw peer: %v", err)
	}
	id := binary.BigEndian.Uint32(head[4:])
	p.streams[id] = append(p.streams[id], body...)
}

// A connector returns the two ends of a connection.
type connector func(testing.TB) (agent, relay net.Conn)

func pipe(testing.TB) (net.Conn, net.Conn) { return net.Pipe() }

// served runs a session until it ends and returns where its error comes.
func served(t testing.TB, s *Session, handler func(*Exchange)) <-chan error {
	ended := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { ended <- s.Serve(context.Background(), handler) })
	t.Cleanup(func() { s.Close(); wg.Wait() })
	return ended
}

// acceptOn accepts an agent's session at the relay's end r; what it returns is
// closed without one if that fails.
func acceptOn(t testing.TB, r net.Conn) <-chan *Session {
	relays := make(chan *Session, 1)
	go func() { // ended by the preface's timeout at the latest
		defer close(relays)
		if _, err := ReadHello(r); err != nil {
			t.Errorf("ReadHello: %v", err)
			return
		}
		s, err := Accept(r, &Welcome{})
		if err != nil {
			t.Errorf("Accept: %v", err)
			return
		}
		relays <- s
	}()
	return relays
}

// rawAgent is an agent played by hand, connected to a relay's end of a
// session, whose control stream is open.
func rawAgent(t testing.TB, connect connector) (*rawPeer, *Session, <-chan error) {
	t.Helper()
	a, r := connect(t)
	relays := acceptOn(t, r)
	p := &rawPeer{a, t, make(map[uint32][]byte)}
	hello, err := appendHello(&Hello{Kind: KindSession})
	if err != nil {
		t.Fatal(err)
	}
	p.put(hello)
	if _, _, err := readPreface(a); err != nil {
		t.Fatal(err)
	}
	p.put(muxOpen(1))
	relay := <-relays
	if relay == nil {
		t.FailNow()
	}
	ended := served(t, relay, nil)
	t.Cleanup(func() { a.Close() })
	p.meet(relay)
	return p, relay, ended
}

// rawRelay is a relay played by hand, connected to an agent that serves
// handler.
func rawRelay(t testing.TB, connect connector, handler func(*Exchange)) (*rawPeer, *Session, <-chan error) {
	t.Helper()
	a, r := connect(t)
	p := &rawPeer{r, t, make(map[uint32][]byte)}
	done := make(chan bool)
	go func() {
		defer close(done)
		if _, _, err := readPreface(r); err != nil {
			t.Errorf("hello: %v", err)
		}
		welcome, err := appendPreface(Version, statusAccepted, KindSession, &Welcome{})
		if err != nil {
			t.Error(err)
		}
		p.put(welcome)
	}()
	agent, err := Connect(context.Background(), a, Hello{})
	if err != nil {
		t.Fatal(err)
	}
	<-done
	ended := served(t, agent, handler)
	t.Cleanup(func() { r.Close() })
	p.meet(agent)
	return p, agent, ended
}

// meet answers the PINGs that come with the first frame of s.
func (p *rawPeer) meet(s *Session) {
	p.t.Helper()
	p.put(muxBytes(1, frame(typePing)))
	for _, want := range []byte{typePong, typePing} {
		if typ, _ := p.next(1); typ != want {
			p.t.Fatalf("frame %d at the begin of a session, want %d", typ, want)
		}
	}
	for n := int64(1); ; n++ {
		p.put(muxBytes(1, frame(typePong)))
		until(p.t, "a round trip", func() bool { return s.trips.Load() == n })
		if n == firstTrips {
			return
		}
		if typ, _ := p.next(1); typ != typePing {
			p.t.Fatalf("frame %d behind %d round trips, want PING", typ, n)
		}
	}
}

// within returns what comes from c.
func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: still waiting after %v", what, patience)
		panic("unreachable")
	}
}

// until returns once ok does.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !eventually(t, what, ok) {
		t.FailNow()
	}
}

// eventually is until for goroutines that must not end the test.
func eventually(t testing.TB, what string, ok func() bool) bool {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Errorf("%s: not so after %v", what, patience)
			return false
		}
	}
	return true
}

// stuff writes until the far end, which reads nothing, takes no more. One write
// that finds no room does not tell: its deadline may have passed before it began.
func stuff(t testing.TB, conn net.Conn) {
	t.Helper()
	refused := 0
	until(t, "a far end that takes no more", func() bool {
		conn.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		n, err := conn.Write(make([]byte, 1<<20))
		if refused++; n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			refused = 0
		}
		return refused == 3
	})
	conn.SetWriteDeadline(time.Time{})
}

// only returns the only lane of a session that is served.
func only(t testing.TB, s *Session) (l *lane) {
	t.Helper()
	s.mu.Lock()
	l = s.lanes[0]
	s.mu.Unlock()
	until(t, "start of the heartbeat", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.heart != nil || l.ended
	})
	return l
}
