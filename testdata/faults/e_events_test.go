package faults

import (
	"fmt"
	"strings"
	"time"
)

// promptly is how long a first event may take: a second, and one more for a
// busy machine.
const promptly = 2 * time.Second

// events are the bodies that come bit by bit.
func events() []fault {
	const (
		stream  = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		chunked = "Transfer-Encoding: chunked\r\n\r\n"
		plain   = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	)
	return []fault{
		{"E88", "event stream chunked", func(r *run) { streams(r, "HTTP/1.1", stream+chunked, true) }},
		{"E90", "plain text in slow chunks", func(r *run) { streams(r, "HTTP/1.1", plain+chunked, true) }},
		{"X660", "event stream close-delimited", func(r *run) { streams(r, "HTTP/1.1", stream+"\r\n", false) }},
		{"X661", "event stream HTTP 1.0 visitor", func(r *run) { streams(r, "HTTP/1.0", stream+chunked, true) }},
		{"X662", "event stream HTTP 2 visitor", func(r *run) { streams(r, "h2", stream+chunked, true) }},
		{"X663", "body of known length in slow parts", func(r *run) {
			streams(r, "HTTP/1.1", plain+"Content-Length: 1000000\r\n\r\n", false)
		}},
		{"X664", "a head and then nothing yet", func(r *run) {
			t := r.open(setup{script: thenHold(stream + chunked)})
			v := t.visit()
			v.within(promptly)
			v.send("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
			if m := v.head(); m.status != 200 || m.end != whole {
				t.Errorf("got %v want the head", m)
			}
		}},
		{"X665", "event stream and the visitor leaves", func(r *run) {
			gone := make(chan ending, 1)
			t := r.open(setup{script: func(c *conn) {
				c.request()
				c.say(stream + chunked + "5\r\nfirst\r\n")
				gone <- c.gone(patience)
			}})
			v := t.visit()
			v.send("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
			v.until("first")
			v.leave()
			t.wantGone(gone)
		}},
	}
}

// streams lets the target send an event only after the visitor has the one
// before, so that whatever is held back shows as a hang.
func streams(r *run, proto, head string, chunked bool) {
	const events = 5
	next := make(chan struct{}, events)
	t := r.open(setup{script: func(c *conn) {
		c.request()
		c.say(head)
		for i := range events {
			select {
			case <-next:
			case <-c.target.done:
				return
			}
			event := fmt.Sprintf("data: %d\n\n", i)
			if chunked {
				event = fmt.Sprintf("%x\r\n%s\r\n", len(event), event)
			}
			c.say(event)
		}
		c.gone(time.Minute)
	}})
	var see func(string) ending
	if proto == "h2" {
		v := t.visitH2(t.relay.addr)
		id := v.request(true, h2head("GET", t.host(), "/")...)
		see = func(text string) ending {
			v.within(promptly)
			v.read(id, func(m *message) bool { return strings.Contains(string(m.body), text) })
			if !strings.Contains(string(v.stream(id).body), text) {
				return hung
			}
			return whole
		}
	} else {
		v := t.visit()
		v.send(request{proto: proto}.text(v.host))
		see = func(text string) ending {
			v.within(promptly)
			_, end := v.until(text)
			return end
		}
	}
	for i := range events {
		next <- struct{}{}
		if end := see(fmt.Sprintf("data: %d\n\n", i)); end != whole {
			t.Fatalf("event %d did not come: %v", i, end)
		}
	}
}
