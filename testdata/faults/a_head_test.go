package faults

import (
	"slices"
	"strings"
	"time"
)

// targetSilent are the targets that take their time.
func targetSilent() []fault {
	slow := func(d time.Duration) script {
		return func(c *conn) {
			c.request()
			c.pause(d)
			c.say(ok)
		}
	}
	return cases([]asked{
		{"A10", "accepts and never answers", thenHold(""), request{}, fails("target_timeout"), []string{"--header-timeout", "2s"}},
		{"A39", "headers come after 2 s", slow(2 * time.Second), request{}, passes(200, "hello"), nil},
		{"X10", "half a head and then nothing", thenHold("HTTP/1.1 200 OK\r\nX-A: "), request{}, fails("target_timeout"), []string{"--header-timeout", "2s"}},
		{"X11", "a head that drips", drip, request{}, fails("target_timeout", "target_head_too_large"), []string{"--header-timeout", "2s"}},
		{"X12", "interim answers without an end", flood, request{}, fails("target_timeout", "target_bad_response", "target_head_too_large"), []string{"--header-timeout", "2s"}},
	})
}

// drip sends a field each 100 ms.
func drip(c *conn) {
	c.request()
	c.say("HTTP/1.1 200 OK\r\n")
	for {
		c.pause(100 * time.Millisecond)
		c.say("X-Drip: 1\r\n")
	}
}

// flood sends interim answers as fast as they are taken.
func flood(c *conn) {
	c.request()
	for {
		c.say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
	}
}

// targetHead are the targets whose answer begins wrong.
func targetHead() []fault {
	const head = "HTTP/1.1 200 OK\r\n"
	post := request{method: "POST", body: "once"}
	large := head + strings.Repeat("X-Large: "+strings.Repeat("a", 1000)+"\r\n", 2048) + "\r\n"
	return cases([]asked{
		{"A05", "accepts and closes at once", func(*conn) {}, request{}, fails("target_closed"), nil},
		{"A06", "accepts and resets at once", (*conn).rst, request{}, fails("target_closed"), nil},
		{"A07", "reads the request and closes", then(""), request{}, fails("target_closed"), nil},
		{"X20", "reads the request and resets", thenReset(""), request{}, fails("target_closed"), nil},
		{"A09", "reads a POST and closes", then(""), post, failsOnce("target_closed"), nil},
		{"X21", "reads a POST and resets", thenReset(""), post, failsOnce("target_closed"), nil},
		{"X22", "half a head to a POST", then("HTTP/1.1 200"), post, failsOnce("target_incomplete"), nil},
		{"A11", "binary garbage", then("\x00\x01\x02\xff\xfe garbage \x80\x81"), request{}, fails("target_bad_response"), nil},
		{"A12", "HTTP 0.9", then("<html>hello</html>\n"), request{}, fails("target_bad_response"), nil},
		{"A13", "half a status line", then("HTTP/1.1 20"), request{}, fails("target_incomplete"), nil},
		{"A14", "half a header line", then(head + "Content-Le"), request{}, fails("target_incomplete"), nil},
		{"A15", "headers without the blank line", then(head + "Content-Length: 5\r\n"), request{}, fails("target_incomplete"), nil},
		{"X23", "half a header line and an RST", thenReset(head + "Content-Le"), request{}, fails("target_incomplete"), nil},
		{"A16", "2 MiB of response headers", then(large), request{}, fails("target_head_too_large"), nil},
		{"X24", "one header line of 2 MiB", then(head + "X-Large: " + strings.Repeat("a", 2<<20) + "\r\n\r\n"), request{}, fails("target_head_too_large"), nil},
		{"A18", "status abc", then("HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"), request{}, fails("target_bad_response"), nil},
		{"A19", "status 2000", then("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), request{}, fails("target_bad_response"), nil},
		{"X25", "status 099", then("HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"), request{}, fails("target_bad_response"), nil},
		{"X43", "status 999", then("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"), request{}, fails("target_bad_response"), nil}, // RFC 9110 15
		{"X26", "version HTTP 2.0", then("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"), request{}, fails("target_bad_response"), nil},
		{"X27", "no reason phrase", reply("HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello"), request{}, passes(200, "hello"), nil},
		{"A20", "target speaks TLS", then("\x15\x03\x01\x00\x02\x02\x46"), request{}, fails("target_bad_response"), nil},
		{"A21", "unasked 100 Continue", reply("HTTP/1.1 100 Continue\r\n\r\n" + ok), request{}, passes(200, "hello"), nil},
		{"A22", "103 Early Hints", reply("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + ok), request{}, hinted, nil},
		{"X28", "103 Early Hints HTTP 2 visitor", reply("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + ok), request{proto: "h2"}, hinted, nil},
		{"X29", "103 Early Hints HTTP 1.0 visitor", reply("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + ok), request{proto: "HTTP/1.0"}, unhinted, nil},
		{"X30", "103 and then a FIN", then("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"), request{}, fails("target_incomplete", "target_closed"), nil},
		{"X31", "103 and then an RST", thenReset("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"), request{}, fails("target_incomplete", "target_closed"), nil},
		{"X32", "103 and then a FIN HTTP 2 visitor", then("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"), request{proto: "h2"}, fails("target_incomplete", "target_closed"), nil},
		{"X33", "101 that nobody asked for", then("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nraw"), request{}, fails("upgrade_failed", "target_bad_response"), nil},
		{"A33", "Content-Length -5", then(head + "Content-Length: -5\r\n\r\nhello"), request{}, fails("target_bad_response"), nil},
		{"A34", "Content-Length abc", then(head + "Content-Length: abc\r\n\r\nhello"), request{}, fails("target_bad_response"), nil},
		{"A35", "two different Content-Lengths", then(head + "Content-Length: 5\r\nContent-Length: 3\r\n\r\nhello"), request{}, fails("target_bad_response"), nil},
		{"X34", "two different Content-Lengths in a list", then(head + "Content-Length: 5, 3\r\n\r\nhello"), request{}, fails("target_bad_response"), nil},
		{"X35", "two equal Content-Lengths", then(head + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), request{}, passesOrFails("target_bad_response"), nil},
		{"X36", "Content-Length beside Transfer-Encoding", then(head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), request{}, fails("target_bad_response"), nil},
		{"X37", "Content-Length above 64 bits", then(head + "Content-Length: 99999999999999999999\r\n\r\nhello"), request{}, fails("target_bad_response"), nil},
		{"A37", "unknown Transfer-Encoding", then(head + "Transfer-Encoding: xyz\r\n\r\nhello"), request{}, fails("target_bad_response"), nil},
		{"X38", "Transfer-Encoding gzip and chunked", then(head + "Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), request{}, fails("target_bad_response"), nil},
		{"X39", "Transfer-Encoding chunked twice", then(head + "Transfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), request{}, fails("target_bad_response"), nil},
		{"X40", "NUL in a header", then(head + "X-Nul: a\x00b\r\nContent-Length: 5\r\n\r\nhello"), request{}, passesOrFails("target_bad_response"), nil},
		{"X41", "a field without a colon", then(head + "X-None\r\nContent-Length: 5\r\n\r\nhello"), request{}, fails("target_bad_response"), nil},
		{"X42", "bare LF line ends", reply("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"), request{}, passes(200, "hello"), nil},
		{"A38", "space before the colon and obs-fold", reply(head + "X-Odd : one\r\nX-Fold: two\r\n  three\r\nContent-Length: 5\r\n\r\nhello"), request{}, cleaned, nil},
	})
}

// failsOnce wants a failure and a request that was delivered once.
func failsOnce(name string) func(*tunnel, *message) {
	return func(t *tunnel, m *message) {
		t.Helper()
		t.wantFailure(m, name)
		if n := len(t.target.requests()); n != 1 {
			t.Errorf("the target saw %d requests, want 1", n)
		}
	}
}

// passesOrFails wants hello, well framed, or a failure of the given cause.
func passesOrFails(name string) func(*tunnel, *message) {
	return func(t *tunnel, m *message) {
		t.Helper()
		if m.status != 200 {
			t.wantFailure(m, name)
			return
		}
		t.wantWhole(m, 200, "hello")
		if v := m.get("X-Nul"); strings.Contains(v, "\x00") {
			t.Errorf("NUL in the visitor's field: %q", v)
		}
	}
}

func hinted(t *tunnel, m *message) {
	t.wantWhole(m, 200, "hello")
	if !slices.ContainsFunc(m.interim, func(i *message) bool { return i.status == 103 && i.get("Link") == "</a.css>" }) {
		t.Errorf("the 103 was lost: %v", m)
	}
}

func unhinted(t *tunnel, m *message) {
	t.wantWhole(m, 200, "hello")
	if len(m.interim) > 0 {
		t.Errorf("an interim answer to HTTP/1.0: %v", m.interim)
	}
}

func cleaned(t *tunnel, m *message) {
	t.wantWhole(m, 200, "hello")
	if m.get("X-Odd") != "one" || strings.Join(strings.Fields(m.get("X-Fold")), " ") != "two three" {
		t.Errorf("fields %q, want X-Odd: one and X-Fold: two three", m.fields)
	}
}
