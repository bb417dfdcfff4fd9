package faults

import "time"

// frozen is how long a silent link may stay unfound, with some room.
const frozen = 29 * time.Second

// linkSilenced are the agents and links that live and say nothing.
func linkSilenced() []fault {
	return []fault{
		{"C13", "agent frozen then a request", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			t.wantWhole(t.get("/"), 200, "hello")
			t.proc.freeze(r)
			t.wantFailure(t.ask(request{within: frozen}), "link_lost", "no_agent")
			t.wantFailure(t.ask(request{within: 5 * time.Second}), "no_agent")
		}},
		{"C14", "agent frozen 3 s and a request waits", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			t.wantWhole(t.get("/"), 200, "hello")
			t.proc.freeze(r)
			time.AfterFunc(3*time.Second, t.proc.thaw)
			t.wantWhole(t.get("/"), 200, "hello")
		}},
		{"C15", "wire blackholed while the target thinks", func(r *run) {
			w := r.wire(r.sharedRelay().addr)
			t := r.open(setup{script: thenHold(""), via: w.addr()})
			answer := t.later(request{within: frozen})
			t.target.await(1)
			w.silence(true)
			t.wantFailure(<-answer, "link_lost")
		}},
		{"X320", "wire blackholed inside a body", func(r *run) { blackholed(r, "HTTP/1.1", 0) }},
		{"X321", "wire blackholed inside a close-delimited body HTTP 1.0 visitor", func(r *run) { blackholed(r, "HTTP/1.0", 2) }},
		{"X322", "wire blackholed inside a body HTTP 2 visitor", func(r *run) { blackholed(r, "h2", 1) }},
		{"X323", "wire blackholed while idle and mended", func(r *run) {
			w := r.wire(r.sharedRelay().addr)
			t := r.open(setup{script: reply(ok), via: w.addr()})
			w.silence(true)
			if _, err := t.proc.event(&t.proc.out, frozen, `"event":"reconnecting"`); err != nil {
				t.Fatalf("the agent did not find the silence: %v", err)
			}
			t.wantFailure(t.ask(request{within: frozen}), "no_agent", "link_lost")
			w.silence(false)
			t.wantUp(15*time.Second, "no_agent", "link_lost")
		}},
		{"C28", "one of two agents frozen", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			other := r.open(setup{script: reply(ok), name: r.name + "-other"})
			t.wantWhole(t.get("/"), 200, "hello")
			t.proc.freeze(r)
			var waiting []<-chan *message
			for range 20 {
				waiting = append(waiting, t.later(request{within: frozen}))
			}
			begun := time.Now()
			for range 20 {
				other.wantWhole(other.get("/"), 200, "hello")
			}
			other.wantSince(begun, 20*time.Second) // a second each
			t.proc.thaw()
			for _, answer := range waiting {
				t.wantWhole(<-answer, 200, "hello")
			}
		}},
	}
}

// blackholed silences the wire inside a body.
func blackholed(r *run, proto string, kind int) {
	w := r.wire(r.sharedRelay().addr)
	t := r.open(setup{script: thenHold(bodies()[kind].text), via: w.addr()})
	t.wantCut(t.broken(request{proto: proto, within: frozen}, part, func() { w.silence(true) }), part, "link_lost")
}
