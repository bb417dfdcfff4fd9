package faults

import (
	"net"
	"time"
)

// readyFalse are the public URLs that do not lead to the agent: ready must not
// say that a request has come back through them.
func readyFalse() []fault {
	unproven := func(r *run, public string) {
		_, port, err := net.SplitHostPort(public)
		if err != nil {
			r.Fatal(err)
		}
		relay := r.ownRelay("127.0.0.1:0", "--public-url", "http://localhost:"+port)
		t := r.open(setup{script: reply(ok), relay: relay})
		ready, err := t.proc.event(&t.proc.out, time.Second, `"event":"ready"`)
		if err != nil {
			t.Fatal(err)
		}
		if ready["verified"] != false || ready["reason"] == nil || ready["reason"] == "" {
			t.lie("ready that was not shown: %v", ready)
		}
		t.wantWhole(t.get("/"), 200, "hello") // the tunnel serves whatever the probe says
	}
	return []fault{
		{"X336", "public URL where nobody listens", func(r *run) { unproven(r, r.free()) }},
		{"X337", "public URL where somebody else answers", func(r *run) {
			other := r.listen("127.0.0.1:0", reply("HTTP/1.1 204 No Content\r\n\r\n"))
			unproven(r, other.addr())
		}},
	}
}
