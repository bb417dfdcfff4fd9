package faults

import "time"

// relayStops are the relays that stop, and those that come back.
func relayStops() []fault {
	return []fault{
		{"D01", "relay asked to stop with a request in flight", func(r *run) {
			release := make(chan struct{})
			relay := r.ownRelay("127.0.0.1:0")
			t := r.open(setup{script: released(release, "", ok), relay: relay})
			answer := t.later(request{})
			t.target.await(1)
			t.drain()
			close(release)
			t.wantWhole(<-answer, 200, "hello")
			t.wantExit(relay.process, 0)
		}},
		{"X400", "relay asked to stop with a body in flight", func(r *run) {
			release := make(chan struct{})
			relay := r.ownRelay("127.0.0.1:0")
			t := r.open(setup{script: released(release, "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n"+part, part), relay: relay})
			m := t.broken(request{proto: "HTTP/1.1", within: 10 * time.Second}, part, func() {
				t.drain()
				close(release)
			})
			t.wantWhole(m, 200, part+part)
			t.wantExit(relay.process, 0)
		}},
		{"X401", "relay asked to stop and a request that does not end", func(r *run) {
			relay := r.ownRelay("127.0.0.1:0", "--grace", "1s")
			t := r.open(setup{script: thenHold(""), relay: relay})
			answer := t.later(request{})
			t.target.await(1)
			relay.stop()
			t.wantError(<-answer, "draining")
			t.wantExit(relay.process, 0)
		}},
		{"X402", "relay asked to stop and a body that does not end", func(r *run) { cutByRelay(r, "HTTP/1.1", 1) }},
		{"X403", "relay asked to stop and a body that does not end HTTP 1.0 visitor", func(r *run) { cutByRelay(r, "HTTP/1.0", 2) }},
		{"X404", "relay asked to stop and a body that does not end HTTP 2 visitor", func(r *run) { cutByRelay(r, "h2", 2) }},
		{"X405", "relay told to stop twice", func(r *run) {
			relay := r.ownRelay("127.0.0.1:0")
			t := r.open(setup{script: thenHold(bodies()[0].text), relay: relay})
			m := t.broken(request{proto: "HTTP/1.1", within: 5 * time.Second}, part, func() {
				relay.stop()
				eventually(5*time.Second, relay.refuses)
				relay.stop()
			})
			t.wantCut(m, part, "draining")
			if !relay.wait(5 * time.Second) {
				r.hang("the relay did not stop")
			}
		}},
		{"D02", "relay SIGKILLed and restarted", func(r *run) {
			restarted(r, func(relay *relay) { relay.kill() })
		}},
		{"D03", "relay asked to stop and started again", func(r *run) {
			restarted(r, func(relay *relay) {
				relay.stop()
				if !relay.wait(15 * time.Second) {
					r.hang("the relay did not stop")
				}
			})
		}},
		{"X406", "relay SIGKILLed inside a body HTTP 1.0 visitor", func(r *run) {
			relay := r.ownRelay("127.0.0.1:0")
			t := r.open(setup{script: thenHold(bodies()[2].text), relay: relay})
			m := t.broken(request{proto: "HTTP/1.0", within: 5 * time.Second}, part, relay.kill)
			if m.end == whole {
				t.lie("a body that ends by FIN: %v", m)
			}
			if string(m.body) != part {
				t.Errorf("body %q", m.body)
			}
		}},
		{"X408", "relay SIGKILLed inside an upgraded connection", func(r *run) {
			ends := make(chan ending, 1)
			t := r.open(setup{relay: r.ownRelay("127.0.0.1:0"), script: upgrade("raw/1", func(c *conn) {
				until(c.br, "ping")
				c.say("ping")
				ends <- c.gone(patience)
			})})
			v := t.upgraded("raw/1")
			t.relay.kill()
			if rest, end := v.over(5 * time.Second); end != reset {
				t.Errorf("the visitor's connection ended %v with %q, want an RST", end, rest)
			}
			if end := <-ends; end != reset {
				t.Errorf("the target's connection ended %v, want an RST", end)
			}
		}},
		{"X407", "relay SIGKILLed and the target sees its visitors go", func(r *run) {
			relay := r.ownRelay("127.0.0.1:0")
			ends := make(chan ending, 1)
			t := r.open(setup{relay: relay, script: func(c *conn) {
				c.request()
				ends <- c.gone(10 * time.Second)
			}})
			t.later(request{})
			t.target.await(1)
			relay.kill()
			if end := <-ends; end == hung {
				r.hang("the target kept the connection")
			}
		}},
	}
}

// refuses reports whether the relay takes no connection any more.
func (r *relay) refuses() bool { return !dials(r.addr) }

// drain asks the relay to stop, and waits until it takes no connection and the
// agent has heard of it.
func (t *tunnel) drain() {
	t.Helper()
	t.relay.stop()
	if !eventually(5*time.Second, t.relay.refuses) {
		t.Errorf("the relay takes new connections")
	}
	if _, err := t.proc.event(&t.proc.out, 5*time.Second, `"event":"reconnecting"`, "the relay is stopping"); err != nil {
		t.Errorf("the agent does not say that the relay stops: %v", err)
	}
}

// cutByRelay stops a relay while a body flows that does not end in time.
func cutByRelay(r *run, proto string, kind int) {
	relay := r.ownRelay("127.0.0.1:0", "--grace", "1s")
	t := r.open(setup{script: thenHold(bodies()[kind].text), relay: relay})
	t.wantCut(t.broken(request{proto: proto, within: 5 * time.Second}, part, relay.stop), part, "draining")
	t.wantExit(relay.process, 0)
}

// restarted ends the relay and starts it again at the same address.
func restarted(r *run, end func(*relay)) {
	addr := r.free()
	relay := r.ownRelay(addr)
	t := r.open(setup{script: reply(ok), relay: relay})
	t.wantWhole(t.get("/"), 200, "hello")
	end(relay)
	if _, err := t.proc.event(&t.proc.out, 5*time.Second, `"event":"reconnecting"`); err != nil {
		t.Fatalf("the agent does not say that it tries: %v", err)
	}
	t.relay = r.ownRelay(addr)
	begun := time.Now()
	t.wantUp(5*time.Second, "no_agent", "unknown_name") // 30 s are allowed; on loopback it is at once
	t.Logf("back after %v", time.Since(begun))
}
