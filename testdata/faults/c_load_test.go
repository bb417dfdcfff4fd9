package faults

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// underLoad are the ends of agents and relays while requests flow.
func underLoad() []fault {
	return []fault{
		{"X316", "agent SIGKILLed while 50 requests wait", func(r *run) {
			t := r.open(setup{script: thenHold("")})
			answers := make([]<-chan *message, 50)
			for i := range answers {
				answers[i] = t.later(request{within: 30 * time.Second})
			}
			t.target.await(len(answers))
			begun := time.Now()
			t.proc.kill()
			for _, answer := range answers {
				t.wantError(<-answer, "link_lost")
			}
			t.wantSince(begun, 5*time.Second)
		}},
		{"X345", "agent SIGTERM while requests flow", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			t.flows(func() {
				t.proc.stop()
				t.wantExit(t.proc, 0)
			}, "draining", "no_agent")
		}},
		{"X346", "agent SIGKILLed while requests flow", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			t.flows(t.proc.kill, "link_lost", "no_agent")
		}},
		{"X347", "agent SIGKILLed and restarted while requests flow", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			t.flows(func() {
				t.proc.kill()
				t.start()
			}, "link_lost", "no_agent")
			t.wantUp(5 * time.Second)
		}},
		{"X348", "wire cut five times while requests flow", func(r *run) {
			w := r.wire(r.sharedRelay().addr)
			t := r.open(setup{script: reply(ok), via: w.addr()})
			t.flows(func() {
				for range 5 {
					w.cut()
					<-time.After(100 * time.Millisecond) // so that requests flow in between
				}
			}, "link_lost", "no_agent")
			t.wantUp(5 * time.Second)
		}},
		{"X349", "relay asked to stop while requests flow", func(r *run) {
			relay := r.ownRelay("127.0.0.1:0")
			t := r.open(setup{script: reply(ok), relay: relay})
			t.flows(func() {
				relay.stop()
				t.wantExit(relay.process, 0)
			}, "draining", "no_agent")
		}},
		{"X350", "target restarted while requests flow", func(r *run) {
			addr := r.free()
			target := r.listen(addr, reply(ok))
			t := r.open(setup{addr: addr})
			t.flows(func() {
				target.stop()
				r.listen(addr, reply(ok))
			}, "target_refused", "target_closed", "target_incomplete")
			t.wantUp(5 * time.Second)
		}},
	}
}

// flows lets visitors ask without a pause, each over a connection that it
// keeps, while do breaks something. An answer is the target's, whole, or a
// failure of the given causes; a connection may end before an answer begins,
// never inside one.
func (t *tunnel) flows(do func(), causes ...string) {
	t.Helper()
	var wg sync.WaitGroup
	var stop atomic.Bool
	var served atomic.Int64
	for range 8 {
		wg.Go(func() {
			for !stop.Load() && !t.Failed() {
				conn, err := net.Dial("tcp", t.relay.addr)
				if err != nil {
					return // the relay has stopped
				}
				v := t.speak(conn, t.host())
				for !stop.Load() && t.one(v, causes) {
					served.Add(1)
				}
				v.leave()
			}
		})
	}
	if !eventually(patience, func() bool { return served.Load() > 100 }) {
		t.Errorf("only %d answers before anything broke", served.Load())
	}
	do()
	<-time.After(300 * time.Millisecond) // so that requests flow afterwards
	stop.Store(true)
	wg.Wait()
}

// one asks once and reports whether the connection can be used again.
func (t *tunnel) one(v *visitor, causes []string) bool {
	v.within(patience)
	v.send("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
	m := v.answer("GET")
	switch {
	case m.first == "" && m.end != hung:
		return false
	case m.status == 200:
		t.wantWhole(m, 200, "hello")
	default:
		t.wantError(m, causes...)
	}
	return m.end == whole && m.get("Connection") != "close"
}
