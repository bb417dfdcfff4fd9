package faults

import "strings"

// smuggledH2 are the HTTP/2 requests that HTTP/1 would read in another way.
func smuggledH2() []fault {
	get := func(t *tunnel, more ...field) []field { return h2head("GET", t.host(), "/smuggled", more...) }
	var all []fault
	for _, c := range []struct {
		id, name string
		fields   func(*tunnel) []field
		safe     func(*tunnel, *message) bool // one unambiguous request may also reach the target
	}{
		{"E50", "CR LF in a header value", func(t *tunnel) []field { return get(t, field{"x-a", "b\r\nX-Injected: 1"}) }, nil},
		{"X600", "LF in a header value", func(t *tunnel) []field { return get(t, field{"x-a", "b\nX-Injected: 1"}) }, nil},
		{"X601", "NUL in a header value", func(t *tunnel) []field { return get(t, field{"x-a", "b\x00c"}) }, nil},
		{"X602", "CR LF in a header name", func(t *tunnel) []field { return get(t, field{"x-a: b\r\nx-injected", "1"}) }, nil},
		{"X603", "colon in a header name", func(t *tunnel) []field { return get(t, field{"x-a: b", "1"}) }, nil},
		{"E51", "transfer-encoding: chunked", func(t *tunnel) []field { return get(t, field{"transfer-encoding", "chunked"}) }, nil},
		{"E54", "upper-case field name", func(t *tunnel) []field { return get(t, field{"X-Upper", "1"}) }, nil},
		{"E55", "connection-specific field", func(t *tunnel) []field { return get(t, field{"connection", "close"}) }, nil},
		{"X604", "te: gzip", func(t *tunnel) []field { return get(t, field{"te", "gzip"}) }, nil},
		{"X605", "upgrade", func(t *tunnel) []field { return get(t, field{"upgrade", "websocket"}) }, nil},
		{"X606", "CR LF in the path", func(t *tunnel) []field {
			return h2head("GET", t.host(), "/smuggled HTTP/1.1\r\nX-Injected: 1\r\n\r\n")
		}, nil},
		{"X607", "space in the path", func(t *tunnel) []field { return h2head("GET", t.host(), "/smuggled HTTP/1.1") }, nil},
		{"X608", "empty path", func(t *tunnel) []field { return h2head("GET", t.host(), "") }, nil},
		{"X609", "space in the method", func(t *tunnel) []field { return h2head("GET / HTTP/1.1", t.host(), "/smuggled") }, nil},
		{"X610", "path without a slash", func(t *tunnel) []field { return h2head("GET", t.host(), "smuggled") }, nil},
		{"X611", "no authority and no host", func(t *tunnel) []field {
			return []field{{":method", "GET"}, {":scheme", "http"}, {":path", "/smuggled"}}
		}, nil},
		{"X612", "authority and another host", func(t *tunnel) []field { return get(t, field{"host", "other.localhost"}) },
			func(t *tunnel, m *message) bool { return len(m.all("Host")) == 1 && m.get("Host") == t.host() }},
		{"X613", "two paths", func(t *tunnel) []field { return append([]field{{":path", "/"}}, get(t)...) }, nil},
		{"X614", "a pseudo-field after a field", func(t *tunnel) []field { return append([]field{{"x-a", "b"}}, get(t)...) }, nil},
		{"X615", "two different content-lengths", func(t *tunnel) []field {
			return get(t, field{"content-length", "0"}, field{"content-length", "5"})
		}, func(_ *tunnel, m *message) bool { return strings.Join(m.all("Content-Length"), ",") == "0" }},
		{"X616", "CR LF in the authority", func(t *tunnel) []field { return h2head("GET", t.host()+"\r\nX-Injected: 1", "/smuggled") }, nil},
		{"X617", "an at sign in the authority", func(t *tunnel) []field { return h2head("GET", "a@"+t.host(), "/smuggled") }, nil},
		{"X618", "CONNECT", func(t *tunnel) []field { return []field{{":method", "CONNECT"}, {":authority", t.host()}} }, nil},
	} {
		all = append(all, fault{c.id, "HTTP 2 smuggling: " + c.name, func(r *run) {
			t := r.open(setup{script: reply(ok)})
			v := t.visitH2(t.relay.addr)
			m := v.answer(v.request(true, c.fields(t)...))
			switch {
			case m.end == hung:
				t.hang("no answer")
			case m.end == whole && m.status == 200 && c.safe != nil:
				if seen := t.target.requests(); len(seen) != 1 || !c.safe(t, seen[0]) {
					t.Errorf("the target saw %q", seen[0].fields)
				}
				return
			case m.end == whole && m.status != 400 && m.status != 501 && m.status != 404:
				t.Errorf("got %v, want 400 or a stream error", m)
			}
			t.wantNothing()
		}})
	}
	return append(all, fault{"X619", "HTTP 2 smuggling: the log names it", func(r *run) {
		t := r.open(setup{script: reply(ok), relay: r.ownRelay("127.0.0.1:0")})
		v := t.visitH2(t.relay.addr)
		v.answer(v.request(true, get(t, field{"transfer-encoding", "chunked"})...))
		if !eventually(patience, func() bool { return len(t.relay.log.with(`"request"`, `"bad_request"`)) > 0 }) {
			t.Errorf("no request with cause bad_request in the relay's log")
		}
	}})
}
