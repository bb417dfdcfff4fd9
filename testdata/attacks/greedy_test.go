//go:build linux

package attacks

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// visitorNeverReads asks for large bodies, again and again, and reads none.
func visitorNeverReads(s *siege) {
	s.agent("victim")
	n := scale(2000, 600)
	conns := make([]net.Conn, n)
	var told, other atomic.Int64
	crowd(n, func(i int) {
		nc, err := s.dial("http", i/200)
		if err != nil {
			s.Error(err)
			return
		}
		conns[i] = nc
		nc.(*net.TCPConn).SetReadBuffer(4 << 10)
		nc.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(nc, "GET /much HTTP/1.1\r\nHost: victim.localhost\r\n\r\n")
		switch status, cause, err := answer(nc); {
		case err == nil && status == 503 && cause == "overload":
			told.Add(1)
		case err != nil || status != 200:
			s.Errorf("got %d %s, %v", status, cause, err)
		default:
			other.Add(1)
		}
	})
	time.Sleep(2 * time.Second) // under attack
	s.Logf("%d of %d were told that there is no room", told.Load(), n)
	if told.Load() == 0 || other.Load() == 0 {
		s.Errorf("%d were told that there is no room, %d were served", told.Load(), other.Load())
	}
	for _, nc := range conns {
		if nc != nil {
			nc.Close()
		}
	}
	s.until("room when they have left", patience, func() bool {
		status, _, err := s.ask("victim", "/", 0)
		return err == nil && status == 200
	})
}

// uploadUnread sends bodies over HTTP/2, as much as the relay takes, to a target
// that reads nothing.
func uploadUnread(s *siege) {
	s.agent("victim")
	const streams = 16
	var sent atomic.Int64
	var wg sync.WaitGroup
	piece := make([]byte, 16<<10)
	for i := range scale(500, 100) {
		v := s.visit2(i)
		wg.Go(func() {
			block := head("POST", "victim", "/sink")
			room := newWindows(v)
			for id := uint32(1); id < 2*streams; id += 2 {
				v.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true})
				for left := 256 << 10; left > 0 && room.take(len(piece)); left -= len(piece) {
					if v.WriteData(id, false, piece) != nil {
						break
					}
					sent.Add(int64(len(piece)))
				}
			}
			time.Sleep(2 * time.Second) // under attack
			v.Close()
			<-room.ended
		})
	}
	wg.Wait()
	s.Logf("the relay took %d MiB", sent.Load()>>20)
}

// windows follow what the relay takes of a connection.
type windows struct {
	mu    sync.Mutex
	more  *sync.Cond
	left  int // guarded by mu
	over  bool
	ended chan struct{} // closed when the connection has
}

// newWindows reads v's frames until it ends.
func newWindows(v *visitor2) *windows {
	w := &windows{left: 65535, ended: make(chan struct{})}
	w.more = sync.NewCond(&w.mu)
	go func() { // ended by the connection's end
		defer close(w.ended)
		for {
			f, err := v.ReadFrame()
			w.mu.Lock()
			if u, ok := f.(*http2.WindowUpdateFrame); ok && u.StreamID == 0 {
				w.left += int(u.Increment)
			}
			w.over = w.over || err != nil
			w.more.Broadcast()
			w.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return w
}

// take takes n bytes, and reports whether they may be sent within a second.
func (w *windows) take(n int) bool {
	timer := time.AfterFunc(time.Second, w.more.Broadcast)
	defer timer.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for end := time.Now().Add(time.Second); w.left < n; {
		if w.over || !time.Now().Before(end) {
			return false
		}
		w.more.Wait()
	}
	w.left -= n
	return true
}
