package edge

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"share/tunnel"
)

// Lies that an agent can tell before anything of its answer is on its way. The
// visitor gets a 502 of the relay's, and no byte of the agent's.
func TestLiesBeforeTheHead(t *testing.T) {
	t.Parallel()
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	type lie struct {
		name   string
		method string
		resp   *tunnel.Response
	}
	lies := []lie{
		{"status 600", "GET", response(600, 0)},
		{"status 999", "GET", response(999, 0)},
		{"a body for HEAD", "HEAD", response(200, 4)},
		{"a body for 204", "GET", response(204, 4)},
		{"a body without length for 304", "GET", response(304, -1)},
		{"a length that is not the body's", "GET", response(200, 4, "Content-Length", "5")},
		{"two lengths", "GET", response(200, 4, "Content-Length", "4", "content-length", "4")},
		{"two lengths for HEAD", "HEAD", response(200, 0, "Content-Length", "4", "Content-Length", "5")},
		{"a list of lengths", "GET", response(200, 4, "Content-Length", "4, 4")},
		{"a signed length", "GET", response(200, 4, "Content-Length", "+4")},
		{"a length that is no number", "HEAD", response(200, 0, "Content-Length", "many")},
		{"a length beside none", "GET", response(200, -1, "Content-Length", "-1")},
		{"Transfer-Encoding", "GET", response(200, 4, "Transfer-Encoding", "chunked")},
		{"Connection", "GET", response(200, 4, "Connection", "close")},
		{"Keep-Alive", "GET", response(200, 4, "keep-alive", "timeout=5")},
		{"Upgrade without a switch", "GET", response(200, 4, "Upgrade", "websocket")},
		{"an empty name", "GET", response(200, 4, "", "x")},
		{"a space in a name", "GET", response(200, 4, "X Y", "x")},
		{"a colon in a name", "GET", response(200, 4, "X:", "x")},
		{"a line end in a name", "GET", response(200, 4, "X\r\n\r\n"+evil+"Y", "x")},
		{"a line end in a value", "GET", response(200, 4, "X", "x\r\n\r\n"+evil)},
		{"a bare LF in a value", "GET", response(200, 4, "X", "x\nY: y")},
		{"NUL in a value", "GET", response(200, 4, "X", "x\x00")},
		{"a space before a value", "GET", response(200, 4, "X", " x")},
		{"a switch that nobody asked for", "GET", &tunnel.Response{Status: 101, Flags: tunnel.ResponseUpgrade}},
		{"a switch that nobody asked for, of another status", "GET", &tunnel.Response{Status: 200, Flags: tunnel.ResponseUpgrade}},
		{"101 as an interim response", "GET", response(101, 0, "Upgrade", "websocket")},
		{"a length in an interim response", "GET", response(103, 0, "Content-Length", "4")},
		{"a coding in an interim response", "GET", response(103, 0, "Transfer-Encoding", "chunked")},
		{"a line end in an interim response", "GET", response(103, 0, "Link", "</x>\r\n\r\n"+evil)},
	}
	reason := response(200, 4)
	reason.Reason = []byte("OK\r\nContent-Length: 0\r\n\r\n" + evil)
	lies = append(lies, lie{"a line end in the reason phrase", "GET", reason})
	interim := response(103, 0)
	interim.Reason = reason.Reason
	lies = append(lies, lie{"a line end in the reason phrase of an interim response", "GET", interim})

	byTarget := make(map[string]*tunnel.Response)
	for _, l := range lies {
		byTarget["/"+strings.ReplaceAll(l.name, " ", "-")] = l.resp
	}
	s := newStub(t, func(x *tunnel.Exchange) {
		resp := byTarget[string(x.Request().Target)]
		if resp == nil {
			respond(x, 200, "true")
			return
		}
		x.SendResponse(resp)
		io.WriteString(x, "evil")
		x.End(nil)
	}, nil)
	second := s.client2()
	for _, l := range lies {
		target := "/" + strings.ReplaceAll(l.name, " ", "-")
		v := s.visit()
		v.send(l.method + " " + target + " HTTP/1.1\nHost: x.test\n\n")
		a := v.receive(l.method)
		if a.want(t, 502, "protocol"); a.err != nil || strings.Contains(a.body, "evil") {
			t.Errorf("%s: body %q, %v", l.name, a.body, a.err)
		}
		if t.Failed() {
			t.Fatalf("%s: over HTTP/1.1", l.name)
		}
		// The connection is in step.
		v.send("GET / HTTP/1.1\nHost: x.test\n\n")
		if a := v.receive("GET"); a.body != "true" {
			t.Fatalf("%s: the next answer is %q", l.name, a.body)
		}
		if l.name == "a line end in the reason phrase" {
			continue // HTTP/2 has none
		}
		a = ask2(t, second, l.method, "http://x.test"+target, nil)
		if a.want(t, 502, "protocol"); a.err != nil || t.Failed() {
			t.Fatalf("%s: over HTTP/2: %v", l.name, a.err)
		}
	}
}

// Lies that come when the head may be on its way: the message is cut, or it is
// a 502, and never whole.
func TestLiesInTheBody(t *testing.T) {
	t.Parallel()
	lies := map[string]func(x *tunnel.Exchange){
		"longer than announced": func(x *tunnel.Exchange) {
			x.SendResponse(response(200, 4, "Content-Length", "4"))
			x.Flush()
			io.WriteString(x, "longer")
			x.Flush()
		},
		"shorter than announced": func(x *tunnel.Exchange) {
			x.SendResponse(response(200, 10, "Content-Length", "10"))
			io.WriteString(x, "short")
			if x.End(nil) == nil {
				t.Error("a short body is ended")
			}
		},
		"no end": func(x *tunnel.Exchange) {
			x.SendResponse(response(200, -1))
			io.WriteString(x, "no end")
			x.Flush()
		},
		"trailers with a line end": func(x *tunnel.Exchange) {
			x.SendResponse(response(200, -1))
			io.WriteString(x, "body")
			x.End(response(0, 0, "X-Sum", "1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").Header)
		},
		"trailers with a length": func(x *tunnel.Exchange) {
			x.SendResponse(response(200, -1))
			io.WriteString(x, "body")
			x.End(response(0, 0, "Content-Length", "4").Header)
		},
		"trailers with a bad name": func(x *tunnel.Exchange) {
			x.SendResponse(response(200, -1))
			x.End(response(0, 0, "X Y", "4").Header)
		},
	}
	s := newStub(t, func(x *tunnel.Exchange) {
		lies[strings.ReplaceAll(string(x.Request().Target[1:]), "-", " ")](x)
	}, nil)
	second := s.client2()
	for name := range lies {
		target := "/" + strings.ReplaceAll(name, " ", "-")
		v := s.visit()
		v.send("GET " + target + " HTTP/1.1\nHost: x.test\n\n")
		a := v.receive("GET")
		if a.StatusCode == 200 && a.err == nil {
			t.Errorf("%s: HTTP/1.1 visitors get a whole answer, %q", name, a.body)
		}
		if a.StatusCode == 200 {
			if rest, _ := v.ends(); rest != "" {
				t.Errorf("%s: bytes behind a cut body: %q", name, rest)
			}
		}
		v = s.visit()
		v.send("GET " + target + " HTTP/1.0\nHost: x.test\n\n")
		if rest, err := v.ends(); strings.HasPrefix(rest, "HTTP/1.1 200") && err == io.EOF && name != "longer than announced" && name != "shorter than announced" {
			t.Errorf("%s: HTTP/1.0 visitors get a whole answer, %q", name, rest)
		}
		if a := ask2(t, second, "GET", "http://x.test"+target, nil); a.Response != nil && a.StatusCode == 200 && a.err == nil {
			t.Errorf("%s: HTTP/2 visitors get a whole answer, %q", name, a.body)
		}
	}
}

func TestInterimResponsesAreBounded(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 2)
	s := newStub(t, func(x *tunnel.Exchange) {
		for {
			if err := x.SendResponse(response(103, 0, "Link", "</x>")); err != nil {
				ended <- err
				return
			}
		}
	}, nil)
	v := s.visit()
	v.send("GET / HTTP/1.1\nHost: x.test\n\n")
	n := 0
	for a := v.receive("GET"); ; a = v.receive("GET") {
		if a.StatusCode != 103 {
			a.want(t, 502, "protocol")
			break
		}
		n++
	}
	if n != maxInterim {
		t.Errorf("%d interim responses were passed on, want %d", n, maxInterim)
	}
	if f := tunnel.AsFailure(await(t, ended, "the agent's end")); f.Cause != tunnel.Protocol {
		t.Errorf("the agent is told %v", f)
	}
	ask2(t, s.client2(), "GET", "http://x.test/", nil).want(t, 502, "protocol")
	await(t, ended, "the agent's end")
}

// A cause that this version does not know, or that is not the agent's to give,
// is still a failure that is answered.
func TestUnknownCause(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) {
		cause, _ := strconv.Atoi(string(x.Request().Target[1:]))
		x.Abort(&tunnel.Failure{Cause: tunnel.Cause(cause)})
	}, nil)
	v, second := s.visit(), s.client2()
	for _, tt := range []struct {
		cause  tunnel.Cause
		status int
		want   string
	}{{60_000, 500, "internal"}, {tunnel.VisitorGone, 502, "protocol"}} {
		target := "/" + strconv.Itoa(int(tt.cause))
		v.send("GET " + target + " HTTP/1.1\nHost: x.test\n\n")
		v.receive("GET").want(t, tt.status, tt.want)
		ask2(t, second, "GET", "http://x.test"+target, nil).want(t, tt.status, tt.want)
	}
}

// client2 is a visitor of HTTP/2 with prior knowledge.
func (s *stub) client2() *http.Client {
	transport := &http.Transport{DialContext: dialer(s.second), Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// ask2 sends a request. An error before the head is the answer's, which then
// has no Response.
func ask2(t testing.TB, client *http.Client, method, url string, body io.Reader) answered {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return answered{err: errors.Unwrap(err)}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answered{resp, string(b), err}
}
