package faults

import (
	"strings"
	"time"
)

// linkReturns are the links and agents that come back.
func linkReturns() []fault {
	return []fault{
		{"C01", "unknown tunnel name", func(r *run) {
			// The relay's only tunnel, whose answer it must not be.
			t := r.open(setup{script: reply(ok), relay: r.ownRelay("127.0.0.1:0")})
			host := r.name + "-nobody.localhost:" + t.relay.port()
			r.wantError(r.ask(t.relay.addr, host, request{}), "unknown_name")
			r.wantError(r.ask(t.relay.addr, host, request{proto: "h2"}), "unknown_name")
		}},
		{"C02", "agent SIGKILLed then a request", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			t.wantWhole(t.get("/"), 200, "hello")
			t.proc.kill()
			t.wantFailure(t.ask(request{within: 5 * time.Second}), "no_agent", "link_lost")
			t.wantFailure(t.ask(request{within: 5 * time.Second}), "no_agent")
		}},
		{"X335", "ready is proven", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			ready := t.proc.out.with(`"event":"ready"`, `"verified":true`, `"url":"http://`+t.host()+`"`)
			if len(ready) != 1 {
				t.Errorf("no proven URL in %q", t.proc.out.with())
			}
			if n := len(t.target.requests()); n != 0 {
				t.Errorf("the proof reached the target: %q", t.target.requests()[0].first)
			}
		}},
		{"C17", "wire cut by RST while idle", func(r *run) { returns(r, (*wire).cut) }},
		{"X330", "wire closed by FIN while idle", func(r *run) { returns(r, (*wire).fin) }},
		{"C23", "agent SIGKILLed and restarted", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			t.wantWhole(t.get("/"), 200, "hello")
			t.proc.kill()
			t.start()
			t.wantUp(10*time.Second, "no_agent", "link_lost")
		}},
		{"X331", "agent frozen, killed and restarted", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			t.proc.freeze(r)
			t.proc.kill()
			t.start()
			t.wantUp(10*time.Second, "no_agent", "link_lost")
		}},
		{"C25", "agent starts before the relay", func(r *run) {
			addr := r.free()
			t := r.open(setup{script: reply(ok), relay: &relay{addr: addr}, cold: true})
			if _, err := t.proc.event(&t.proc.out, patience, `"event":"reconnecting"`); err != nil {
				t.Fatalf("the agent does not say that it tries: %v", err)
			}
			t.relay = r.ownRelay(addr)
			begun := time.Now()
			if _, err := t.proc.event(&t.proc.out, 20*time.Second, `"event":"ready"`); err != nil {
				t.Fatal(err)
			}
			t.wantUp(time.Second)
			t.Logf("up after %v", time.Since(begun))
		}},
		{"C26", "agent starts before the target", func(r *run) {
			addr := r.free()
			t := r.open(setup{addr: addr})
			t.wantFailure(t.get("/"), "target_refused")
			r.listen(addr, reply(ok))
			t.wantUp(5 * time.Second)
			if _, err := t.proc.event(&t.proc.out, 5*time.Second, `"event":"target"`, `"state":"up"`); err != nil {
				t.Errorf("the agent does not say that the target is up: %v", err)
			}
		}},
		{"C29", "a second agent takes the same name", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			second := r.listen(r.free(), reply(sized("200 OK", "second")))
			p := r.agent(r.TempDir(), second.addr(), "--relay", "http://"+t.relay.addr, "--name", t.setup.name, "--json")
			if !p.wait(10 * time.Second) {
				r.hang("the second agent was not refused")
			} else if p.code != 5 {
				t.Errorf("the second agent ended with code %d, want 5", p.code)
			}
			if len(p.out.with(`"event":"error"`)) == 0 {
				t.Errorf("the second agent told no error: %q", p.out.with())
			}
			t.wantWhole(t.get("/"), 200, "hello")
		}},
		{"X332", "a second agent of the same state", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			p := r.agent(t.home, t.addr, "--relay", "http://"+t.relay.addr, "--name", t.setup.name, "--json")
			if !p.wait(10 * time.Second) {
				r.hang("the second agent was not refused")
			} else if p.code != 5 {
				t.Errorf("the second agent ended with code %d, want 5", p.code)
			}
			t.wantWhole(t.get("/"), 200, "hello")
		}},
		{"X333", "takeover", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			second := r.open(setup{script: reply(sized("200 OK", "second")), args: []string{"--takeover"}})
			second.wantWhole(second.get("/"), 200, "second")
			if !t.proc.wait(10 * time.Second) {
				r.hang("the evicted agent did not stop")
			} else if t.proc.code != 5 {
				t.Errorf("the evicted agent ended with code %d, want 5", t.proc.code)
			}
			second.wantWhole(second.get("/"), 200, "second")
		}},
		{"C30", "WebSocket open and agent SIGKILLed", func(r *run) {
			t := r.open(setup{script: upgrade("websocket", echoRaw)})
			v := t.upgraded("websocket")
			t.proc.kill()
			if rest, end := v.over(5 * time.Second); end != reset {
				t.Errorf("the socket ended %v with %q, want an RST", end, rest)
			}
		}},
		{"X334", "WebSocket open and wire cut", func(r *run) {
			w := r.wire(r.sharedRelay().addr)
			t := r.open(setup{script: upgrade("websocket", echoRaw), via: w.addr()})
			v := t.upgraded("websocket")
			w.fin()
			if rest, end := v.over(5 * time.Second); end != reset {
				t.Errorf("the socket ended %v with %q, want an RST", end, rest)
			}
		}},
	}
}

// returns breaks the wire of an idle agent, and asks until it is back.
func returns(r *run, end func(*wire)) {
	w := r.wire(r.sharedRelay().addr)
	t := r.open(setup{script: reply(ok), via: w.addr()})
	url := func() string {
		ready := t.proc.out.with(`"event":"ready"`)
		_, url, _ := strings.Cut(ready[len(ready)-1], `"url":"`)
		url, _, _ = strings.Cut(url, `"`)
		return url
	}
	before := url()
	end(w)
	t.wantUp(15*time.Second, "no_agent", "link_lost")
	if !eventually(patience, func() bool { return len(t.proc.out.with(`"event":"ready"`)) > 1 }) {
		t.Errorf("the agent does not say that it is back")
	}
	if after := url(); after != before {
		t.Errorf("the URL was %s and is %s", before, after)
	}
}
