package faults

import (
	"crypto/tls"
	"time"
)

// overTLS are the visitors whose connection is TLS.
func overTLS() []fault {
	seen := func(script script, proto string, want func(*tunnel, *message)) func(*run) {
		return func(r *run) {
			t := r.secured(script)
			v := t.visitTLS(t.host())
			v.send(request{proto: proto}.text(t.host()))
			want(t, v.answer("GET"))
		}
	}
	cut := func(proto string, kind int, end func(*conn)) func(*run) {
		return func(r *run) {
			release := make(chan struct{})
			t := r.secured(func(c *conn) {
				c.request()
				c.say(bodies()[kind].text)
				c.await(release)
				end(c)
			})
			v := t.visitTLS(t.host())
			v.send(request{proto: proto}.text(t.host()))
			m := v.head()
			if err := v.foresee(part); err != nil {
				t.Fatalf("got %v before anything broke: %v", m, err)
			}
			close(release)
			m.end = v.rest(m, "GET")
			t.wantCut(m, part, "target_incomplete")
		}
	}
	return []fault{
		{"X670", "TLS visitor", seen(reply(ok), "HTTP/1.1", passes(200, "hello"))},
		{"X671", "TLS visitor and a cut chunked body", cut("HTTP/1.1", 1, (*conn).close)},
		{"X672", "TLS visitor and a cut body of known length", cut("HTTP/1.1", 0, (*conn).close)},
		{"X673", "TLS visitor of HTTP 1.0 and a cut body", cut("HTTP/1.0", 2, (*conn).rst)},
		{"X674", "TLS visitor of HTTP 1.0 and a whole body", seen(then(bodies()[2].text), "HTTP/1.0", passes(200, part))},
		{"X675", "TLS visitor of HTTP 1.0 and an agent SIGKILLed", func(r *run) {
			t := r.secured(thenHold(bodies()[2].text))
			v := t.visitTLS(t.host())
			v.send(request{proto: "HTTP/1.0"}.text(t.host()))
			m := v.head()
			t.target.await(1)
			t.proc.kill()
			v.within(5 * time.Second)
			m.end = v.rest(m, "GET")
			t.wantCut(m, part, "link_lost")
		}},
		{"X679", "TLS visitor of HTTP 1.0 and a relay SIGKILLed", func(r *run) {
			t := r.secured(thenHold(bodies()[2].text))
			v := t.visitTLS(t.host())
			v.send(request{proto: "HTTP/1.0"}.text(t.host()))
			m := v.head()
			if err := v.foresee(part); err != nil {
				t.Fatalf("got %v before anything broke: %v", m, err)
			}
			t.relay.kill()
			if m.end = v.rest(m, "GET"); m.end == whole {
				t.lie("a body that ends by FIN: %v", m)
			}
		}},
		{"X676", "Host that the certificate does not cover", func(r *run) {
			t := r.secured(reply(ok))
			v := t.visitTLS(t.host())
			v.send("GET / HTTP/1.1\r\nHost: " + t.setup.name + ".example.com\r\n\r\n")
			t.wantError(v.answer("GET"), "request_misdirected")
		}},
		{"X677", "X-Forwarded-Proto of a TLS visitor", func(r *run) {
			t := r.secured(reply(ok))
			v := t.visitTLS(t.host())
			v.send("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
			t.wantWhole(v.answer("GET"), 200, "hello")
			if got := t.target.requests()[0].get("X-Forwarded-Proto"); got != "https" {
				t.Errorf("X-Forwarded-Proto %q, want https", got)
			}
		}},
		{"X678", "WebSocket of a TLS visitor cut by the target", func(r *run) {
			t := r.secured(upgrade("websocket", func(c *conn) {
				until(c.br, "ping")
				c.rst()
			}))
			v := t.visitTLS(t.host())
			v.send(asUpgrade("websocket"))
			if m := v.answer("GET"); m.status != 101 {
				t.Fatalf("got %v, want 101", m)
			}
			v.send("ping")
			if rest, end := v.over(2 * time.Second); end != reset {
				t.Errorf("the socket ended %v with %q, want an RST", end, rest)
			}
		}},
	}
}

// secured makes a tunnel through a relay that has a door for HTTPS.
func (r *run) secured(s script) *tunnel {
	r.Helper()
	_, cert, key := r.certificate()
	relay := r.ownRelay("127.0.0.1:0", "--https", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
	return r.open(setup{script: s, relay: relay})
}

// visitTLS begins a visitor that speaks HTTP/1 under TLS.
func (t *tunnel) visitTLS(host string) *visitor {
	t.Helper()
	raw := t.dial(t.relay.tls)
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, ServerName: t.setup.name + ".localhost", NextProtos: []string{"http/1.1"}})
	v := t.speak(conn, host)
	if err := conn.Handshake(); err != nil {
		t.Fatalf("TLS: %v", err)
	}
	return v
}
