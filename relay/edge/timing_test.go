package edge

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"share/tunnel"
)

// Where it is asked for, an answer says how long it took, beside what the target
// says of itself; the field between agent and relay goes no further.
func TestServerTiming(t *testing.T) {
	t.Parallel()
	for _, timing := range []bool{false, true} {
		s := newStub(t, func(x *tunnel.Exchange) {
			if asked := x.Request().Header.Has(timingField); asked != timing {
				t.Errorf("the agent is asked: %v", asked)
			}
			switch string(x.Request().Target) {
			case "/old":
				respond(x, 200, "", "Server-Timing", "db;dur=53")
			case "/bad":
				respond(x, 200, "", "Share-Timing", "-1")
			case "/long":
				respond(x, 200, "", "share-timing", "99999999")
			default:
				respond(x, 200, "", "Share-Timing", "0", "Server-Timing", "db;dur=53")
			}
		}, func(cfg *Config) { cfg.Timing = timing })
		for path, want := range map[string]string{
			"/":     `^db;dur=53\|relay;dur=\d+\.\d{3}, link;dur=\d+\.\d{3}, target;dur=0\.000$`,
			"/old":  `^db;dur=53\|relay;dur=\d+\.\d{3}, link;desc="link and target";dur=\d+\.\d{3}$`,
			"/bad":  `^relay;dur=\d+\.\d{3}, link;desc="link and target";dur=\d+\.\d{3}$`,
			"/long": `^relay;dur=\d+\.\d{3}, link;dur=0\.000, target;dur=\d+\.\d{3}$`,
		} {
			v := s.visit()
			v.send("GET " + path + " HTTP/1.1\nHost: x.test\nShare-Timing: 1\n\n")
			a := v.receive("GET")
			b := ask2(t, s.client2(), "GET", "http://x.test"+path, nil)
			for _, a := range []answered{a, b} {
				got := strings.Join(a.Header.Values("Server-Timing"), "|")
				if timing && (!regexp.MustCompile(want).MatchString(got) || a.Header.Get("Share-Timing") != "") {
					t.Errorf("%s: got %q of %v, want %s", path, got, a.Header, want)
				}
				if !timing && strings.Contains(got, "relay") {
					t.Errorf("%s: got %q, which nobody asked for", path, got)
				}
			}
		}
	}
}

// The parts make the whole.
func TestTimingParts(t *testing.T) {
	r := &request{passed: 2 * time.Millisecond, head: 12 * time.Millisecond}
	resp := response(200, 0, "Share-Timing", "7500", "A", "1")
	r.tell(resp)
	if got, want := string(resp.Header.Get("server-timing")), "relay;dur=2.000, link;dur=2.500, target;dur=7.500"; got != want || len(resp.Header) != 2 {
		t.Errorf("got %q of %q, want %q", got, resp.Header, want)
	}
}

// Traces that cross the relay are not its own: their fields pass untouched.
func TestTraceContextPasses(t *testing.T) {
	t.Parallel()
	const parent, state = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "rojo=00f067aa0ba902b7 , congo=t61rcWkgMzE"
	got := make(chan string, 1)
	s := newStub(t, func(x *tunnel.Exchange) {
		h := x.Request().Header
		got <- string(h.Get("traceparent")) + "|" + string(h.Get("tracestate"))
		respond(x, 200, "", "traceresponse", parent)
	}, func(cfg *Config) { cfg.Timing = true })
	v := s.visit()
	v.send("GET / HTTP/1.1\nHost: x.test\ntraceparent: " + parent + "\ntracestate: " + state + "\n\n")
	a := v.receive("GET")
	if sent := await(t, got, "the request"); sent != parent+"|"+state || a.Header.Get("traceresponse") != parent {
		t.Errorf("the target got %q, the visitor %v", sent, a.Header)
	}
	v2 := s.visit2()
	v2.receive(v2.open(true, "GET", "/", "traceparent", parent, "tracestate", state))
	if sent := await(t, got, "the request"); sent != parent+"|"+state {
		t.Errorf("over HTTP/2 the target got %q", sent)
	}
}
