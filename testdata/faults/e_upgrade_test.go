package faults

import (
	"io"
	"strings"
	"time"
)

// echoRaw sends back what comes until the peer's FIN, then its own.
func echoRaw(c *conn) {
	io.Copy(c.Conn, c.br)
}

// asUpgrade is a request to switch to a protocol.
func asUpgrade(protocol string) string {
	return "GET /socket HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: " + protocol +
		"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
}

// upgraded returns a visitor that has switched to a protocol that echoes.
func (t *tunnel) upgraded(protocol string) *visitor {
	t.Helper()
	v := t.visit()
	v.send(asUpgrade(protocol))
	m := v.answer("GET")
	if m.status != 101 || !strings.EqualFold(m.get("Upgrade"), protocol) || !strings.EqualFold(m.get("Connection"), "upgrade") {
		t.Fatalf("got %v, want 101", m)
	}
	v.send("ping")
	if got, end := v.until("ping"); got != "ping" {
		t.Fatalf("the echo is %q, %v", got, end)
	}
	return v
}

// upgrades are the connections that change their protocol.
func upgrades() []fault {
	return []fault{
		{"E80", "WebSocket echo both ways", func(r *run) { echoes(r, "websocket") }},
		{"E95", "Upgrade to another protocol", func(r *run) { echoes(r, "raw/1") }},
		{"E82", "WebSocket the target closes", func(r *run) { targetEnds(r, func(c *conn) { c.Close() }, short) }},
		{"X650", "WebSocket the target resets", func(r *run) { targetEnds(r, (*conn).rst, reset) }},
		{"X651", "WebSocket the target resets behind its last bytes", func(r *run) {
			t := r.open(setup{script: upgrade("websocket", func(c *conn) {
				until(c.br, "ping")
				c.say("pong")
				c.rst()
			})})
			v := t.visit()
			v.send(asUpgrade("websocket"))
			v.answer("GET")
			v.send("ping")
			if rest, end := v.over(2 * time.Second); end != reset {
				t.Errorf("the socket ended %v with %q, want an RST", end, rest)
			}
		}},
		{"E83", "WebSocket the visitor leaves", func(r *run) {
			ends := make(chan ending, 1)
			t := r.open(setup{script: upgrade("websocket", func(c *conn) {
				until(c.br, "ping")
				c.say("ping")
				ends <- c.gone(10 * time.Second)
			})})
			v := t.upgraded("websocket")
			begun := time.Now()
			v.leave()
			if end := <-ends; end == hung {
				t.hang("the target did not see the end")
			}
			t.wantSince(begun, 2*time.Second)
		}},
		{"X666", "raw upgrade and the agent SIGKILLed: the target sees an RST", func(r *run) {
			ends := make(chan ending, 1)
			t := r.open(setup{script: upgrade("raw/1", func(c *conn) {
				until(c.br, "ping")
				c.say("ping")
				ends <- c.gone(10 * time.Second)
			})})
			t.upgraded("raw/1")
			t.proc.kill()
			if end := <-ends; end != reset {
				t.Errorf("the target saw the end %v, want an RST", end)
			}
		}},
		{"X652", "half-closed by the visitor", func(r *run) {
			t := r.open(setup{script: upgrade("raw/1", func(c *conn) {
				until(c.br, "ping")
				c.say("ping")
				if c.gone(patience) == short {
					c.say("after your FIN")
				}
			})})
			v := t.upgraded("raw/1")
			v.conn.(closeWriter).CloseWrite()
			if rest, end := v.over(5 * time.Second); rest != "after your FIN" || end != short {
				t.Errorf("got %q, %v", rest, end)
			}
		}},
		{"X653", "half-closed by the target", func(r *run) {
			got := make(chan string, 1)
			t := r.open(setup{script: upgrade("raw/1", func(c *conn) {
				until(c.br, "ping")
				c.say("ping")
				c.Conn.(closeWriter).CloseWrite()
				text, _ := until(c.br, "after your FIN")
				got <- text
			})})
			v := t.upgraded("raw/1")
			if rest, end := v.over(5 * time.Second); rest != "" || end != short {
				t.Errorf("got %q, %v, want a FIN", rest, end)
			}
			v.within(patience)
			v.send("after your FIN")
			select {
			case text := <-got:
				if text != "after your FIN" {
					t.Errorf("the target got %q", text)
				}
			case <-time.After(5 * time.Second):
				t.hang("the target got nothing")
			}
		}},
		{"X654", "bytes right behind the upgrade, both ways", func(r *run) {
			got := make(chan string, 1)
			t := r.open(setup{script: func(c *conn) {
				c.request()
				c.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw/1\r\n\r\nearly")
				text, _ := until(c.br, "eager")
				got <- text
				c.gone(patience)
			}})
			v := t.visit()
			v.send(asUpgrade("raw/1") + "eager")
			if m := v.answer("GET"); m.status != 101 {
				t.Fatalf("got %v, want 101", m)
			}
			if text, end := v.until("early"); text != "early" {
				t.Errorf("got %q, %v", text, end)
			}
			select {
			case text := <-got:
				if text != "eager" {
					t.Errorf("the target got %q", text)
				}
			case <-time.After(5 * time.Second):
				t.hang("the target did not get the visitor's bytes")
			}
		}},
		{"E84", "WebSocket refused by the target", func(r *run) {
			t := r.open(setup{script: reply(sized("403 Forbidden", "no"))})
			v := t.visit()
			v.send(asUpgrade("websocket"))
			t.wantWhole(v.answer("GET"), 403, "no")
		}},
		{"E85", "WebSocket target port closed", func(r *run) {
			t := r.open(setup{addr: r.free()})
			v := t.visit()
			v.send(asUpgrade("websocket"))
			t.wantFailure(v.answer("GET"), "target_refused")
		}},
		{"E86", "WebSocket answered 200", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			v := t.visit()
			v.send(asUpgrade("websocket"))
			t.wantWhole(v.answer("GET"), 200, "hello")
		}},
		{"X655", "a request behind an upgrade that was refused", func(r *run) {
			t := r.open(setup{script: func(c *conn) {
				for {
					c.say(sized("200 OK", c.request().path()))
				}
			}})
			v := t.visit()
			v.send(asUpgrade("websocket") + "GET /second HTTP/1.1\r\nHost: HOST\r\n\r\n")
			t.wantWhole(v.answer("GET"), 200, "/socket")
			if m := v.answer("GET"); m.first != "" { // or the connection was closed
				t.wantWhole(m, 200, "/second")
			} else if m.end == hung {
				t.hang("no second answer")
			}
		}},
		{"X656", "101 for another protocol", func(r *run) {
			t := r.open(setup{script: upgrade("other", echoRaw)})
			v := t.visit()
			v.send(asUpgrade("websocket"))
			t.wantFailure(v.answer("GET"), "upgrade_failed")
		}},
		{"X657", "Upgrade h2c is not forwarded", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			m := t.seenBy(request{fields: []string{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"}})
			if m.get("Upgrade") != "" || m.get("HTTP2-Settings") != "" {
				t.Errorf("the target saw %q", m.fields)
			}
		}},
		{"X658", "WebSocket the target closes without an answer", func(r *run) {
			t := r.open(setup{script: then("")})
			v := t.visit()
			v.send(asUpgrade("websocket"))
			t.wantFailure(v.answer("GET"), "target_closed", "upgrade_failed")
		}},
		{"X659", "WebSocket 8 MiB both ways", func(r *run) {
			sent := pattern(8 << 20)
			t := r.open(setup{script: upgrade("websocket", echoRaw)})
			v := t.upgraded("websocket")
			go func() { // ends with the visitor
				io.WriteString(v.conn, sent)
				v.conn.(closeWriter).CloseWrite()
			}()
			if got, end := v.over(patience); got != sent || end != short {
				t.Errorf("%d bytes came back, %v", len(got), end)
			}
		}},
	}
}

// echoes switches and sends bytes both ways.
func echoes(r *run, protocol string) {
	t := r.open(setup{script: upgrade(protocol, echoRaw)})
	v := t.upgraded(protocol)
	for _, text := range []string{"\x00\xff\r\n\r\n0\r\n\r\n", strings.Repeat("x", 100000), "end"} {
		v.send(text)
		buf := make([]byte, len(text))
		if _, err := io.ReadFull(v.br, buf); err != nil || string(buf) != text {
			t.Fatalf("the echo differs: %v", err)
		}
	}
}

// targetEnds lets the target end the connection and wants the visitor to see
// the same.
func targetEnds(r *run, end func(*conn), want ending) {
	release := make(chan struct{})
	t := r.open(setup{script: upgrade("websocket", func(c *conn) {
		until(c.br, "ping")
		c.say("ping")
		c.await(release)
		end(c)
	})})
	v := t.upgraded("websocket")
	close(release)
	if rest, end := v.over(2 * time.Second); end != want || rest != "" {
		t.Errorf("the socket ended %v with %q, want %v", end, rest, want)
	}
}
