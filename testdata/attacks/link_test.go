//go:build linux

package attacks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"share/tunnel"
)

// hello is what an agent says.
func hello() []byte { return preface(tunnel.Hello{Version: "attack"}) }

// muxFrame is a frame of the multiplexer.
func muxFrame(typ byte, flags uint16, stream uint32, body []byte) []byte {
	b := []byte{0, typ}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

// control is a frame of the protocol on the control stream.
func control(typ byte, payload []byte) []byte {
	n := len(payload)
	return muxFrame(0, 0, 1, append([]byte{typ, byte(n >> 16), byte(n >> 8), byte(n)}, payload...))
}

// Frames of the protocol.
const (
	typeBind   = 16
	typePing   = 20
	typeCredit = 26
)

// hostile connects an agent whose frames are made by hand, and opens its control
// stream.
func (s *siege) hostile(host int) (net.Conn, error) {
	nc, err := s.dial("http", host)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(patience))
	nc.Write(hello())
	head := make([]byte, 12)
	if _, err = io.ReadFull(nc, head); err == nil && head[5] != 0 {
		err = errors.New("rejected")
	}
	if err == nil {
		_, err = io.CopyN(io.Discard, nc, int64(binary.BigEndian.Uint32(head[8:])))
	}
	if err == nil {
		_, err = nc.Write(muxFrame(1, 1, 1, nil)) // SYN
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}

// silent opens connections with dial, which say nothing more, and wants the relay
// to end all of them: those for which there is no room at once, and the others
// within d.
func (s *siege) silent(n int, d time.Duration, dial func(i int) (net.Conn, error)) {
	s.Helper()
	var mu sync.Mutex
	var conns []net.Conn
	turned := 0
	began := time.Now()
	crowd(n, func(i int) {
		nc, err := dial(i)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			turned++
			return
		}
		conns = append(conns, nc)
	})
	s.Logf("%d connections in %v, %d turned away", n, time.Since(began).Round(time.Millisecond), turned)
	if got := ended(conns, d); got != len(conns) {
		s.Errorf("%d of %d connections have ended after %v", got, len(conns), d)
	}
	for _, nc := range conns {
		nc.Close()
	}
	if _, err := s.hostile(9999); err != nil {
		s.Errorf("an agent afterwards: %v", err)
	}
}

// halfOpenLinks are connections to the agents' door that say nothing.
func halfOpenLinks(s *siege) {
	s.silent(scale(10_000, 3000), 8*time.Second, func(i int) (net.Conn, error) { return s.dial("agents", i/300) })
}

// halfOpenLinksTLS say nothing once TLS is there.
func halfOpenLinksTLS(s *siege) {
	s.silent(scale(10_000, 1500), 8*time.Second, func(i int) (net.Conn, error) {
		tc, err := s.dialTLS("agents", i/300, tunnel.ALPN)
		if err != nil {
			return nil, err
		}
		return tc, nil
	})
}

// endlessHandshakes are prefaces that come byte by byte, and such as announce
// more than 8 KiB.
func endlessHandshakes(s *siege) {
	h := hello()
	s.slowly("http", scale(2000, 400), string(h[:13]), string(h[13:]), 9*time.Second)
	large := append([]byte{}, h[:8]...)
	large = binary.BigEndian.AppendUint32(large, 8<<10+1)
	crowd(scale(2000, 100), func(i int) {
		nc := s.must("http", 1000+i)
		if nc == nil {
			return
		}
		defer nc.Close()
		nc.Write(large)
		if n, err := io.Copy(io.Discard, nc); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			s.Errorf("a preface of more than 8 KiB: %d bytes came back, %v", n, err)
		}
	})
}

// failingHandshakes come from one address: it is soon barred, and no other.
func failingHandshakes(s *siege) {
	var refused, barred atomic.Int64
	n := scale(5000, 500)
	began := time.Now()
	crowd(n, func(int) {
		nc := s.must("http", 0)
		if nc == nil {
			return
		}
		defer nc.Close()
		nc.Write(preface("no hello"))
		text, _ := io.ReadAll(nc)
		switch {
		case bytes.Contains(text, []byte("too many handshakes")):
			barred.Add(1)
		case bytes.Contains(text, []byte("not valid JSON")):
			refused.Add(1)
		default:
			s.Errorf("got %q", text)
		}
	})
	most := 100 + int64(5*time.Since(began)/time.Second) + 64
	s.Logf("%d were refused, %d barred", refused.Load(), barred.Load())
	if refused.Load() > most {
		s.Errorf("%d handshakes failed before the address was barred, want %d at most", refused.Load(), most)
	}
	if _, err := s.hostile(0); err == nil {
		s.Error("the address is not barred")
	}
	if _, err := s.hostile(1); err != nil {
		s.Errorf("another address: %v", err)
	}
}

// linkFloods are what an agent with a valid token may send without end.
func linkFloods(s *siege) {
	floods := map[string][]byte{
		"pings of the multiplexer": muxFrame(2, 1, 0, nil),
		"opened streams":           muxFrame(1, 1, 3, nil),
		"window updates":           muxFrame(1, 0, 1, nil),
		"PINGs":                    control(typePing, nil),
		"CREDITs":                  control(typeCredit, make([]byte, 16)),
	}
	for name, frame := range floods {
		chunk := bytes.Repeat(frame, 1+32<<10/len(frame))
		for i := range scale(50, 5) {
			nc, err := s.hostile(i)
			if err != nil {
				s.Errorf("%s: %v", name, err)
				break
			}
			read := make(chan struct{})
			go func() { // ended by the connection's end
				defer close(read)
				io.Copy(io.Discard, nc)
			}()
			sent := 0
			for err == nil && sent < 64<<20 {
				_, err = nc.Write(chunk)
				sent += len(chunk)
			}
			if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				s.Errorf("%s: the relay has taken %d MiB: %v", name, sent>>20, err)
			}
			nc.Close()
			<-read
		}
	}
}

// bindFlood asks for one name after the other.
func bindFlood(s *siege) {
	nc, err := s.hostile(0)
	if err != nil {
		s.Fatal(err)
	}
	defer nc.Close()
	const lasts = 4 * time.Second
	nc.SetDeadline(time.Now().Add(lasts))
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			bind := fmt.Sprintf(`{"id":%d,"kind":"http","name":"-","holder":"attack"}`, i)
			if _, err := nc.Write(control(typeBind, []byte(bind))); err != nil {
				return
			}
		}
	})
	var answers bytes.Buffer
	io.Copy(&answers, nc)
	wg.Wait()
	got := strings.Count(answers.String(), `"code":"name"`)
	s.Logf("%d BINDs were answered in %v", got, lasts)
	if most := 200 + 10*int(lasts/time.Second) + 10; got > most || got < 100 {
		s.Errorf("%d BINDs were answered in %v, want %d at most", got, lasts, most)
	}
}

// agentNeverReads has a name, and takes nothing of what its visitors send.
func agentNeverReads(s *siege) {
	nc, err := s.hostile(0)
	if err != nil {
		s.Fatal(err)
	}
	defer nc.Close()
	nc.Write(control(typeBind, []byte(`{"id":1,"kind":"http","name":"deaf","holder":"attack"}`)))
	var said []byte
	for !bytes.Contains(said, []byte(`"name":"deaf"`)) {
		piece := make([]byte, 1<<10)
		n, err := nc.Read(piece)
		if err != nil {
			s.Fatalf("no name: %v, %q", err, said)
		}
		said = append(said, piece[:n]...)
	}
	nc.SetDeadline(time.Time{})
	n := scale(1000, 100)
	body := make([]byte, 1<<20)
	var lost atomic.Int64
	began := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			v, err := s.dial("http", 1+i/200)
			if err != nil {
				s.Error(err)
				return
			}
			defer v.Close()
			v.SetDeadline(time.Now().Add(2 * patience))
			wg.Go(func() { // ended by the connection's end
				fmt.Fprintf(v, "POST / HTTP/1.1\r\nHost: deaf.localhost\r\nContent-Length: %d\r\n\r\n", len(body))
				v.Write(body)
			})
			switch status, cause, err := answer(v); {
			case err == nil && status == 502 && cause == "link_lost", err == nil && status == 503:
				lost.Add(1)
			default:
				s.Errorf("a visitor of an agent that never reads: %d %s, %v", status, cause, err)
			}
		})
	}
	wg.Wait()
	s.Logf("%d visitors were answered within %v", lost.Load(), time.Since(began).Round(time.Second))
}
