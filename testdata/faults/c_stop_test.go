package faults

import (
	"strings"
	"time"
)

// agentStops are the agents that are asked to stop.
func agentStops() []fault {
	return []fault{
		{"C19", "agent SIGTERM with a request in flight", func(r *run) {
			release := make(chan struct{})
			t := r.open(setup{script: released(release, "", ok)})
			answer := t.later(request{})
			t.target.await(1)
			t.proc.stop()
			t.wantDraining()
			close(release)
			t.wantWhole(<-answer, 200, "hello")
			t.wantExit(t.proc, 0)
		}},
		{"C21", "agent SIGTERM with a body in flight", func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				c.request()
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + part)
				for range 9 {
					c.pause(333 * time.Millisecond)
					c.say(part)
				}
			}})
			m := t.broken(request{proto: "HTTP/1.1", within: 10 * time.Second}, part, t.proc.stop)
			t.wantWhole(m, 200, strings.Repeat(part, 10))
			t.wantExit(t.proc, 0)
		}},
		{"C22", "agent SIGTERM while idle", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			t.wantWhole(t.get("/"), 200, "hello")
			t.proc.stop()
			t.wantExit(t.proc, 0)
			t.wantFailure(t.ask(request{within: 5 * time.Second}), "no_agent")
		}},
		{"X340", "agent SIGTERM and a request that does not end", func(r *run) {
			t := r.open(setup{script: thenHold(""), args: []string{"--grace", "1s"}})
			answer := t.later(request{})
			t.target.await(1)
			t.proc.stop()
			t.wantFailure(<-answer, "draining")
			t.wantExit(t.proc, 0)
		}},
		{"X341", "agent SIGTERM and a body that does not end", func(r *run) {
			t := r.open(setup{script: thenHold(bodies()[2].text), args: []string{"--grace", "1s"}})
			t.wantCut(t.broken(request{proto: "HTTP/1.0", within: 5 * time.Second}, part, t.proc.stop), part, "draining")
			t.wantExit(t.proc, 0)
		}},
		{"X342", "agent told to stop twice", func(r *run) {
			t := r.open(setup{script: thenHold(bodies()[1].text)})
			m := t.broken(request{proto: "HTTP/1.1", within: 5 * time.Second}, part, func() {
				t.proc.stop()
				t.wantDraining()
				t.proc.stop()
			})
			t.wantCut(m, part, "draining", "link_lost")
			if !t.proc.wait(5 * time.Second) {
				r.hang("the agent did not stop")
			}
		}},
		{"X343", "agent SIGTERM with an upload in flight", func(r *run) {
			release := make(chan struct{})
			t := r.open(setup{script: released(release, "", ok)})
			v := t.visit()
			v.send("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 10\r\n\r\nhello")
			t.target.await(1)
			t.proc.stop()
			t.wantDraining()
			v.send("world")
			close(release)
			t.wantWhole(v.answer("POST"), 200, "hello")
			t.wantExit(t.proc, 0)
		}},
		{"X344", "agent SIGTERM with a WebSocket open", func(r *run) {
			t := r.open(setup{script: upgrade("websocket", echoRaw), args: []string{"--grace", "1s"}})
			v := t.upgraded("websocket")
			t.proc.stop()
			if rest, end := v.over(5 * time.Second); end != reset {
				t.Errorf("the socket ended %v with %q, want an RST", end, rest)
			}
			t.wantExit(t.proc, 0)
		}},
	}
}

// released answers with before, waits, and says after.
func released(release <-chan struct{}, before, after string) script {
	return func(c *conn) {
		c.request()
		c.say(before)
		c.await(release)
		c.say(after)
	}
}

// wantDraining waits until the agent, asked to stop, takes nothing new.
func (t *tunnel) wantDraining() {
	t.Helper()
	var m *message
	if !eventually(5*time.Second, func() bool {
		m = t.ask(request{path: "/new", within: 300 * time.Millisecond})
		return m.status == 503
	}) {
		t.Errorf("the agent takes new requests: %v", m)
		return
	}
	t.wantError(m, "draining", "no_agent")
}

// wantExit checks that a process that was asked to stop ends soon, with code.
func (r *run) wantExit(p *process, code int) {
	r.Helper()
	if !p.wait(5 * time.Second) {
		r.hang("the process did not stop")
	} else if p.code != code {
		r.Errorf("the process ended with code %d, want %d", p.code, code)
	}
}
