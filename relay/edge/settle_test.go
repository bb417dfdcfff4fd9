package edge

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"share/relay/access"
	"share/relay/meter"
	"share/tunnel"
)

// A seen is a stub whose exchanges are counted and written down.
type seen struct {
	*stub
	out *lines
	log *access.Log
}

func newSeen(t testing.TB, handler func(*tunnel.Exchange), change func(*Config)) *seen {
	t.Helper()
	s := &seen{out: &lines{}}
	s.log = access.New(s.out, access.JSON, slog.New(slog.DiscardHandler))
	s.stub = newStub(t, handler, func(cfg *Config) {
		cfg.Meter, cfg.Access = new(meter.Meter), s.log
		if change != nil {
			change(cfg)
		}
	})
	t.Cleanup(func() { s.log.Close() })
	return s
}

// An entry is what a test looks at of the access log.
type entry struct {
	ID, Visitor, Tunnel, Method, Path, Protocol, Cause, By string
	Status                                                 int
	Cut                                                    bool
	Received                                               int64   `json:"received_bytes"`
	Sent                                                   int64   `json:"sent_bytes"`
	Head                                                   float64 `json:"head_seconds"`
	Whole                                                  float64 `json:"whole_seconds"`
}

func (e entry) String() string {
	return fmt.Sprintf("%s %s %s %s %d %q %q cut=%v %d/%d", e.Tunnel, e.Protocol, e.Method, e.Path, e.Status, e.Cause, e.By, e.Cut, e.Received, e.Sent)
}

// entries returns the access log once it has n lines.
func (s *seen) entries(n int) (all []entry) {
	s.t.Helper()
	until(s.t, "the access log's line", func() bool { return strings.Count(s.out.String(), "\n") >= n })
	for line := range strings.Lines(s.out.String()) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.t.Errorf("%q: %v", line, err)
		}
		all = append(all, e)
	}
	if len(all) != n {
		s.t.Errorf("%d lines, want %d", len(all), n)
	}
	return all
}

// tallied gives what a meter has counted of exchanges, but for zeros.
func tallied(m *meter.Meter) string {
	var b strings.Builder
	m.Exchanges(func(cause, class string, n uint64) {
		if n > 0 {
			fmt.Fprintln(&b, cause, class, n)
		}
	})
	m.Cut(func(cause string, n uint64) {
		if n > 0 {
			fmt.Fprintln(&b, "cut", cause, n)
		}
	})
	return b.String()
}

// Every exchange ends in one place, whichever engine it is of: it is counted
// once, under its cause, and has one line.
func TestSettle(t *testing.T) {
	t.Parallel()
	begun := make(chan bool, 2)
	defer close(begun)
	var again atomic.Bool
	s := newSeen(t, func(x *tunnel.Exchange) {
		agents := func(status int, name, value string) {
			r := response(status, 0, name, value)
			r.Flags = tunnel.ResponseAgent
			x.SendResponse(r)
			x.End(nil)
		}
		switch string(x.Request().Target) {
		case "/dead":
			agents(502, "Share-Error", "target_refused")
		case "/newer":
			agents(599, "Share-Error", "of_tomorrow")
		case "/probe":
			agents(204, "Share-Probe", "nonce")
		case "/cut":
			x.SendResponse(response(200, -1))
			io.WriteString(x, "part")
			x.Flush()
			<-begun
			x.Abort(&tunnel.Failure{Cause: tunnel.TargetIncomplete, By: tunnel.Agent})
		case "/again":
			if again.CompareAndSwap(false, true) {
				x.Abort(&tunnel.Failure{Cause: tunnel.Draining, NotProcessed: true})
				return
			}
			again.Store(false)
			respond(x, 200, "hello")
		default:
			io.Copy(io.Discard, x)
			respond(x, 200, "hello")
		}
	}, nil)
	first := &http.Transport{DialContext: dialer(s.plain)}
	defer first.CloseIdleConnections()
	n := 0
	for protocol, client := range map[string]*http.Client{"HTTP/1.1": {Transport: first}, "HTTP/2.0": s.client2()} {
		for _, tt := range []struct{ method, url, body, want string }{
			{"GET", "http://x.test/ok?q=%22", "", `x GET /ok?q=%22 200 "" "" cut=false 0/5`},
			{"POST", "http://x.test/ok", strings.Repeat("b", 100_000), `x POST /ok 200 "" "" cut=false 100000/5`},
			{"HEAD", "http://x.test/ok", "", `x HEAD /ok 200 "" "" cut=false 0/0`},
			{"GET", "http://x.test/dead", "", `x GET /dead 502 "target_refused" "share-agent" cut=false 0/0`},
			{"GET", "http://x.test/newer", "", `x GET /newer 599 "of_tomorrow" "share-agent" cut=false 0/0`},
			{"GET", "http://x.test/probe", "", ""},
			{"GET", "http://x.test/cut", "", `x GET /cut 200 "target_incomplete" "share-agent" cut=true 0/4`},
			{"GET", "http://x.test/again", "", `x GET /again 200 "" "" cut=false 0/5`},
			{"GET", "http://y.test/", "", ` GET / 404 "unknown_name" "share-relay" cut=false 0/`},
			{"GET", "http://home.test/", "", ` GET / 200 "" "" cut=false 0/21`},
		} {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, tt.url, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(tt.url, "/cut") {
				io.ReadFull(resp.Body, make([]byte, 4))
				begun <- true
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if tt.want == "" {
				continue
			}
			n++
			e := s.entries(n)[n-1]
			name, rest, _ := strings.Cut(tt.want, " ")
			if got, want := e.String(), name+" "+protocol+" "+rest; !strings.HasPrefix(got, want) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if len(e.ID) != idLen || e.Visitor != "127.0.0.1" || e.Whole < e.Head || e.Whole <= 0 || e.Cut && e.Head == e.Whole {
				t.Errorf("%+v", e)
			}
		}
	}
	const want = `none 2xx 10
target_refused 5xx 2
target_incomplete 2xx 2
unknown_name 4xx 2
other 5xx 2
cut target_incomplete 2
`
	if got := tallied(s.Meter); got != want {
		t.Errorf("counted\n%swant\n%s", got, want)
	}
	if n := s.Meter.Retries(); n != 2 {
		t.Errorf("%d retries, want 2", n)
	}
	if received, sent := s.Meter.Bytes(); received != 200_000 || sent < 2*(5+5+4+5+21) {
		t.Errorf("%d bytes received, %d sent", received, sent)
	}
}

// A fresh is a visitor to whom nothing was sent yet.
type fresh struct{ visitor }

func (fresh) sent() bool                            { return false }
func (fresh) answer(*tunnel.Response, []byte) error { return nil }

// An answer that the agent had begun, and of which the visitor got nothing, is not
// cut: they get another, which is whole.
func TestNothingIsCut(t *testing.T) {
	e := new(Edge)
	failure := &tunnel.Failure{Cause: tunnel.TargetIncomplete, By: tunnel.Agent, AfterHead: true}
	out := e.fail(fresh{}, new(request), outcome{status: 200, failure: failure})
	if out.status != 502 || out.failure.AfterHead || out.failure.Cause != tunnel.TargetIncomplete {
		t.Errorf("got %d, %+v", out.status, out.failure)
	}
	if !failure.AfterHead {
		t.Error("what others may have, too, was changed")
	}
}

// A head that is no request is an exchange, too, and a visitor who leaves ends
// one.
func TestSettleWithoutAnswer(t *testing.T) {
	t.Parallel()
	entered := make(chan bool, 2)
	s := newSeen(t, func(x *tunnel.Exchange) {
		gone := aborted(x)
		entered <- true
		<-gone
	}, nil)
	v := s.visit()
	v.send("GET / HTTP/3.0\nHost: x.test\n\n")
	v.receive("GET")
	if got := s.entries(1)[0].String(); !strings.HasPrefix(got, `    505 "request_version" "share-relay" cut=false 0/`) {
		t.Errorf("a bad head: %s", got)
	}
	v = s.visit()
	v.send("GET /left HTTP/1.0\nHost: x.test\n\n")
	await(t, entered, "the request")
	v.Close()
	if got := s.entries(2)[1].String(); got != `x HTTP/1.0 GET /left 0 "visitor_gone" "share-relay" cut=false 0/0` {
		t.Errorf("a visitor who left: %s", got)
	}
	v2 := s.visit2()
	v2.open(true, "GET", "/left2")
	await(t, entered, "the request")
	v2.Close()
	if got := s.entries(3)[2].String(); got != `x HTTP/2.0 GET /left2 0 "visitor_gone" "share-relay" cut=false 0/0` {
		t.Errorf("a visitor of HTTP/2 who left: %s", got)
	}
	v2 = s.visit2()
	if a := v2.receive(v2.open(true, "GET", "/bad", "transfer-encoding", "chunked")); a.end != "RST_STREAM PROTOCOL_ERROR" {
		t.Errorf("a malformed head of HTTP/2: %+v", a)
	}
	if got := s.entries(4)[3].String(); got != `    0 "bad_request" "share-relay" cut=false 0/0` {
		t.Errorf("a malformed head of HTTP/2: %s", got)
	}
	if line := `status=0 cause=bad_request by=share-relay detail="a field of the connection"`; !s.stub.log.has(line) {
		t.Errorf("the log has no %s: %s", line, s.stub.log)
	}
	// Its answer finds the stream reset.
	stream := v2.open(false, "POST", "/longer", "content-length", "3")
	await(t, entered, "the request")
	v2.framer.WriteData(stream, false, []byte("four"))
	if got := s.entries(5)[4].String(); got != `x HTTP/2.0 POST /longer 0 "visitor_incomplete" "share-relay" cut=false 0/0` {
		t.Errorf("a body that is too long: %s", got)
	}
	// The relay's own page, and its own failure, find nobody.
	for i, host := range []string{"home.test", "y.test"} {
		v = s.visitThrough(func(nc *net.TCPConn) net.Conn { return deaf{nc} })
		v.send("GET /?deaf HTTP/1.1\nHost: " + host + "\n\n")
		want := [...]string{` HTTP/1.1 GET /?deaf 0 "visitor_gone" "share-relay" cut=false 0/0`, ` HTTP/1.1 GET /?deaf 0 "unknown_name" "share-relay" cut=false 0/0`}[i]
		if got := s.entries(6 + i)[5+i].String(); got != want {
			t.Errorf("%s: %s", host, got)
		}
	}
	if got, want := tallied(s.Meter), "unknown_name none 1\nbad_request none 1\nrequest_version 5xx 1\nvisitor_gone none 3\nvisitor_incomplete none 1\n"; got != want {
		t.Errorf("counted\n%swant\n%s", got, want)
	}
}

// An unsent visitor has got nothing of an answer yet.
type unsent struct{ visitor }

func (unsent) sent() bool                            { return false }
func (unsent) answer(*tunnel.Response, []byte) error { return nil }

// What has not reached the visitor is not cut, whatever the agent has sent of it.
func TestFailureBeforeTheVisitorsHead(t *testing.T) {
	f := &tunnel.Failure{Cause: tunnel.TargetIncomplete, By: tunnel.Agent, AfterHead: true}
	out := new(Edge).fail(unsent{}, &request{}, outcome{failure: f, status: 200})
	if out.status != 502 || out.failure.Cause != f.Cause || out.failure.AfterHead || !f.AfterHead {
		t.Errorf("got %d, %+v", out.status, out.failure)
	}
}

// A request whose body is malformed is written down like any other, however much
// of the body has come with the head.
func TestSettleMalformedBody(t *testing.T) {
	t.Parallel()
	entered := make(chan bool)
	s := newSeen(t, func(x *tunnel.Exchange) {
		entered <- true
		io.Copy(io.Discard, x)
	}, nil)
	const head = "POST /bad HTTP/1.1\nHost: x.test\nAccept: application/json\nTransfer-Encoding: chunked\n\n"
	for i, later := range []bool{false, true} {
		v := s.visit()
		if v.send(head[:len(head)-1]); later {
			v.send("\n")
			await(t, entered, "the request")
			v.send("x\n")
		} else {
			v.send("\nx\n")
		}
		a := v.receive("POST")
		if a.want(t, 400, "bad_request"); a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("later %v: the answer is %s", later, a.Header.Get("Content-Type"))
		}
		if got := s.entries(i + 1)[i].String(); !strings.HasPrefix(got, `x HTTP/1.1 POST /bad 400 "bad_request" "share-relay" cut=false 0/`) {
			t.Errorf("later %v: %s", later, got)
		}
	}
}

// An exchange that has switched protocols ends when its bytes have, which are
// counted; how long it was used is no duration of an answer.
func TestSettleUpgrade(t *testing.T) {
	t.Parallel()
	s := newSeen(t, func(x *tunnel.Exchange) {
		switched(x)
		b, _ := io.ReadAll(x)
		io.WriteString(x, "got "+string(b))
		x.End(nil)
	}, nil)
	v := s.visit()
	s.upgraded(v, "early")
	io.WriteString(v, "late")
	v.Conn.(interface{ CloseWrite() error }).CloseWrite()
	v.ends()
	if got := s.entries(1)[0].String(); got != `x HTTP/1.1 GET /ws 101 "" "" cut=false 9/13` {
		t.Error(got)
	}
	if got := tallied(s.Meter); got != "none 1xx 1\n" {
		t.Errorf("counted %s", got)
	}
	if heads, wholes := s.Meter.Head().Count(), s.Meter.Whole().Count(); heads != 1 || wholes != 0 {
		t.Errorf("%d heads and %d answers have a duration", heads, wholes)
	}
}

// Of a trusted proxy's visitor it is the visitor that is written down.
func TestVisitorBehindAProxy(t *testing.T) {
	for _, tt := range []struct {
		trusted bool
		fields  tunnel.Header
		want    string
	}{
		{false, tunnel.Header{{Name: []byte("X-Forwarded-For"), Value: []byte("192.0.2.1")}}, "10.0.0.1"},
		{true, tunnel.Header{{Name: []byte("X-Forwarded-For"), Value: []byte("192.0.2.9, 192.0.2.1")}}, "192.0.2.1"},
		{true, tunnel.Header{{Name: []byte("X-Forwarded-For"), Value: []byte("unknown")}}, "10.0.0.1"},
		{true, nil, "10.0.0.1"},
	} {
		p := peer{ip: "10.0.0.1", trusted: tt.trusted}
		if got := p.visitor(tt.fields); got != tt.want {
			t.Errorf("trusted %v, %s: got %s, want %s", tt.trusted, tt.fields, got, tt.want)
		}
	}
}

// Nothing that counts or writes makes garbage of a request.
func TestSettleAllocatesNothing(t *testing.T) {
	out := access.New(io.Discard, access.JSON, slog.New(slog.DiscardHandler))
	defer out.Close()
	e := &Edge{Config: Config{Meter: new(meter.Meter), Access: out}}
	p := &peer{ip: "192.0.2.1"}
	r := &request{Request: tunnel.Request{ID: []byte("0123456789abcdef"), Method: []byte("GET"), Target: []byte("/")}, version: version11, start: e.begin()}
	r.arrived()
	if n := testing.AllocsPerRun(1000, func() { e.settle(r, p, outcome{status: 200, bytes: 10}) }); n > 0.5 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSettle(b *testing.B) {
	out := access.New(io.Discard, access.JSON, slog.New(slog.DiscardHandler))
	defer out.Close()
	for name, cfg := range map[string]Config{
		"off":     {},
		"counted": {Meter: new(meter.Meter)},
		"written": {Meter: new(meter.Meter), Access: out},
	} {
		b.Run(name, func(b *testing.B) {
			e, p := &Edge{Config: cfg}, &peer{ip: "192.0.2.1"}
			b.ReportAllocs()
			for b.Loop() {
				r := request{Request: tunnel.Request{ID: []byte("0123456789abcdef"), Method: []byte("GET"), Target: []byte("/")}, start: e.begin()}
				r.arrived()
				e.settle(&r, p, outcome{status: 200, bytes: 10})
			}
		})
	}
}
