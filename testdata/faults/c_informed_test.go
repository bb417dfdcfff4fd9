package faults

import "time"

// linkLostInformed are the ends of an agent whose target has sent no more than
// an interim answer: that is no head, so the visitor is still owed a failure.
func linkLostInformed() []fault {
	hint := thenHold("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
	return []fault{
		{"X317", "agent SIGKILLed after a 103", func(r *run) {
			t := r.open(setup{script: hint})
			v := t.visit()
			v.send("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
			if m := v.head(); m.status != 103 {
				t.Fatalf("got %v, want 103", m)
			}
			t.proc.kill()
			v.within(5 * time.Second)
			t.wantFailure(v.answer("GET"), "link_lost")
		}},
		{"X318", "agent SIGKILLed after a 103 HTTP 2 visitor", func(r *run) {
			t := r.open(setup{script: hint})
			v := t.visitH2(t.relay.addr)
			id := v.request(true, h2head("GET", t.host(), "/")...)
			if m := v.read(id, func(m *message) bool { return len(m.interim) > 0 }); m.status != 0 || v.over[id] {
				t.Fatalf("got %v, want 103", m)
			}
			t.proc.kill()
			v.within(5 * time.Second)
			t.wantFailure(v.answer(id), "link_lost")
		}},
	}
}
