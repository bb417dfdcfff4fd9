package faults

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// mostGrowth is what relay and agent may each grow by while bytes wait.
const mostGrowth = 32 << 20

// visitorsSlow are the ends that do not read.
func visitorsSlow() []fault {
	return []fault{
		{"E07", "1 GiB to a visitor that reads nothing for 8 s", func(r *run) {
			send, stopped := endless()
			t := r.open(setup{relay: r.ownRelay("127.0.0.1:0"), script: paths(map[string]func(*conn, *message){"/big": send})})
			var v *visitor
			t.wantSmall(8*time.Second, func() {
				v = t.visit()
				v.send("GET /big HTTP/1.1\r\nHost: HOST\r\n\r\n")
			})
			if len(stopped) > 0 {
				t.Fatalf("the target stopped after %d bytes", <-stopped)
			}
			v.leave()
			t.wantStopped(stopped)
		}},
		{"E08", "256 MiB upload to a target that reads nothing for 6 s", func(r *run) {
			const size = 256 << 20
			read := make(chan struct{})
			t := r.open(setup{relay: r.ownRelay("127.0.0.1:0"), script: paths(map[string]func(*conn, *message){"/big": func(c *conn, m *message) {
				c.await(read)
				c.body(m)
				c.say(sized("200 OK", fmt.Sprintf("%d %x", m.size, m.sum.Sum(nil))))
			}})})
			sum := sha256.New()
			var v *visitor
			var sent sync.WaitGroup
			t.wantSmall(6*time.Second, func() {
				v = t.visit()
				v.within(time.Minute)
				v.send(fmt.Sprintf("POST /big HTTP/1.1\r\nHost: HOST\r\nContent-Length: %d\r\n\r\n", size))
				sent.Go(func() { io.Copy(io.MultiWriter(v.conn, sum), noise(size)) })
			})
			close(read)
			m := v.answer("POST")
			v.leave()
			sent.Wait()
			t.wantWhole(m, 200, fmt.Sprintf("%d %x", size, sum.Sum(nil)))
		}},
		{"X530", "a stalled visitor delays no other", func(r *run) {
			send, _ := endless()
			t := r.open(setup{script: paths(map[string]func(*conn, *message){"/big": send})})
			for range 16 {
				v := t.visit()
				v.send("GET /big HTTP/1.1\r\nHost: HOST\r\n\r\n")
				v.until("xxxx")
			}
			begun := time.Now()
			for range 50 {
				t.wantWhole(t.get("/"), 200, "hello")
			}
			t.wantSince(begun, 25*time.Second) // half a second each
		}},
		{"X531", "an HTTP 2 stream beside a large one", func(r *run) {
			send, _ := endless()
			t := r.open(setup{script: paths(map[string]func(*conn, *message){"/big": send})})
			v := t.visitH2(t.relay.addr)
			big := v.request(true, h2head("GET", t.host(), "/big")...)
			v.read(big, func(m *message) bool { return m.size > 0 })
			for range 10 {
				id := v.request(true, h2head("GET", t.host(), "/")...)
				t.wantWhole(v.answer(id), 200, "hello")
			}
		}},
	}
}

// wantSmall begins something that stalls, and for d looks that relay and agent
// stay small and that others on the tunnel are served.
func (t *tunnel) wantSmall(d time.Duration, begin func()) {
	t.Helper()
	for range 20 {
		t.wantWhole(t.get("/"), 200, "hello")
	}
	relay, agent := t.relay.memory(), t.proc.memory()
	begin()
	var most [2]int64
	for end := time.Now().Add(d); time.Now().Before(end); {
		begun := time.Now()
		t.wantWhole(t.get("/"), 200, "hello")
		t.wantSince(begun, 2*time.Second)
		most[0] = max(most[0], t.relay.memory()-relay)
		most[1] = max(most[1], t.proc.memory()-agent)
		<-time.After(100 * time.Millisecond) // between two looks
	}
	t.Logf("relay grew by %d KiB, agent by %d KiB", most[0]>>10, most[1]>>10)
	if most[0] > mostGrowth || most[1] > mostGrowth {
		t.Errorf("relay grew by %d KiB, agent by %d KiB, want %d KiB at most", most[0]>>10, most[1]>>10, mostGrowth>>10)
	}
}

// visitorsMany are many at once.
func visitorsMany() []fault {
	return []fault{
		{"E92", "50 uploads at once each echoed", func(r *run) {
			t := r.open(setup{script: echo})
			answers := make([]<-chan *message, 50)
			body := func(i int) string { return strings.Repeat(fmt.Sprintf("%d,", i), 20000) }
			for i := range answers {
				answers[i] = t.later(request{method: "POST", body: body(i), within: 30 * time.Second})
			}
			for i, answer := range answers {
				t.wantWhole(<-answer, 200, body(i))
			}
		}},
		{"E93", "600 visitors wait at once", func(r *run) { together(r, 600, "HTTP/1.1") }},
		{"X532", "100 HTTP 2 visitors wait at once", func(r *run) { together(r, 100, "h2") }},
		{"X533", "100 streams of one HTTP 2 visitor", func(r *run) {
			t := r.open(setup{script: barrier(100)})
			v := t.visitH2(t.relay.addr)
			var ids []uint32
			for i := range 100 {
				ids = append(ids, v.request(true, h2head("GET", t.host(), fmt.Sprintf("/%d", i))...))
			}
			for i, id := range ids {
				t.wantWhole(v.answer(id), 200, fmt.Sprintf("/%d", i))
			}
		}},
	}
}

// barrier answers each request with its path, but none before n are there.
func barrier(n int) script {
	var mu sync.Mutex
	all := make(chan struct{})
	count := 0
	return func(c *conn) {
		m := c.request()
		mu.Lock()
		if count++; count == n {
			close(all)
		}
		mu.Unlock()
		select {
		case <-all:
			c.say(sized("200 OK", m.path()))
		case <-c.target.done:
		}
	}
}

// together sends n requests that are answered only when all are there.
func together(r *run, n int, proto string) {
	t := r.open(setup{script: barrier(n)})
	answers := make([]<-chan *message, n)
	for i := range answers {
		answers[i] = t.later(request{proto: proto, path: fmt.Sprintf("/%d", i)})
	}
	for i, answer := range answers {
		t.wantWhole(<-answer, 200, fmt.Sprintf("/%d", i))
	}
}
