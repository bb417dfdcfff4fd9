package edge

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"share/tunnel"
	"share/tunnel/http1"
)

// seeds are requests, and what is nearly so.
var seeds = []string{
	"",
	"GET / HTTP/1.1\r\nHost: x.test\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x.test\r\n\r\nGET /a HTTP/1.0\r\nHost: home.test\r\nConnection: keep-alive\r\n\r\n",
	"HEAD / HTTP/1.1\r\nHost: y.test\r\n\r\n\r\nPOST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 4\r\n\r\nbodyGET / HTTP/1.1\r\nHost: x.test\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nbody\r\n0\r\nX-A: 1\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: x.test\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbodyx",
	"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\nhalf",
	"GET /ws HTTP/1.1\r\nHost: x.test\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\nbytes",
	"GET / HTTP/1.1\r\nHost: x.test\r\nConnection: close, x-a\r\nX-A: 1\r\nx_forwarded_for: 1\r\nTE: trailers\r\n\r\nGET",
	"GET / HTTP/1.1\r\nHost: y.test\r\n\r\n ",
	"GET / HTTP/1.1\nHost: x.test\n\n",
	"\x16\x03\x01\x00\x05hello",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"GET / HTTP/3.0\r\nHost: x.test\r\n\r\n",
	"HEAD \r0",
}

// Whatever a visitor sends: the connection ends when it has ended its half,
// each request has its line in the log and its answer, in the same order, and
// nothing stands between them or behind them.
func FuzzConn(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	logged := &lines{}
	s := newStub(f, func(x *tunnel.Exchange) {
		if x.Request().Flags&tunnel.RequestUpgrade != 0 {
			switched(x)
			io.Copy(x, x)
			x.End(nil)
			return
		}
		body, err := io.ReadAll(x)
		if err != nil {
			x.Abort(tunnel.AsFailure(err))
			return
		}
		respond(x, 200, strings.Repeat("x", len(body)))
	}, func(cfg *Config) { cfg.Logger = slog.New(slog.NewJSONHandler(logged, nil)) })
	f.Fuzz(func(t *testing.T, data []byte) {
		logged.reset()
		nc, err := net.Dial("tcp", s.plain)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(patience))
		sent := make(chan bool)
		go func() {
			defer close(sent)
			nc.Write(data) // an error is the relay's end of it
			nc.(*net.TCPConn).CloseWrite()
		}()
		got, err := io.ReadAll(nc)
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Fatalf("no end after %q", got)
		}
		<-sent
		s.t = t
		s.wgConns()
		s.t = f
		requests := logged.requests(t)
		if heads := bytes.Count(data, []byte("\r\n\r\n")); len(requests) > heads+1 {
			t.Fatalf("%d requests in %d heads", len(requests), heads)
		}
		r := bufio.NewReader(bytes.NewReader(got))
		for i, request := range requests {
			if request.Cause == "visitor_gone" {
				return // nobody is answered
			}
			method := request.Method
			if method == "" && bytes.Contains(data, []byte("HEAD ")) && bytes.HasSuffix(got, []byte("\r\n\r\n")) {
				method = "HEAD" // of what is no request, and the answer has no body
			}
			resp, err := http.ReadResponse(r, &http.Request{Method: method})
			if err != nil {
				t.Fatalf("answer %d of %d: %v in %q", i+1, len(requests), err, got)
			}
			if resp.StatusCode == 101 && request.Status == 101 {
				return // bytes follow
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != request.Status {
				t.Fatalf("answer %d is %d, the log says %d; %v", i+1, resp.StatusCode, request.Status, err)
			}
			if resp.StatusCode == 200 && resp.Header.Get("Share-Error") != "" || resp.Close && i+1 < len(requests) {
				t.Fatalf("answer %d: %v", i+1, resp.Header)
			}
		}
		if rest, _ := io.ReadAll(r); len(rest) > 0 {
			t.Fatalf("behind %d answers: %q", len(requests), rest)
		}
	})
}

// A logLine is what the log says of a request.
type logLine struct {
	Method, Cause string
	Status        int
}

func (l *lines) requests(t *testing.T) (all []logLine) {
	for line := range strings.Lines(l.String()) {
		var r logLine
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

func (l *lines) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Reset()
}

// FuzzForward compares what becomes of a request's fields with what net/http
// reads of the same head, less what product and RFC 9110 7.6.1 take away.
func FuzzForward(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	p := peer{addr: "192.0.2.1:1", ip: "192.0.2.1"}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := http1.RequestHead(data, 0)
		if n == 0 || err != nil {
			return
		}
		var r http1.Request
		if r.Parse(data[:n]) != nil {
			return
		}
		other, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data[:n])))
		if err != nil {
			return
		}
		forwarded := p.strip(r.Forward(nil))
		added := p.add(nil, p.fields(string(r.Host), r.Port))
		got := make(http.Header)
		for _, f := range forwarded {
			if !http1.ValidName(f.Name) || !http1.ValidValue(f.Value) {
				t.Fatalf("field %q: %q", f.Name, f.Value)
			}
			got.Add(string(f.Name), string(f.Value))
		}
		for _, f := range added {
			if got.Get(string(f.Name)) != "" || !http1.ValidValue(f.Value) {
				t.Fatalf("%q is the visitor's, or %q no value", f.Name, f.Value)
			}
		}
		if hosts := got["Host"]; len(hosts) != 1 || other.URL.Host == "" && hosts[0] != other.Host {
			t.Fatalf("Host %q, want %q", hosts, other.Host)
		}
		for _, name := range []string{"Host", "Trailer", "Cache-Control", "Upgrade"} { // net/http moves or adds them
			delete(got, name)
			delete(other.Header, name)
		}
		want := make(http.Header)
		for name, values := range other.Header {
			if !takenAway(name, other.Header["Connection"]) {
				want[name] = values
			}
		}
		if len(got) != len(want) {
			t.Fatalf("fields %v, want %v", got, want)
		}
		for name, values := range want {
			if !slices.Equal(got[name], values) {
				t.Fatalf("%s is %q, want %q", name, got[name], values)
			}
		}
	})
}

// takenAway is a second opinion on which fields go no further.
func takenAway(name string, connection []string) bool {
	for _, list := range connection {
		for option := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.Trim(option, " \t"), name) && !strings.EqualFold(name, "close") {
				return true
			}
		}
	}
	name = strings.ToLower(name)
	switch name {
	case "connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "http2-settings":
		return true
	case "share-probe", "share-health":
		return false
	}
	name = strings.ReplaceAll(name, "_", "-")
	switch name {
	case "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-real-ip", "forwarded":
		return true
	}
	return strings.HasPrefix(name, "share-")
}
