package edge

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"share/tunnel"
	"share/tunnel/http1"
)

// What HTTP/2 lets a visitor say and HTTP/1.1 could not, or not so, stops at
// the relay.
func TestCheck2(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	s := newStub(t, func(x *tunnel.Exchange) {
		calls.Add(1)
		respond(x, 200, "")
	}, nil)
	many := func(n int, name, value string) (fields []string) {
		for i := range n {
			fields = append(fields, name+strconv.Itoa(i), value)
		}
		return fields
	}
	pseudo := func(method, authority, path string) []string {
		return []string{":method", method, ":scheme", "http", ":authority", authority, ":path", path}
	}
	get := func(fields ...string) []string { return append(pseudo("GET", "x.test", "/"), fields...) }
	tests := []struct {
		name   string
		fields []string
		status int
		cause  string
	}{
		{"as it should be", get("a", "1"), 200, ""},
		{"a method of any token", pseudo("m!x", "x.test", "/"), 200, ""},
		{"a method with a space", pseudo("GET / HTTP/1.1", "x.test", "/"), 400, "bad_request"},
		{"a method with a tab", pseudo("GET\t/", "x.test", "/"), 400, "bad_request"},
		{"a method of other bytes", pseudo("GET\xff", "x.test", "/"), 400, "bad_request"},
		{"a long method", pseudo(strings.Repeat("M", http1.MaxMethod+1), "x.test", "/"), 501, "request_not_implemented"},
		{"CONNECT", []string{":method", "CONNECT", ":authority", "x.test:443"}, 501, "request_not_implemented"},
		{"a path with a space", pseudo("GET", "x.test", "/ HTTP/1.1"), 400, "bad_request"},
		{"a path with a fragment", pseudo("GET", "x.test", "/a#b"), 400, "bad_request"},
		{"a path of other bytes", pseudo("GET", "x.test", "/\xc3\xa9"), 400, "bad_request"},
		{"an absolute path", pseudo("GET", "x.test", "http://evil.test/"), 400, "bad_request"},
		{"an asterisk without OPTIONS", pseudo("GET", "x.test", "*"), 400, "bad_request"},
		{"a long path", pseudo("GET", "x.test", "/"+strings.Repeat("a", http1.MaxTarget)), 414, "request_target_too_long"},
		{"the longest path", pseudo("GET", "x.test", "/"+strings.Repeat("a", http1.MaxTarget-1)), 200, ""},
		{"a host that is none", pseudo("GET", "x_test:99999", "/"), 400, "bad_request"},
		{"another host", get("host", "y.test"), 400, "bad_request"},
		{"the same host", get("host", "x.test"), 200, ""},
		{"two hosts", get("host", "x.test", "host", "y.test"), 400, "bad_request"},
		{"a length and no body", get("content-length", "5"), 400, "bad_request"},
		{"two lengths", get("content-length", "0", "content-length", "1"), 400, "bad_request"},
		{"transfer_encoding", get("transfer_encoding", "chunked"), 400, "bad_request"},
		{"content_length", get("content_length", "5"), 400, "bad_request"},
		{"too many fields", get(many(http1.MaxFields+1, "a", "1")...), 431, "request_head_too_large"},
		{"fields in the bound", get(many(http1.MaxFields-1, "a", "1")...), 200, ""},
		{"too large a head", get(many(40, "a", strings.Repeat("v", 1000))...), 431, "request_head_too_large"},
		{"a head in the bound", get(many(30, "a", strings.Repeat("v", 1000))...), 200, ""},
	}
	v := s.visit2()
	for _, tt := range tests {
		before := calls.Load()
		a := v.receive(v.openRaw(true, tt.fields...))
		if a.want(t, tt.status, tt.cause); t.Failed() {
			t.Fatal(tt.name)
		}
		if got := calls.Load() - before; got != 0 && tt.status != 200 {
			t.Errorf("%s: the agent got it", tt.name)
		}
	}
}

// A body that is not as long as it was announced is never whole for the agent.
func TestLength2(t *testing.T) {
	t.Parallel()
	s, entered, gone := leaver(t)
	v := s.visit2()
	stream := v.open(false, "POST", "/upload", "content-length", "10")
	v.framer.WriteData(stream, false, []byte("half"))
	await(t, entered, "the request")
	v.framer.WriteData(stream, true, []byte("."))
	if f := await(t, gone, "the agent's word"); f == nil {
		t.Error("the body looks whole")
	}
	if a := v.receive(stream); a.end == "END_STREAM" && a.status != "400" {
		t.Errorf("got %+v", a)
	}
}

// A visitor's resets at any time leave nothing behind.
func TestResets2(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) { respond(x, 200, "ok") }, nil)
	v := s.visit2()
	for i := range 100 {
		stream := v.open(i%3 > 0, "POST", "/")
		if i%3 == 0 {
			v.framer.WriteData(stream, i%2 == 0, []byte("body"))
		}
		if i%5 != 0 {
			v.framer.WriteRSTStream(stream, http2.ErrCodeCancel)
		} else if i%3 == 0 && i%2 != 0 {
			v.framer.WriteData(stream, true, nil)
		}
	}
	a := v.receive(v.open(true, "GET", "/"))
	if a.want(t, 200, ""); a.body != "ok" {
		t.Errorf("got %+v", a)
	}
	until(t, "the last exchange's end", func() bool { return s.relay.Live() == 0 })
}
