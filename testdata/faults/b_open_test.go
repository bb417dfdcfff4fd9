package faults

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// openBothWays are calls of HTTP/2 whose request is not over when the answer is
// awaited, or comes.
func openBothWays() []fault {
	return []fault{
		{"X158", "h2c target cut while a call waits", targetCut(false)},
		{"X159", "h2c target cut inside a call", targetCut(true)},
		{"X160", "h2c and a GET that announces trailers", overH2C(func(w http.ResponseWriter, q *http.Request) {
			io.Copy(io.Discard, q.Body)
			io.WriteString(w, "hello")
		}, func(t *tunnel) {
			t.wantWhole(t.ask(request{fields: []string{"Trailer: X-Sum"}, within: 5 * time.Second}), 200, "hello")
		})},
		{"X161", "h2c target that does not begin with SETTINGS", func(r *run) {
			target := r.listen(r.free(), func(c *conn) {
				c.say("\x00\x00\x08\x06\x00\x00\x00\x00\x00question") // PING
				c.gone(time.Minute)
			})
			t := r.open(setup{addr: "h2c://" + target.addr()})
			t.wantFailure(t.get("/"), "target_bad_response")
			for _, line := range t.proc.log.with() {
				if !strings.HasPrefix(line, "{") {
					t.Errorf("a line beside the log: %q", line)
				}
			}
		}},
	}
}

// targetCut cuts the target's connections while the visitor, who has sent a
// message and not ended the request, waits: for the answer or, if begun, for more
// of it.
func targetCut(begun bool) func(*run) {
	return func(r *run) {
		conns, asked := make(chan *conn, 8), make(chan bool, 8)
		serve := h2c(func(w http.ResponseWriter, q *http.Request) {
			io.ReadFull(q.Body, make([]byte, len("question")))
			if begun {
				io.WriteString(w, "mess")
				w.(http.Flusher).Flush()
			}
			asked <- true
			<-q.Context().Done()
		})
		target := r.listen(r.free(), func(c *conn) { conns <- c; serve(c) })
		t := r.open(setup{addr: "h2c://" + target.addr()})
		v := t.visitH2(t.relay.addr)
		defer v.conn.Close()
		id := v.request(false, h2head("POST", t.host(), "/", field{"te", "trailers"}, field{"content-type", "application/grpc"})...)
		v.data(id, "question", false)
		select {
		case <-asked:
		case <-time.After(patience):
			t.Fatal("the target did not get the call")
		}
		if begun {
			v.read(id, func(m *message) bool { return string(m.body) == "mess" })
		}
		v.within(5 * time.Second)
		for len(conns) > 0 {
			(<-conns).rst()
		}
		m := v.answer(id)
		if begun {
			t.wantCut(m, "mess", "target_incomplete")
		} else {
			t.wantFailure(m, "target_closed")
		}
	}
}
