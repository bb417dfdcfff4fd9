package tunnel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A cost is what a peer makes this process spend beyond what it had at first.
type cost struct {
	goroutines int
	heap       uint64
}

func spent() cost {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return cost{runtime.NumGoroutine(), m.HeapAlloc}
}

// below asserts that no more was spent than so many goroutines and MiB.
func (c cost) below(t testing.TB, goroutines int, mib uint64) {
	t.Helper()
	now := spent()
	if n := now.goroutines - c.goroutines; n > goroutines {
		t.Errorf("cost %d goroutines, want %d at most", n, goroutines)
	}
	if now.heap > c.heap+mib<<20 {
		t.Errorf("cost %d KiB, want %d at most", (now.heap-c.heap)>>10, mib<<10)
	}
}

// flood writes frames until the connection ends or n bytes have gone.
func (p *rawPeer) flood(n int, frames ...[]byte) {
	chunk := bytes.Repeat(bytes.Join(frames, nil), 1+32<<10/len(bytes.Join(frames, nil)))
	for ; n > 0; n -= len(chunk) {
		if p.put(chunk) != nil {
			return
		}
	}
}

// What an agent may send to a relay so that the lane ends, whether or not it
// reads what the relay answers.
func TestHostileAgentIsCutOff(t *testing.T) {
	control := func(frames ...[]byte) []byte { return muxBytes(1, bytes.Join(frames, nil)) }
	bind, err := json.Marshal(&Bind{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		bytes []byte // sent again and again, unless it opens a stream
		want  string
	}{
		{"multiplexer pings", muxFrame(muxPing, muxSYN, 0, 7), errPing.Error()},
		{"multiplexer pongs", muxFrame(muxPing, muxACK, 0, 7), errPing.Error()},
		{"go away", muxFrame(3, 0, 0, 0), errMux.Error()},
		{"unknown multiplexer frame", muxFrame(9, 0, 0, 0), errMux.Error()},
		{"another multiplexer", []byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, errMux.Error()},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), errMux.Error()},
		{"window updates", muxFrame(muxWindowUpdate, 0, 1, 0), errFlood.Error()},
		{"window updates of no stream", muxFrame(muxWindowUpdate, 0, 77, 1), errFlood.Error()},
		{"resets of no stream", muxFrame(muxWindowUpdate, muxRST, 77, 0), errFlood.Error()},
		{"empty data", muxFrame(muxData, 0, 1, 0), errFlood.Error()},
		{"a second stream", muxOpen(3), "agent opened a stream"},
		{"a relay's stream", muxOpen(2), "agent opened a stream"},
		{"the control stream again", muxOpen(1), ""},
		{"FIN again", bytes.Repeat(muxFrame(muxWindowUpdate, muxFIN, 1, 0), 2), ""},
		{"frame above the window", muxFrame(muxData, 0, 1, 1<<30), "peer sends more than its windows allow"},
		{"PINGs", control(bytes.Repeat(frame(typePing), 200)), "peer floods the link with PINGs"},
		{"unknown control frame", control(frame(40)), "unknown control frame 40"},
		{"exchange's frame", control(frame(typeData)), "unknown control frame 4"},
		{"control frame above its bound", control(frameOf(typeBind, maxControl+1)), "control frame of 16385 bytes exceeds 16384"},
		{"ignorable one above its bound", control(frameOf(40|frameIgnore, 1<<24-1)), "control frame of 16777215 bytes exceeds 16384"},
		{"not JSON", control(frame(typeBind, []byte("{]")...)), "control frame 16: "},
		{"JSON and more", control(frame(typeBind, append(bind, '1')...)), "control frame 16: "},
		{"deep JSON", control(frame(typeHealth, bytes.Repeat([]byte("["), maxControl)...)), "control frame 25: "},
		{"wrong type", control(frame(typeHealth, []byte(`{"tunnel":-1}`)...)), "control frame 25: "},
		{"RESET too short", control(frame(typeReset, 0, 0, 0, 2)), "RESET: frame ends early"},
		{"CREDIT too short", control(frame(typeCredit, make([]byte, 15)...)), "CREDIT: frame ends early"},
		{"CREDIT beyond counting", control(frame(typeCredit, bytes.Repeat([]byte{0xff}, 16)...)), "CREDIT: more bytes than can be counted"},
		{"RESET without a cause", control(frame(typeReset, make([]byte, 11)...)), "RESET: no cause"},
	}
	for _, tt := range tests {
		for _, reads := range []bool{true, false} {
			name := tt.name
			if !reads {
				name += ", unread"
			}
			t.Run(name, func(t *testing.T) {
				before := spent()
				p, relay, ended := rawAgent(t, connPair)
				if reads {
					p.drain()
				}
				if bytes.Equal(tt.bytes[:4], muxOpen(0)[:4]) {
					p.put(tt.bytes)
				} else if tt.bytes[1] == muxData && muxLength(tt.bytes) > 0 {
					p.flood(128<<10, tt.bytes) // within the window
				} else {
					p.flood(16<<20, tt.bytes)
				}
				err := within(t, "end of the session", ended)
				if !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrClosed) {
					t.Errorf("session ended with %q, want %q", err, tt.want)
				}
				if strings.Contains(err.Error(), "yamux") {
					t.Errorf("session ended with %q", err)
				}
				if relay.Err() == nil || relay.Live() != 0 {
					t.Errorf("Err is %v, %d live", relay.Err(), relay.Live())
				}
				before.below(t, 20, 8)
			})
		}
	}
}

// Frames that mean nothing cost the relay more than the agent: a flood of them
// ends the lane, too.
func TestControlFloodIsCutOff(t *testing.T) {
	for name, b := range map[string][]byte{
		"CREDIT": frame(typeCredit, make([]byte, 16)...),
		"RESET":  frame(typeReset, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0),
		"PONG":   frame(typePong),
		"skip":   frame(40 | frameIgnore),
	} {
		t.Run(name, func(t *testing.T) {
			const frames = 4 * controlBurst
			before := spent()
			p, relay, ended := rawAgent(t, connPair)
			p.drain()
			l := only(t, relay)
			began := time.Now()
			p.flood(frames*(muxHeaderLen+len(b)), muxBytes(1, b))
			until(t, "the flood", func() bool { return len(ended) > 0 || l.consumed.Load() >= int64(frames*len(b)) })
			if took := time.Since(began); len(ended) == 0 && took > (frames-controlBurst)/controlRate*time.Second {
				t.Skipf("%d frames in %v are no flood", frames, took)
			}
			if err := within(t, "end of the session", ended); !errors.Is(err, errFlood) {
				t.Errorf("session ended with %q, want %q", err, errFlood)
			}
			before.below(t, 20, 8)
		})
	}
}

// What costs little is borne.
func TestAgentMaySend(t *testing.T) {
	tests := map[string][]byte{
		"unknown frame to be ignored": frame(40|frameIgnore, make([]byte, 1000)...),
		"RESET of an old stream":      appendReset(nil, reset{0, 1, &Failure{Cause: VisitorGone}}),
		"RESET of the control stream": appendReset(nil, reset{1, 1, &Failure{Cause: VisitorGone}}),
		"RESET of a stream to come":   appendReset(nil, reset{2000, 1, &Failure{Cause: VisitorGone, Detail: strings.Repeat("x", 2000)}}),
		"CREDIT of no stream":         frame(typeCredit, make([]byte, 16)...),
		"RESET of a cause to come":    frame(typeReset, 0, 0, 0, 2, 0, 0, 0, 9, 0xff, 0xff, 0),
		"PONG":                        frame(typePong),
		"PONG with more":              frame(typePong, 1, 2, 3),
		"unknown key":                 frame(typeHealth, []byte(`{"mood":"fine"}`)...),
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			before := spent()
			p, relay, _ := rawAgent(t, connPair)
			go func() {
				for {
					if _, err := relay.Receive(context.Background()); err != nil {
						return
					}
				}
			}()
			for range min(2000, 200<<10/len(b)) { // the window is not above 256 KiB at first
				p.put(muxBytes(1, b))
			}
			p.put(muxBytes(1, frame(typePing)))
			if typ, _ := p.next(1); typ != typePong || relay.Err() != nil {
				t.Errorf("frame %d, session ended %v", typ, relay.Err())
			}
			before.below(t, 20, 4)
			relay.Close()
		})
	}
}

// A name's gate is never dropped silently: a relay that does not know a field
// says so, and the lane goes on.
func TestUnknownBindFieldIsRefused(t *testing.T) {
	p, relay, _ := rawAgent(t, connPair)
	p.put(muxBytes(1, frame(typeBind, []byte(`{"id":7,"kind":"http","name":"x","gate":"password"}`)...)))
	typ, payload := p.next(1)
	var e BindError
	if err := json.Unmarshal(payload, &e); typ != typeBindError || err != nil {
		t.Fatalf("frame %d %q, %v", typ, payload, err)
	}
	if e.ID != 7 || e.Code != RejectProtocol || e.RetryAfterMS != 0 || !strings.Contains(e.Message, `"gate"`) {
		t.Errorf("refusal %+v", e)
	}
	p.put(muxBytes(1, frame(typeBind, []byte(`{"id":8,"kind":"http","name":"y"}`)...)))
	m, err := relay.Receive(context.Background())
	if b, ok := m.(*Bind); !ok || b.ID != 8 || err != nil {
		t.Errorf("message %+v, %v", m, err)
	}
}

// Messages that nobody takes make the peer wait, and hold up no end.
func TestUntakenMessages(t *testing.T) {
	before := spent()
	p, relay, ended := rawAgent(t, connPair)
	p.drain()
	for range 64 {
		p.put(muxBytes(1, frame(typeNotice, []byte(`{"message":"`+strings.Repeat("x", 2<<10)+`"}`)...)))
	}
	until(t, "a full inbox", func() bool { return len(relay.inbox) == inboxSize })
	before.below(t, 20, 8)
	start := time.Now()
	relay.Close()
	if err := within(t, "end of the session", ended); !errors.Is(err, ErrClosed) {
		t.Errorf("session ended with %v", err)
	}
	if d := time.Since(start); d > deadAfter/2 {
		t.Errorf("the end took %v", d)
	}
}

// A peer that takes no messages is cut off before they cost much.
func TestMessagesToDeafPeer(t *testing.T) {
	for name, connect := range map[string]connector{"pipe": pipe, "tcp": connPair} {
		t.Run(name, func(t *testing.T) {
			before := spent()
			_, relay, ended := rawAgent(t, connect)
			notice := &Notice{Message: strings.Repeat("x", 8<<10)}
			n := 0
			for ; relay.Send(notice) == nil; n++ {
				if n > 10_000 {
					t.Fatal("there is no bound")
				}
				runtime.Gosched()
			}
			if err := within(t, "end of the session", ended); !errors.Is(err, errControlUnread) {
				t.Errorf("session ended with %v", err)
			}
			before.below(t, 20, 8)
		})
	}
}

// An agent that says nothing more after the preface costs its connection.
func TestNoControlStream(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as a preface may")
	}
	t.Parallel()
	a, r := connPair(t)
	defer a.Close()
	hello, err := appendHello(&Hello{Kind: KindSession})
	if err != nil {
		t.Fatal(err)
	}
	a.Write(hello)
	accepted := make(chan error, 1)
	go func(r net.Conn) {
		if _, err := ReadHello(r); err != nil {
			t.Error(err)
		}
		_, err := Accept(r, &Welcome{})
		accepted <- err
	}(r)
	if err := within(t, "end of Accept", accepted); err == nil {
		t.Error("a session without a control stream")
	}
}

// A relay cannot make an agent run exchanges without bound.
func TestHostileRelayOpensStreams(t *testing.T) {
	p, agent, ended := rawRelay(t, connPair, answer)
	p.drain()
	p.put(muxOpen(2))
	l := only(t, agent)
	until(t, "a stream", func() bool { return l.streams() == 1 })
	l.mu.Lock()
	for id := uint32(1000); len(l.exchanges) < maxStreams; id += 2 {
		l.exchanges[id] = l.exchanges[2]
	}
	l.mu.Unlock()
	p.put(muxOpen(4))
	if err := within(t, "end of the session", ended); !errors.Is(err, errStreams) {
		t.Errorf("session ended with %v", err)
	}
}

// What does not fit into the backlog is reset, and costs the agent nothing.
func TestHostileRelayFloodsStreams(t *testing.T) {
	before := spent()
	p, agent, ended := rawRelay(t, connPair, answer)
	p.drain()
	for id := uint32(2); agent.Err() == nil && id < 4*maxStreams; {
		var batch []byte
		for range 2 * acceptBacklog {
			batch = append(batch, muxOpen(id)...)
			id += 2
		}
		if p.put(batch) != nil {
			break
		}
	}
	before.below(t, maxStreams+20, 64)
	agent.Close()
	if err := within(t, "end of the session", ended); err == nil {
		t.Error("no cause")
	}
}
