package clients

import (
	"strings"
	"testing"
)

// odd is a legal exchange that few send. HOST in the request stands for the
// tunnel's name.
type odd struct {
	name     string
	request  string
	response string
}

const (
	usual   = "GET / HTTP/1.1\r\nHost: HOST\r\n\r\n"
	answer  = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	another = "A longer body, of which the end is known by its length alone.\n"
)

// oddRequests all get the usual answer.
func oddRequests() []odd {
	get := func(name, target string) odd {
		return odd{name, "GET " + target + " HTTP/1.1\r\nHost: HOST\r\n\r\n", answer}
	}
	fields := func(name, lines string) odd {
		return odd{name, "GET / HTTP/1.1\r\nHost: HOST\r\n" + lines + "\r\n", answer}
	}
	method := func(m string) odd { return odd{"method " + m, m + " /m HTTP/1.1\r\nHost: HOST\r\n\r\n", answer} }
	return []odd{
		get("target: percent-encoding in either case", "/%7euser/%7Euser/%2f%2F/%41?q=%e2%82%ac"),
		get("target: dot segments and double slashes", "/a/./b/../c//d///e/.."),
		get("target: sub-delims", "/!$&'()*+,;=:@/~-._?!$&'()*+,;=:@/?"),
		get("target: empty query", "/path?"),
		get("target: queries in the query", "/?a?b=c&&=&d==e?"),
		get("target: parameters", "/a;v=1/b;v=2;w"),
		get("target: 8 KiB", "/"+strings.Repeat("long/", 1638)),
		{"target: asterisk", "OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n", answer},
		{"an empty line before", "\r\n" + usual, answer},

		method("get"), method("M-SEARCH"), method("PROPFIND"), method("X!#$%&'*+-.^_`|~"), method("BREW"),
		{"GET with a body", "GET / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\n\r\nbody", answer},
		{"DELETE with a body", "DELETE / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\n\r\nbody", answer},
		{"POST of nothing", "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n", answer},
		{"POST without a length", "POST / HTTP/1.1\r\nHost: HOST\r\n\r\n", answer},
		{"POST of bytes", "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 8\r\n\r\n\x00\xff\r\n\r\n\x1b.", answer},
		{"chunks", "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", answer},
		{"chunks with leading zeros", "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0003\r\nabc\r\n0000\r\n\r\n", answer},
		{"chunks with extensions", "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b;c=\"d;e\"\r\nabc\r\n0;last\r\n\r\n", answer},
		{"chunked in capitals", "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n", answer},
		{"no chunk but the last", "POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", answer},
		{"request trailers", "POST / HTTP/1.1\r\nHost: HOST\r\nTrailer: X-Sum, X-Two\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nX-Two:  2 \r\n\r\n", answer},
		{"version 1.0", "GET / HTTP/1.0\r\nHost: HOST\r\nConnection: keep-alive\r\n\r\n", answer},
		{"expect", "POST / HTTP/1.1\r\nHost: HOST\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1 100 Continue\r\n\r\n" + answer},

		fields("field: empty value", "X-Empty:\r\nX-Blank: \t \r\n"),
		fields("field: blanks around the value", "X-A: \t a  b \t\r\nX-B:b\r\n"),
		fields("field: bytes above 127", "X-Latin: caf\xe9\r\nX-UTF8: caf\xc3\xa9 \xf0\x9f\x8d\xb5\r\n"),
		fields("field: names in any case", "x-lower: 1\r\nX-UPPER: 2\r\nx-MiXeD: 3\r\n"),
		fields("field: names of odd characters", "!#$%&'*+-.^_`|~: 1\r\n0: 2\r\nX_Under: 3\r\n"),
		fields("field: order across and within names", "B: 1\r\nA: 1\r\nB: 2\r\nC: 1\r\nA: 2\r\nb: 3\r\n"),
		fields("field: three cookies", "Cookie: a=1\r\nX: y\r\nCookie: b=2; c=3\r\nCookie: d=\"4\"\r\n"),
		fields("field: quotes and commas", "Accept: text/*;q=\"0,5\", */*;q=0.1,,\r\nIf-None-Match: W/\"a\", \"b,c\"\r\n"),
		fields("field: 90 of them", strings.Repeat("X-Many: value\r\n", 90)),
		fields("field: 20 KiB", "X-Long: "+strings.Repeat("v", 20<<10)+"\r\n"),
		fields("field: authorization", "Authorization: Basic eDp5\r\nProxy-Authorization: Basic eDp5\r\n"),
		fields("field: named by Connection", "Connection: x-hop, close\r\nX-Hop: 1\r\nX-Keep: 2\r\n"),
		fields("field: max-forwards, from, warning", "Max-Forwards: 5\r\nFrom: a@b\r\nWarning: 199 - \"x\"\r\n"),
	}
}

// oddResponses all answer a usual request.
func oddResponses() []odd {
	reply := func(name, response string) odd { return odd{name, usual, response} }
	ok := func(name, lines string) odd {
		return odd{name, usual, "HTTP/1.1 200 OK\r\n" + lines + "Content-Length: 2\r\n\r\nok"}
	}
	status := func(line string) odd {
		return odd{"status " + line, usual, "HTTP/1.1 " + line + "\r\nContent-Length: 2\r\n\r\nok"}
	}
	head := func(name, lines string) odd {
		return odd{name, "HEAD / HTTP/1.1\r\nHost: HOST\r\n\r\n", "HTTP/1.1 200 OK\r\n" + lines + "\r\n"}
	}
	return []odd{
		status("200 "), status("200 Fine, thanks"), status("200 caf\xe9"), status("299 Odd"), status("300 Choose"),
		status("418 I'm a teapot"), status("451 Hush"), status("502 Not share's"), status("599 Top"),
		reply("204", "HTTP/1.1 204 No Content\r\nETag: \"x\"\r\n\r\n"),
		reply("304 with a length", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 500\r\n\r\n"),
		reply("205", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"),
		head("HEAD with a length", "Content-Length: 12345\r\n"),
		head("HEAD without", "X: y\r\n"),
		head("HEAD of chunks", "Transfer-Encoding: chunked\r\n"),
		reply("empty, by length", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
		reply("empty, in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		reply("by length", "HTTP/1.1 200 OK\r\nContent-Length: 62\r\n\r\n"+another),
		reply("ended by the close", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+another),
		reply("version 1.0", "HTTP/1.0 200 OK\r\n\r\n"+another),
		reply("version 1.0 with a length", "HTTP/1.0 200 OK\r\nContent-Length: 62\r\n\r\n"+another),
		reply("chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n00f\r\n0123456789abcde\r\n0\r\n\r\n"),
		reply("chunks with extensions", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x;y=\"z\"\r\na\r\n0;end=1\r\n\r\n"),
		reply("trailers", "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\nX-Unnamed:\r\n\r\n"),
		reply("early hints", "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </c>\r\n\r\n"+answer),
		reply("processing", "HTTP/1.1 102 Processing\r\n\r\n"+answer),
		reply("an unknown interim", "HTTP/1.1 199 Odd one\r\nX-I: 1\r\n\r\n"+answer),
		ok("field: empty value", "X-Empty:\r\n"),
		ok("field: bytes above 127", "X-Latin: caf\xe9\r\nContent-Disposition: attachment; filename=\"\xe2\x98\x95\"\r\n"),
		ok("field: names in any case", "x-lower: 1\r\nX-UPPER: 2\r\nETAG: \"3\"\r\nwww-authenticate: Basic\r\n"),
		ok("field: names of odd characters", "!#$%&'*+-.^_`|~: 1\r\nX_Under: 2\r\n"),
		ok("field: order across and within names", "Set-Cookie: a=1\r\nVary: x\r\nSet-Cookie: b=2; Path=/\r\nVary: y\r\nset-cookie: c=3\r\n"),
		ok("field: 90 of them", strings.Repeat("X-Many: value\r\n", 90)),
		ok("field: date and server as sent", "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: odd/1 (x)\r\n"),
		ok("field: named by Connection", "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Keep: 2\r\n"),
		ok("field: content coding", "Content-Encoding: gzip\r\nContent-Type: text/html; charset=\"utf-8\"\r\n"),
		ok("field: alt-svc, hsts", "Alt-Svc: clear\r\nStrict-Transport-Security: max-age=1\r\n"),
	}
}

// TestCorpus sends odd but legal messages directly and through the tunnel:
// the target must see the same request, the visitor the same response.
func TestCorpus(t *testing.T) {
	target := newRawTarget(t)
	through := tunnel(t, target.addr)
	for kind, cases := range map[string][]odd{"request": oddRequests(), "response": oddResponses()} {
		for _, c := range cases {
			t.Run(kind+"/"+c.name, func(t *testing.T) {
				request := strings.Replace(c.request, "HOST", through.host, 1)
				wantSeen, want := target.exchange(t, target.addr, request, c.response)
				gotSeen, got := target.exchange(t, through.http, request, c.response)
				if gotSeen != wantSeen {
					t.Errorf("the target saw\n%s\ndirectly\n%s", gotSeen, wantSeen)
				}
				if got != want {
					t.Errorf("the visitor saw\n%s\ndirectly\n%s", got, want)
				}
			})
		}
	}
}
