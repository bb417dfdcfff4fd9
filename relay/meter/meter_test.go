package meter

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"share/tunnel"
)

// text gives what a meter counted of exchanges, but for the zeros.
func text(m *Meter) string {
	var lines []string
	m.Exchanges(func(cause, class string, n uint64) {
		if n > 0 {
			lines = append(lines, fmt.Sprintln(cause, class, n))
		}
	})
	m.Cut(func(cause string, n uint64) {
		if n > 0 {
			lines = append(lines, fmt.Sprintln("cut", cause, n))
		}
	})
	return strings.Join(lines, "")
}

func TestSettle(t *testing.T) {
	var m Meter
	for _, x := range []Exchange{
		{Status: 200, Received: 3, Sent: 5, Head: time.Millisecond, Whole: time.Second},
		{Status: 204},
		{Status: 101, Whole: time.Hour},
		{Status: 502, Cause: tunnel.TargetRefused},
		{Status: 502, Cause: tunnel.TargetUnroutable},
		{Status: 502, Cause: tunnel.TargetNameUnknown},
		{Status: 200, Cause: tunnel.TargetIncomplete, Cut: true, Sent: 7},
		{Status: 0, Cause: tunnel.VisitorGone},
		{Status: 999, Cause: 9999, Received: -1},
		{Status: -1, Cause: Other},
	} {
		m.Settle(&x)
	}
	const want = `none 1xx 1
none 2xx 2
target_refused 5xx 1
target_unreachable 5xx 2
target_incomplete 2xx 1
visitor_gone none 1
other none 2
cut target_incomplete 1
`
	if got := text(&m); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if received, sent := m.Bytes(); received != 3 || sent != 12 {
		t.Errorf("%d bytes received and %d sent, want 3 and 12", received, sent)
	}
	if heads := m.Head().Count(); heads != 10 {
		t.Errorf("%d heads, want 10", heads)
	}
	// One that has switched protocols has no end worth counting.
	if _, sum := m.Whole().Read(); m.Whole().Count() != 9 || sum != 1 {
		t.Errorf("%d in %v s, want 9 in 1 s", m.Whole().Count(), sum)
	}
}

// Every cause has a place of its own, and is there before it has happened.
func TestCausesAreExpected(t *testing.T) {
	var m Meter
	seen := make(map[string]bool)
	m.Exchanges(func(cause, class string, n uint64) {
		if n != 0 || seen[cause+class] {
			t.Errorf("%s %s: %d, or twice", cause, class, n)
		}
		seen[cause+class] = true
	})
	for c := range tunnel.Cause(1000) {
		class := classNames[c.Status()/100]
		if c == tunnel.CauseNone {
			class = "2xx"
		}
		if !seen[c.String()+class] {
			t.Errorf("%v %s is missing", c, class)
		}
		if c >= Other && c.String() != tunnel.Internal.String() {
			t.Errorf("%v has no place below %d", c, maxCause)
		}
	}
}

func TestNilCountsNothing(t *testing.T) {
	var m *Meter
	m.Settle(&Exchange{})
	m.Retry()
	m.Refuse(RefusedTLS)
}

func TestCountingAllocatesNothing(t *testing.T) {
	var m Meter
	n := testing.AllocsPerRun(100, func() {
		m.Settle(&Exchange{Status: 200, Sent: 1, Head: time.Millisecond})
		m.Retry()
		m.Refuse(RefusedToken)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRefusals(t *testing.T) {
	var m Meter
	for _, code := range []tunnel.RejectCode{tunnel.RejectToken, tunnel.RejectVersion, tunnel.RejectInsecure, tunnel.RejectSession, tunnel.RejectDraining, tunnel.RejectProtocol, tunnel.RejectOverload} {
		m.Refuse(RefusalOf(code))
	}
	m.Refuse(RefusalOf("of a newer relay"))
	m.Refuse(RefusedTLS)
	m.Refuse(200)
	var got []string
	m.Refused(func(reason string, n uint64) { got = append(got, fmt.Sprint(reason, " ", n)) })
	want := []string{"token 1", "insecure 1", "version 1", "session 1", "draining 1", "protocol 1", "tls 1", "front 0", "silent 0", "overload 1", "other 2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{-time.Second, 0, time.Millisecond, time.Millisecond + 1, 300 * time.Second, time.Hour} {
		h.observe(d)
	}
	buckets, sum := h.Read()
	if h.Count() != 6 || sum < 3900 || sum > 3901 {
		t.Errorf("%d in %v s", h.Count(), sum)
	}
	want := map[float64]uint64{0.001: 3, 0.0025: 4, 120: 4, 300: 5, math.Inf(1): 6}
	last := 0.0
	for _, b := range buckets {
		if n, ok := want[b.Bound]; ok && b.Count != n || b.Bound <= last {
			t.Errorf("up to %v s: got %d, want %d", b.Bound, b.Count, n)
		}
		last = b.Bound
	}
	if len(buckets) != len(bounds)+1 || last != math.Inf(1) {
		t.Errorf("%d buckets, up to %v", len(buckets), last)
	}
}

func BenchmarkSettle(b *testing.B) {
	var m Meter
	x := Exchange{Status: 200, Received: 10, Sent: 1000, Head: 3 * time.Millisecond, Whole: 4 * time.Millisecond}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Settle(&x)
		}
	})
}
