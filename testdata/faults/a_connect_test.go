package faults

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// An asked is a case of one request and its answer.
type asked struct {
	id, name string
	script   script
	req      request
	want     func(*tunnel, *message)
	args     []string // for the agent
}

// cases makes faults of a table.
func cases(table []asked) []fault {
	var all []fault
	for _, c := range table {
		all = append(all, fault{c.id, c.name, func(r *run) {
			t := r.open(setup{script: c.script, args: c.args})
			c.want(t, t.ask(c.req))
		}})
	}
	return all
}

// fails wants a failure of one of the given causes.
func fails(names ...string) func(*tunnel, *message) {
	return func(t *tunnel, m *message) { t.Helper(); t.wantFailure(m, names...) }
}

// passes wants the target's answer as it is.
func passes(status int, body string) func(*tunnel, *message) {
	return func(t *tunnel, m *message) { t.Helper(); t.wantWhole(m, status, body) }
}

// targetConnect are the targets that cannot be reached.
func targetConnect() []fault {
	refused := func(q request) func(*run) {
		return func(r *run) {
			t := r.open(setup{addr: r.free()})
			q.within = 5 * time.Second
			m := t.ask(q)
			t.wantFailure(m, "target_refused")
			if q.method == "HEAD" && m.size != 0 {
				t.Errorf("HEAD with a body: %v", m)
			}
			if q.method != "HEAD" {
				t.wantText(m, "refused")
			}
		}
	}
	return []fault{
		{"A01", "target port closed GET", refused(request{})},
		{"A02", "target port closed POST 256 KiB", refused(request{method: "POST", body: pattern(256 << 10)})},
		{"A03", "target port closed HEAD", refused(request{method: "HEAD"})},
		{"X01", "target port closed HTTP 1.0 visitor", refused(request{proto: "HTTP/1.0"})},
		{"X02", "target port closed POST of an HTTP 2 visitor", refused(request{proto: "h2", method: "POST", body: pattern(40 << 10)})},
		{"B30", "target port closed HTTP 2 visitor", refused(request{proto: "h2"})},
		{"A04", "target blackholed", func(r *run) {
			t := r.open(setup{addr: r.blackhole()})
			t.wantFailure(t.ask(request{within: 8 * time.Second}), "target_connect_timeout")
		}},
		{"X03", "target blackholed with a bound of its own", func(r *run) {
			t := r.open(setup{addr: r.blackhole(), args: []string{"--connect-timeout", "500ms"}})
			t.wantFailure(t.ask(request{within: 3 * time.Second}), "target_connect_timeout")
		}},
		{"X04", "unix socket missing", func(r *run) {
			t := r.open(setup{addr: "unix:" + filepath.Join(r.TempDir(), "none.sock")})
			t.wantFailure(t.get("/"), "target_refused")
		}},
		{"X05", "unix socket", func(r *run) {
			path := filepath.Join(r.TempDir(), "s")
			r.listen(path, reply(ok))
			t := r.open(setup{addr: "unix:" + path})
			t.wantWhole(t.get("/"), 200, "hello")
		}},
		{"X06", "target's name does not resolve", func(r *run) {
			t := r.open(setup{addr: "http://nowhere.invalid:80"})
			m := t.ask(request{within: 12 * time.Second})
			t.wantFailure(m, "target_unreachable")
			if ps := m.get("Proxy-Status"); !strings.Contains(ps, "error=dns_") {
				t.Errorf("Proxy-Status %q, want a dns error", ps)
			}
		}},
		{"A31", "target comes back", comesBack},
		{"A41", "closes on the head of a 4 MiB POST", func(r *run) {
			t := r.open(setup{script: func(c *conn) { c.head() }})
			t.wantFailure(t.ask(request{method: "POST", body: pattern(4 << 20)}), "target_closed")
			if n := len(t.target.requests()); n != 1 {
				t.Errorf("the POST was delivered %d times", n)
			}
		}},
		{"A46", "502 before the body was read", unreadBody},
		{"X08", "502 before the body was sent", unsentBody},
		{"A47", "second request after a 502", secondAfterFailure},
		{"X07", "hold waits for a target that comes back", func(r *run) {
			addr := r.free()
			t := r.open(setup{addr: addr, args: []string{"--hold", "10s"}})
			answer := t.later(request{method: "POST", body: "once"})
			<-time.After(time.Second) // the request waits meanwhile
			t.target = r.listen(addr, echo)
			t.wantWhole(<-answer, 200, "once")
		}},
	}
}

// comesBack asks a target that is down until it is up.
func comesBack(r *run) {
	addr := r.free()
	t := r.open(setup{addr: addr})
	t.wantFailure(t.get("/"), "target_refused")
	r.listen(addr, reply(ok))
	t.wantUp(5 * time.Second)
}

// wantUp asks until the target's answer comes; until then every answer must
// be a failure that says so.
func (t *tunnel) wantUp(d time.Duration, causes ...string) {
	t.Helper()
	var m *message
	if !eventually(d, func() bool {
		m = t.get("/")
		if m.status != 200 {
			t.wantError(m, append(causes, "target_refused")...)
		}
		return m.status == 200 || t.Failed()
	}) {
		t.Errorf("not up after %v: %v", d, m)
		return
	}
	t.wantWhole(m, 200, "hello")
}

// unreadBody posts a body that looks like requests to a target that refuses.
func unreadBody(r *run) {
	t := r.open(setup{addr: r.free()})
	v := t.visit()
	inner := strings.Repeat("GET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n", 1000)
	inner = strings.ReplaceAll(inner, "HOST", v.host)
	v.send("POST /first HTTP/1.1\r\nHost: HOST\r\nContent-Length: " + strconv.Itoa(len(inner)) + "\r\n\r\n" + inner)
	t.wantFailure(v.answer("POST"), "target_refused")
	v.send("GET /second HTTP/1.1\r\nHost: HOST\r\n\r\n")
	if m := v.answer("GET"); m.first != "" {
		t.wantFailure(m, "target_refused")
		if rest, _ := v.over(300 * time.Millisecond); rest != "" {
			t.Errorf("a third answer: %q", rest)
		}
	}
	if lines := t.relay.log.with(`"`+t.setup.name+`"`, "/smuggled"); len(lines) > 0 {
		t.Errorf("the body was taken for requests: %q", lines[0])
	}
}

// unsentBody sends its body, which looks like a request, after the answer.
func unsentBody(r *run) {
	t := r.open(setup{addr: r.free()})
	v := t.visit()
	inner := strings.ReplaceAll("GET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n", "HOST", v.host)
	v.send("POST /first HTTP/1.1\r\nHost: HOST\r\nContent-Length: " + strconv.Itoa(len(inner)) + "\r\n\r\n")
	t.wantFailure(v.answer("POST"), "target_refused")
	v.send(inner)
	if rest, end := v.over(2 * time.Second); rest != "" || end == hung {
		t.Errorf("after the failure came %q, %v; want the end of the connection", rest, end)
	}
	if lines := t.relay.log.with(`"`+t.setup.name+`"`, "/smuggled"); len(lines) > 0 {
		t.Errorf("the body was taken for a request: %q", lines[0])
	}
}

// secondAfterFailure asks again over the connection that saw a 502.
func secondAfterFailure(r *run) {
	addr := r.free()
	t := r.open(setup{addr: addr})
	v := t.visit()
	v.send("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
	t.wantFailure(v.answer("GET"), "target_refused")
	r.listen(addr, reply(ok))
	t.wantUp(5 * time.Second)
	v.within(patience)
	v.send("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
	if m := v.answer("GET"); m.first != "" {
		t.wantWhole(m, 200, "hello")
	}
}
