package faults

import (
	"slices"
	"strings"
)

// seenBy asks and returns the request as the target saw it.
func (t *tunnel) seenBy(q request) *message {
	t.Helper()
	before := len(t.target.requests())
	t.wantWhole(t.ask(q), 200, "hello")
	if seen := t.target.requests(); len(seen) > before {
		return seen[before]
	}
	t.Fatal("the target saw nothing")
	return nil
}

// forwarded are the fields of requests and answers.
func forwarded() []fault {
	seen := func(q request, want func(*tunnel, *message)) func(*run) {
		return func(r *run) {
			t := r.open(setup{script: reply(ok)})
			want(t, t.seenBy(q))
		}
	}
	spoofs := []string{"X-Forwarded-For: 6.6.6.6", "X_Forwarded_For: 6.6.6.6", "X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6",
		"X-Forwarded-Host: 6.6.6.6", "X-Forwarded-Proto: 6.6.6.6", "X-Forwarded-Port: 6666", "Share-Client: 6.6.6.6"}
	unspoofed := func(t *tunnel, m *message) {
		if got := m.all("X-Forwarded-For"); len(got) != 1 || got[0] != "127.0.0.1" {
			t.Errorf("X-Forwarded-For %q, want 127.0.0.1", got)
		}
		for _, f := range m.fields {
			if strings.Contains(f.value, "6.6.6.6") || strings.Contains(f.value, "6666") || strings.HasPrefix(strings.ToLower(f.name), "share-") {
				t.Errorf("the spoof came through: %v", f)
			}
		}
	}
	return []fault{
		{"E60", "hop-by-hop request fields", seen(request{fields: []string{"Connection: X-Hop, Keep-Alive", "X-Hop: 1", "Keep-Alive: timeout=5",
			"Proxy-Connection: keep-alive", "TE: gzip", "X-End: 2"}}, func(t *tunnel, m *message) {
			for _, name := range []string{"X-Hop", "Keep-Alive", "Proxy-Connection", "TE"} {
				if m.get(name) != "" {
					t.Errorf("%s was forwarded", name)
				}
			}
			if m.get("X-End") != "2" || strings.Contains(strings.ToLower(m.get("Connection")), "x-hop") {
				t.Errorf("fields %q", m.fields)
			}
		})},
		{"X630", "hop-by-hop response fields", func(r *run) {
			t := r.open(setup{script: reply(sized("200 OK", "hello", "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Connection: close", "X-End: 2"))})
			m := t.get("/")
			t.wantWhole(m, 200, "hello")
			if m.get("X-Hop") != "" || m.get("Keep-Alive") != "" || m.get("Proxy-Connection") != "" || m.get("X-End") != "2" {
				t.Errorf("fields %q", m.fields)
			}
		}},
		{"E63", "X-Forwarded-For -Proto -Host", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			m := t.seenBy(request{})
			for name, want := range map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http",
				"X-Forwarded-Host": t.host(), "X-Forwarded-Port": t.relay.port(), "X-Real-IP": "127.0.0.1"} {
				if got := m.all(name); len(got) != 1 || got[0] != want {
					t.Errorf("%s %q, want %s", name, got, want)
				}
			}
		}},
		{"E64", "spoofed X-Forwarded-For", seen(request{fields: spoofs}, unspoofed)},
		{"X631", "spoofed X-Forwarded-For HTTP 2 visitor", seen(request{proto: "h2", fields: spoofs}, unspoofed)},
		{"X632", "spoofed X-Forwarded-For named by Connection", seen(request{fields: []string{"Connection: X-Forwarded-For, X-Real-IP"}}, func(t *tunnel, m *message) {
			if m.get("X-Forwarded-For") != "127.0.0.1" || m.get("X-Real-IP") != "127.0.0.1" || m.get("Via") == "" {
				t.Errorf("fields %q", m.fields)
			}
		})},
		{"X637", "spoofed X-Forwarded-For in trailers", func(r *run) {
			s, seen := took()
			t := r.open(setup{script: s})
			v := t.visit()
			v.send("POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" + strings.Join(spoofs, "\r\n") + "\r\nX-Sum: 42\r\n\r\n")
			t.wantWhole(v.answer("POST"), 200, "hello")
			t.wantTrailers((<-seen).trailers, "X-Sum")
		}},
		{"X638", "spoofed X-Forwarded-For in trailers HTTP 2 visitor", func(r *run) {
			s, seen := took()
			t := r.open(setup{script: s})
			v := t.visitH2(t.relay.addr)
			id := v.request(false, h2head("POST", t.host(), "/")...)
			v.data(id, "hello", false)
			v.trailers(id, field{"x-forwarded-for", "6.6.6.6"}, field{"forwarded", "for=6.6.6.6"}, field{"x-sum", "42"})
			t.wantWhole(v.answer(id), 200, "hello")
			t.wantTrailers((<-seen).trailers, "X-Sum")
		}},
		{"E66", "Host as the visitor sent it", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			if m := t.seenBy(request{}); len(m.all("Host")) != 1 || m.get("Host") != t.host() {
				t.Errorf("Host %q, want %s", m.all("Host"), t.host())
			}
			if m := t.seenBy(request{proto: "h2"}); len(m.all("Host")) != 1 || m.get("Host") != t.host() {
				t.Errorf("HTTP/2: Host %q, want %s", m.all("Host"), t.host())
			}
		}},
		{"E67", "byte for byte: percent-encoding", sameTarget("/%41%2f%2F%25%00%ff?%41=%zz")},
		{"E68", "byte for byte: dot segments and double slashes", sameTarget("//a/./b/../c//%2e%2e/./", "/..", "/../../etc", "/.")},
		{"E69", "byte for byte: queries", sameTarget("/?", "/?a=b&&c;d=e+f%20g", "/a??b=/?c", "/?a=%26&=")},
		{"E71", "duplicate fields and three Set-Cookies", duplicates},
		{"E72", "unusual methods", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			for _, method := range []string{"PROPFIND", "M-SEARCH", "FOO", "get", "DELETE", "OPTIONS", "TRACE"} {
				q := request{method: method}
				if method == "DELETE" {
					q.body = "body"
				}
				if m := t.seenBy(q); m.method() != method {
					t.Errorf("the target saw %q, want %s", m.first, method)
				}
			}
		}},
		{"X633", "OPTIONS *", sameTarget("*")},
		{"E73", "URL of 7 KiB", sameTarget("/" + strings.Repeat("a", 7<<10))},
		{"X634", "URL of 15 KiB", sameTarget("/?" + strings.Repeat("a", 15<<10))},
		{"E74", "URL of 100 KiB", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			t.wantError(t.get("/"+strings.Repeat("a", 100<<10)), "request_target_too_long")
			t.wantNothing()
		}},
		{"E76", "Host in upper case with a port with a trailing dot", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			for _, host := range []string{strings.ToUpper(t.host()), t.setup.name + ".localhost", t.setup.name + ".localhost:1",
				t.setup.name + ".localhost.", t.setup.name + ".localhost.:" + t.relay.port()} {
				t.wantWhole(t.run.ask(t.relay.addr, host, request{}), 200, "hello")
			}
		}},
		{"X635", "forged fields in trailers and interim answers", func(r *run) {
			t := r.open(setup{script: reply("HTTP/1.1 103 Early Hints\r\nShare-Error: x\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
				"5\r\nhello\r\n0\r\nShare-Error: x\r\nProxy-Status: share-relay; error=x\r\nX-Sum: 42\r\n\r\n")})
			m := t.ask(request{fields: []string{"TE: trailers"}})
			t.wantWhole(m, 200, "hello")
			if first(m.trailers, "Share-Error") != "" || first(m.trailers, "Proxy-Status") != "" {
				t.Errorf("trailers %q", m.trailers)
			}
			for _, i := range m.interim {
				if i.get("Share-Error") != "" {
					t.Errorf("interim answer with %q", i.fields)
				}
			}
		}},
		{"X636", "the loop", func(r *run) {
			w := r.wire(r.sharedRelay().addr)
			t := r.open(setup{addr: w.addr()})
			// To the agent the 508 is the target's: what share says of itself in
			// its fields does not pass.
			if m := t.get("/"); m.status != 508 || m.end != whole {
				t.Errorf("got %v, want 508", m)
			}
			if !eventually(patience, func() bool { return len(t.relay.log.with(`"`+t.setup.name+`"`, `"loop"`)) > 0 }) {
				t.Errorf("no request with cause loop in the relay's log")
			}
		}},
	}
}

// wantTrailers checks that a target got the trailer called name alone.
func (t *tunnel) wantTrailers(got []field, name string) {
	t.Helper()
	if len(got) != 1 || !strings.EqualFold(got[0].name, name) {
		t.Errorf("the target got the trailers %q, want %s", got, name)
	}
}

// sameTarget asks for each path and wants the target to see the same bytes.
func sameTarget(paths ...string) func(*run) {
	return func(r *run) {
		t := r.open(setup{script: reply(ok)})
		for _, path := range paths {
			q := request{path: path}
			if path == "*" {
				q.method = "OPTIONS"
			}
			if m := t.seenBy(q); m.path() != path {
				t.Errorf("the target saw %.100q, want %.100q", m.path(), path)
			}
		}
	}
}

// duplicates sends fields of the same name, both ways.
func duplicates(r *run) {
	t := r.open(setup{script: reply(sized("200 OK", "hello", "Set-Cookie: a=1", "X-Two: 1", "Set-Cookie: b=2", "X-Two: 2", "Set-Cookie: c=3; Path=/"))})
	m := t.get("/")
	t.wantWhole(m, 200, "hello")
	if got := m.all("Set-Cookie"); !slices.Equal(got, []string{"a=1", "b=2", "c=3; Path=/"}) {
		t.Errorf("Set-Cookie %q", got)
	}
	if got := m.all("X-Two"); strings.Join(got, ", ") != "1, 2" {
		t.Errorf("X-Two %q", got)
	}
	seen := t.seenBy(request{fields: []string{"X-Two: 1", "Cookie: a=1", "x-two: 2", "X-Empty:"}})
	if got := seen.all("X-Two"); strings.Join(got, ", ") != "1, 2" {
		t.Errorf("the target saw X-Two %q", got)
	}
	if len(seen.all("X-Empty")) != 1 {
		t.Errorf("the empty field was lost: %q", seen.fields)
	}
}
