package faults

import (
	"net"
	"strings"
)

// failurePages look at what the answer of a failure says.
func failurePages() []fault {
	refused := func(want func(*tunnel, *message), fields ...string) func(*run) {
		return func(r *run) {
			t := r.open(setup{addr: r.free()})
			m := t.ask(request{fields: fields})
			t.wantFailure(m, "target_refused")
			want(t, m)
		}
	}
	return []fault{
		{"A48", "refused is not cacheable", refused(func(t *tunnel, m *message) {
			if v := m.get("Cache-Control"); v != "no-store" {
				t.Errorf("Cache-Control %q", v)
			}
		})},
		{"A50", "refused blackholed closed and garbage are told apart", toldApart},
		{"A52", "refused and the body names the cause", refused(func(t *tunnel, m *message) {
			t.wantText(m, "refused")
			t.wantText(m, t.addr)
		}, "Accept: */*")},
		{"A53", "refused and a header names the cause", refused(func(t *tunnel, m *message) {
			want := `share-agent; error=connection_refused; next-hop="` + t.addr + `"`
			if v := m.get("Proxy-Status"); !strings.HasPrefix(v, want) {
				t.Errorf("Proxy-Status %q, want %s", v, want)
			}
		})},
		{"A54", "refused and the agent's log names target and cause", refused(func(t *tunnel, m *message) {
			_, port, _ := net.SplitHostPort(t.addr)
			if !eventually(patience, func() bool { return len(t.proc.log.with(port, "refused")) > 0 }) {
				t.Errorf("no line with %s and refused in the agent's log", port)
			}
		})},
		{"X60", "refused for a browser", refused(func(t *tunnel, m *message) {
			if v := m.get("Content-Type"); !strings.HasPrefix(v, "text/html") {
				t.Errorf("Content-Type %q", v)
			}
			t.wantText(m, "<html")
		}, "Accept: text/html,application/xhtml+xml,*/*;q=0.8")},
		{"X61", "refused for a program", refused(func(t *tunnel, m *message) {
			if v := m.get("Content-Type"); !strings.HasPrefix(v, "application/problem+json") {
				t.Errorf("Content-Type %q", v)
			}
			t.wantText(m, `target_refused`)
		}, "Accept: application/json")},
		{"X62", "the page escapes what the visitor wrote", func(r *run) {
			t := r.open(setup{addr: r.free()})
			m := t.ask(request{path: "/%3Cscript%3E?<script>alert(1)</script>", fields: []string{
				"Accept: text/html", "User-Agent: <script>alert(1)</script>"}})
			if m.status != 400 { // < is no character of a request-target
				t.wantFailure(m, "target_refused")
			}
			if strings.Contains(string(m.body), "<script>alert") {
				t.Errorf("unescaped: %s", m.body)
			}
		}},
		{"X63", "brief errors hide the target", func(r *run) {
			t := r.open(setup{addr: r.free(), args: []string{"--errors", "brief"}})
			m := t.get("/")
			t.wantFailure(m, "target_refused")
			_, port, _ := net.SplitHostPort(t.addr)
			if strings.Contains(string(m.body), port) || strings.Contains(m.get("Proxy-Status"), port) {
				t.Errorf("the target shows in %v", m)
			}
		}},
		{"X64", "a target that forges a failure", func(r *run) {
			t := r.open(setup{script: reply(sized("502 Bad Gateway", "mine", "Proxy-Status: share-agent; error=connection_refused",
				"Proxy-Status: other; error=dns_error", "Share-Error: target_refused", "Share-Request-Id: 1"))})
			m := t.get("/")
			t.wantWhole(m, 502, "mine")
			if !strings.Contains(m.get("Proxy-Status"), "other") {
				t.Errorf("another proxy's Proxy-Status was lost: %q", m.fields)
			}
			if m.get("Share-Request-Id") == "1" {
				t.Errorf("the target's Share-Request-Id came through")
			}
		}},
	}
}

// toldApart fails in four ways and wants four explanations.
func toldApart(r *run) {
	garbage := r.listen(r.free(), then("garbage"))
	closed := r.listen(r.free(), then(""))
	seen := make(map[string]string)
	for _, c := range []struct{ name, addr, cause string }{
		{"-refused", r.free(), "target_refused"},
		{"-blackholed", r.blackhole(), "target_connect_timeout"},
		{"-closed", closed.addr(), "target_closed"},
		{"-garbage", garbage.addr(), "target_bad_response"},
	} {
		t := r.open(setup{name: r.name + c.name, addr: c.addr, args: []string{"--connect-timeout", "500ms"}})
		m := t.get("/")
		t.wantFailure(m, c.cause)
		text := strings.ReplaceAll(string(m.body), c.addr, "TARGET")
		if other := seen[text]; other != "" {
			t.Errorf("%s and %s read alike: %q", c.name, other, text)
		}
		seen[text] = c.name
	}
}
