package faults

import (
	"strings"
	"time"
)

// A body is how a target frames an answer of which it has sent a part.
type body struct{ name, text string }

// bodies are the three ways to frame an answer, each with part of it sent.
func bodies() [3]body {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	return [3]body{
		{"Content-Length", head + "Content-Length: 1000\r\n\r\n" + part},
		{"chunked", head + "Transfer-Encoding: chunked\r\n\r\n64\r\n" + part + "\r\n"},
		{"close-delimited", head + "Connection: close\r\n\r\n" + part},
	}
}

// A breakage ends the link in one way.
type breakage struct {
	name string
	do   func(*tunnel, *wire)
}

// cutLink are the answers that the death of the link or of an agent cuts.
func cutLink() []fault {
	var (
		killed = breakage{"agent SIGKILLed", func(t *tunnel, _ *wire) { t.proc.kill() }}
		reset  = breakage{"wire cut by RST", func(_ *tunnel, w *wire) { w.cut() }}
		closed = breakage{"wire closed by FIN", func(_ *tunnel, w *wire) { w.fin() }}
	)
	bodies := bodies()
	var all []fault
	for _, c := range []struct {
		id    string
		by    breakage
		body  body
		proto string
	}{
		{"C04", killed, bodies[0], "HTTP/1.1"}, {"C05", killed, bodies[1], "HTTP/1.1"}, {"X300", killed, bodies[2], "HTTP/1.1"},
		{"C07", reset, bodies[0], "HTTP/1.1"}, {"C08", reset, bodies[1], "HTTP/1.1"}, {"C09", reset, bodies[2], "HTTP/1.1"},
		{"C10", closed, bodies[0], "HTTP/1.1"}, {"X301", closed, bodies[1], "HTTP/1.1"}, {"C12", closed, bodies[2], "HTTP/1.1"},
		{"X302", killed, bodies[0], "HTTP/1.0"}, {"X303", killed, bodies[1], "HTTP/1.0"}, {"X304", killed, bodies[2], "HTTP/1.0"},
		{"X305", closed, bodies[1], "HTTP/1.0"}, {"X306", closed, bodies[2], "HTTP/1.0"}, {"X307", reset, bodies[2], "HTTP/1.0"},
		{"X308", killed, bodies[0], "h2"}, {"X309", killed, bodies[1], "h2"}, {"X310", killed, bodies[2], "h2"},
		{"X311", closed, bodies[2], "h2"}, {"X312", reset, bodies[1], "h2"},
	} {
		name := c.by.name + " inside a " + c.body.name + " body"
		if c.proto != "HTTP/1.1" {
			name = strings.Replace(c.proto, "/", " ", 1) + " visitor " + name
		}
		all = append(all, fault{c.id, name, func(r *run) {
			w := r.wire(r.sharedRelay().addr)
			t := r.open(setup{script: thenHold(c.body.text), via: w.addr()})
			t.wantCut(t.broken(request{proto: c.proto, within: 5 * time.Second}, part, func() { c.by.do(t, w) }), part, "link_lost")
		}})
	}
	return append(all, fault{"C03", "agent SIGKILLed while the target thinks", func(r *run) {
		thinks(r, "", func(t *tunnel, _ *wire) { t.proc.kill() })
	}}, fault{"X313", "wire cut by RST while the target thinks", func(r *run) {
		thinks(r, "", func(_ *tunnel, w *wire) { w.cut() })
	}}, fault{"X314", "wire closed by FIN while the target thinks", func(r *run) {
		thinks(r, "", func(_ *tunnel, w *wire) { w.fin() })
	}}, fault{"X315", "agent SIGKILLed while the target thinks about a POST", func(r *run) {
		t := thinks(r, "once", func(t *tunnel, _ *wire) { t.proc.kill() })
		if n := len(t.target.requests()); n != 1 {
			t.Errorf("the POST was delivered %d times", n)
		}
	}})
}

// thinks breaks the link while a request waits for its answer.
func thinks(r *run, body string, do func(*tunnel, *wire)) *tunnel {
	w := r.wire(r.sharedRelay().addr)
	t := r.open(setup{script: thenHold(""), via: w.addr()})
	q := request{within: 10 * time.Second, body: body}
	if body != "" {
		q.method = "POST"
	}
	answer := t.later(q)
	t.target.await(1)
	begun := time.Now()
	do(t, w)
	m := <-answer
	t.wantFailure(m, "link_lost")
	t.wantSince(begun, 5*time.Second)
	return t
}

// wantSince checks that no more than d has passed since the given time.
func (r *run) wantSince(since time.Time, d time.Duration) {
	r.Helper()
	if took := time.Since(since); took > d {
		r.Errorf("took %v, want %v at most", took, d)
	}
}
