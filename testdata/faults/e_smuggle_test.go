package faults

import (
	"strings"
	"time"
)

// A smuggling is a request that two readers could read in two ways. HOST in
// its text stands for the tunnel's name.
type smuggling struct {
	id, name, text string
	causes         []string // of the refusal
	closed         bool     // the answer may also be the end of the connection
}

// smuggled are the heads that are refused.
func smuggled() []fault {
	const (
		post = "POST /smuggled HTTP/1.1\r\nHost: HOST\r\n"
		get  = "GET /smuggled HTTP/1.1\r\nHost: HOST\r\n"
	)
	bad := []string{"bad_request"}
	coding := []string{"request_not_implemented"}
	rows := []smuggling{
		{id: "E20", name: "CL.TE", text: post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"},
		{id: "X540", name: "TE.CL", text: post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n"},
		{id: "E21", name: "Transfer-Encoding xchunked", text: post + "Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", causes: coding},
		{id: "E22", name: "Transfer-Encoding with a space before the colon", text: post + "Transfer-Encoding : chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{id: "E24", name: "Transfer-Encoding with a vertical tab", text: post + "Transfer-Encoding: \x0bchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{id: "E25", name: "Transfer-Encoding gzip and chunked", text: post + "Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", causes: coding},
		{id: "X541", name: "Transfer-Encoding chunked and identity", text: post + "Transfer-Encoding: chunked, identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n", causes: append(coding, bad...)},
		{id: "X542", name: "Transfer-Encoding chunked twice", text: post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", causes: append(coding, bad...)},
		{id: "X543", name: "Transfer-Encoding in quotes", text: post + "Transfer-Encoding: \"chunked\"\r\n\r\n5\r\nhello\r\n0\r\n\r\n", causes: append(coding, bad...)},
		{id: "X544", name: "Transfer-Encoding of HTTP 1.0", text: "POST /smuggled HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{id: "X545", name: "Transfer-Encoding that is empty", text: post + "Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello", causes: append(coding, bad...)},
		{id: "E26", name: "two different Content-Lengths", text: post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"},
		{id: "X546", name: "two equal Content-Lengths", text: post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"},
		{id: "E28", name: "Content-Length 5, 5", text: post + "Content-Length: 5, 5\r\n\r\nhello"},
		{id: "X547", name: "Content-Length +5", text: post + "Content-Length: +5\r\n\r\nhello"},
		{id: "X548", name: "Content-Length -1", text: post + "Content-Length: -1\r\n\r\nhello"},
		{id: "X549", name: "Content-Length 0x5", text: post + "Content-Length: 0x5\r\n\r\nhello"},
		{id: "X550", name: "Content-Length 5 and a space and 5", text: post + "Content-Length: 5 5\r\n\r\nhello"},
		{id: "X551", name: "Content-Length that is empty", text: post + "Content-Length:\r\n\r\nhello"},
		{id: "X552", name: "Content-Length above 64 bits", text: post + "Content-Length: 18446744073709551621\r\n\r\nhello", causes: []string{"bad_request", "request_too_large"}},
		{id: "E29", name: "bare LF line ends", text: "GET /smuggled HTTP/1.1\nHost: HOST\n\n"},
		{id: "X553", name: "one bare LF", text: "GET /smuggled HTTP/1.1\r\nHost: HOST\r\nX-A: b\nX-C: d\r\n\r\n"},
		{id: "X554", name: "a bare CR", text: get + "X-A: b\rX-C: d\r\n\r\n"},
		{id: "E31", name: "obs-fold in a header", text: get + "X-A: b\r\n c\r\n\r\n"},
		{id: "E32", name: "space before the first header", text: "GET /smuggled HTTP/1.1\r\n Host: HOST\r\nHost: HOST\r\n\r\n"},
		{id: "X555", name: "NUL in a header", text: get + "X-A: b\x00c\r\n\r\n"},
		{id: "X556", name: "a field without a colon", text: get + "X-A\r\n\r\n"},
		{id: "X557", name: "a field without a name", text: get + ": a\r\n\r\n"},
		{id: "X558", name: "a name that is no token", text: get + "X(A): b\r\n\r\n"},
		{id: "E36", name: "no Host", text: "GET /smuggled HTTP/1.1\r\nX-Host: HOST\r\n\r\n"},
		{id: "E37", name: "two Hosts", text: get + "Host: HOST\r\n\r\n"},
		{id: "X559", name: "two different Hosts", text: get + "Host: other.localhost\r\n\r\n"},
		{id: "X573", name: "Connection names Host", text: get + "Connection: Host\r\n\r\n"},
		{id: "X560", name: "a Host with a path", text: "GET /smuggled HTTP/1.1\r\nHost: HOST/a\r\n\r\n"},
		{id: "X561", name: "a Host with an at sign", text: "GET /smuggled HTTP/1.1\r\nHost: a@HOST\r\n\r\n"},
		{id: "X562", name: "a Host with a list", text: "GET /smuggled HTTP/1.1\r\nHost: HOST, HOST\r\n\r\n"},
		{id: "E40", name: "request line with two spaces and a tab", text: "GET  /smuggled\tHTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{id: "X563", name: "request line with a space in the target", text: "GET /smuggled two HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{id: "X564", name: "request line with a control character", text: "GET /smuggled\x01 HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{id: "X565", name: "request target without a slash", text: "GET smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{id: "X566", name: "method that is no token", text: "G(T /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{id: "E41", name: "HTTP 0.9", text: "GET /smuggled\r\n\r\n", causes: append(bad, "request_version"), closed: true},
		{id: "E42", name: "version HTTP 3.7", text: "GET /smuggled HTTP/3.7\r\nHost: HOST\r\n\r\n", causes: []string{"request_version"}},
		{id: "X567", name: "version HTTP 1.10", text: "GET /smuggled HTTP/1.10\r\nHost: HOST\r\n\r\n", causes: append(bad, "request_version")},
		{id: "X568", name: "version in small letters", text: "GET /smuggled http/1.1\r\nHost: HOST\r\n\r\n", causes: append(bad, "request_version")},
		{id: "E45", name: "CONNECT to somewhere", text: "CONNECT example.com:443 HTTP/1.1\r\nHost: HOST\r\n\r\n", causes: coding},
		{id: "X569", name: "CONNECT to the tunnel", text: "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n", causes: coding},
		{id: "X570", name: "101 fields", text: get + strings.Repeat("X-A: b\r\n", 101) + "\r\n", causes: []string{"request_head_too_large"}},
		{id: "X571", name: "a head of 40 KiB", text: get + "X-A: " + strings.Repeat("b", 40<<10) + "\r\n\r\n", causes: []string{"request_head_too_large"}},
		{id: "X572", name: "a head of 2 MiB", text: get + "X-A: " + strings.Repeat("b", 2<<20) + "\r\n\r\n", causes: []string{"request_head_too_large"}},
	}
	var all []fault
	for _, c := range rows {
		if c.causes == nil {
			c.causes = bad
		}
		all = append(all, fault{c.id, "smuggling: " + c.name, c.run})
	}
	return all
}

// run sends the request and wants a refusal, the connection's end, and a
// target that has seen nothing of it.
func (c smuggling) run(r *run) {
	t := r.open(setup{script: reply(ok)})
	v := t.visit()
	go v.send(c.text) // ends with the visitor; an early answer does not wait for it
	m := v.answer("GET")
	if !c.closed || m.first != "" {
		t.wantError(m, c.causes...)
	}
	if rest, end := v.over(5 * time.Second); rest != "" {
		t.Errorf("after the refusal came %q", rest)
	} else if end == hung {
		t.Errorf("the connection stayed open after the refusal")
	}
	t.wantNothing()
}

// wantNothing checks that the target has seen no request, by one that follows.
func (t *tunnel) wantNothing() {
	t.Helper()
	t.wantWhole(t.get("/after"), 200, "hello")
	for _, m := range t.target.requests() {
		if m.path() != "/after" {
			t.Errorf("the target saw %q %q", m.first, m.fields)
		}
	}
}

// smuggledBodies are the bodies that are refused, and requests that have a
// safe reading too.
func smuggledBodies() []fault {
	const chunked = "POST /smuggled HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n"
	var all []fault
	for _, c := range []smuggling{
		{id: "E34", name: "chunk size 0x5", text: chunked + "0x5\r\nhello\r\n0\r\n\r\n"},
		{id: "X580", name: "chunk size +5", text: chunked + "+5\r\nhello\r\n0\r\n\r\n"},
		{id: "X581", name: "chunk size with a space before", text: chunked + " 5\r\nhello\r\n0\r\n\r\n"},
		{id: "X582", name: "chunk size above 64 bits", text: chunked + "10000000000000005\r\nhello\r\n0\r\n\r\n"},
		{id: "X583", name: "chunk size with a bare LF", text: chunked + "5\nhello\r\n0\r\n\r\n"},
		{id: "X584", name: "chunk extension with a bare LF", text: chunked + "5;a\nhello\r\n0\r\n\r\n"},
		{id: "X585", name: "empty chunk size", text: chunked + "\r\nhello\r\n0\r\n\r\n"},
	} {
		c.causes = []string{"bad_request", "visitor_incomplete"}
		all = append(all, fault{c.id, "smuggling: " + c.name, c.run})
	}
	for _, c := range []struct{ id, name, text string }{
		{"X586", "a chunk longer than its size", chunked + "5\r\nhello!\r\n0\r\n\r\n"},
		{"X587", "a second chunk size 0x5", chunked + "5\r\nhello\r\n0x5\r\nhello\r\n0\r\n\r\n"},
		{"X588", "a trailer without a colon", chunked + "5\r\nhello\r\n0\r\nX-Sum\r\n\r\n"},
		{"X589", "a chunk that ends with a bare LF", chunked + "5\r\nhello\n0\r\n\r\n"},
	} {
		all = append(all, fault{c.id, "smuggling: " + c.name, func(r *run) {
			// The body's begin was well formed, so the target may have it; it
			// must never have the whole.
			s, seen := took()
			t := r.open(setup{script: s})
			v := t.visit()
			v.send(c.text)
			m := v.answer("POST")
			if m.end == hung {
				t.hang("no answer")
			} else if m.status != 400 && m.first != "" {
				t.Errorf("got %v, want 400 or the end of the connection", m)
			}
			v.leave()
			if len(t.target.requests()) > 0 {
				if u := <-seen; u.end == whole {
					t.lie("the target saw a whole request %v", u.message)
				}
			}
		}})
	}
	return append(all,
		fault{"E44", "smuggling: underscore look-alike", lookAlike},
		fault{"E46", "absolute form with another Host", absoluteForm},
		fault{"X590", "absolute form", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			v := t.visit()
			v.send("GET http://HOST/a?b HTTP/1.1\r\nHost: HOST\r\n\r\n")
			m := v.answer("GET")
			if m.status == 400 {
				t.wantError(m, "bad_request")
				return
			}
			t.wantWhole(m, 200, "hello")
		}},
		fault{"X591", "a head that does not end", func(r *run) {
			relay := r.sharedRelay()
			v := r.visit(relay.addr, "")
			v.send("GET / HTTP/1.1\r\nHost: ")
			if m := v.answer("GET"); m.first != "" || m.end == hung {
				r.wantError(m, "request_timeout")
			}
		}},
		fault{"X592", "an empty line before the request", func(r *run) {
			t := r.open(setup{script: reply(ok)})
			v := t.visit()
			v.send("\r\nGET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
			t.wantWhole(v.answer("GET"), 200, "hello")
		}},
	)
}

// lookAlike sends a field that some servers take for Transfer-Encoding.
func lookAlike(r *run) {
	s, seen := took()
	t := r.open(setup{script: s})
	v := t.visit()
	v.send("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\nTransfer_Encoding: chunked\r\n\r\nhello")
	m := v.answer("POST")
	if m.status == 400 {
		t.wantError(m, "bad_request")
		return
	}
	t.wantWhole(m, 200, "hello")
	if u := <-seen; string(u.body) != "hello" || u.get("Transfer-Encoding") != "" || u.get("Content-Length") != "5" {
		t.Errorf("the target saw %v", u.message)
	}
}

// absoluteForm names one host in the target and another in Host.
func absoluteForm(r *run) {
	t := r.open(setup{script: reply(ok)})
	other := r.open(setup{script: reply(sized("200 OK", "other")), name: r.name + "-other"})
	v := t.visit()
	v.send("GET http://HOST/a HTTP/1.1\r\nHost: " + other.host() + "\r\n\r\n")
	m := v.answer("GET")
	if m.status == 400 {
		t.wantError(m, "bad_request")
		return
	}
	t.wantWhole(m, 200, "hello") // RFC 9112 3.2.2
	if got := t.target.requests()[0].get("Host"); got != t.host() {
		t.Errorf("the target saw Host: %s", got)
	}
}
