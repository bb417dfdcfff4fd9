package terminal

import (
	"math"
	"testing"
	"time"

	"share/agent"
)

func TestSpanAndSize(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 ms", 1240 * time.Microsecond: "1.2 ms", 12 * time.Millisecond: "12 ms", 999 * time.Millisecond: "999 ms",
		1500 * time.Millisecond: "1.5 s", 61 * time.Second: "1m01s", 100 * time.Hour: "100h00m",
	} {
		compare(t, d.String(), span(d), want)
	}
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 KB", 3449: "3.4 KB", 99_949: "99.9 KB", 99_950: "100 KB", 999_499: "999 KB", 999_500: "1.0 MB",
		48_000_000: "48.0 MB", 1 << 62: "4612 PB",
	} {
		compare(t, want, size(n), want)
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		compare(t, want, number(n), want)
	}
	for r, want := range map[float64]string{0: "0.0/s", 0.44: "0.4/s", 9.94: "9.9/s", 9.95: "10/s", 1000: "1,000/s"} {
		compare(t, want, rateOf(r), want)
	}
}

func TestRate(t *testing.T) {
	var c counts
	if got := c.rate(noon); got != 0 {
		t.Errorf("before a request: got %v", got)
	}
	for i := range 20 { // two a second for ten seconds
		c.add(agent.Event{Kind: agent.EventRequest, Time: noon.Add(time.Duration(i) * 500 * time.Millisecond), BytesIn: 1, BytesOut: 10})
	}
	tests := []struct {
		after time.Duration
		want  float64
	}{
		{9999 * time.Millisecond, 2},
		{14999 * time.Millisecond, 1},
		{19 * time.Second, 0},
		{time.Hour, 0},
		{9999 * time.Millisecond, 0}, // a clock that was set back
	}
	for _, tt := range tests {
		if got := c.rate(noon.Add(tt.after)); math.Abs(got-tt.want) > 0.001 {
			t.Errorf("after %v: got %v a second, want %v", tt.after, got, tt.want)
		}
	}
	if c.requests != 20 || c.in != 20 || c.out != 200 {
		t.Errorf("got %d requests, %d bytes in, %d out; want 20, 20, 200", c.requests, c.in, c.out)
	}
	first := counts{}
	for range 3 {
		first.add(agent.Event{Kind: agent.EventRequest, Time: noon})
	}
	if got := first.rate(noon); got != 3 {
		t.Errorf("in the first second: got %v a second, want 3", got)
	}
}

// The second that is not over weighs no more than what has passed of it.
func TestRateIsSteady(t *testing.T) {
	for _, from := range []time.Duration{0, 300 * time.Millisecond, 950 * time.Millisecond} {
		var c counts
		for at := from; at < 30*time.Second; at += 10 * time.Millisecond { // 100 a second
			c.add(agent.Event{Kind: agent.EventRequest, Time: noon.Add(at)})
			if got := c.rate(noon.Add(at)); at-from >= time.Second && (got < 97 || got > 103) {
				t.Fatalf("from %v, after %v: got %v a second, want 100", from, at, got)
			}
		}
	}
}

func TestQuantiles(t *testing.T) {
	var c counts
	for i := range 3 * lastTimes {
		ms := i % 100
		c.add(agent.Event{Time: noon, Elapsed: time.Duration(ms) * time.Millisecond})
		if i == 0 {
			if p50, p95 := c.quantiles(); p50 != 0 || p95 != 0 {
				t.Errorf("of one: got %v and %v", p50, p95)
			}
		}
	}
	p50, p95 := c.quantiles()
	if p50 < 35*time.Millisecond || p50 > 65*time.Millisecond || p95 < 88*time.Millisecond || p95 > 99*time.Millisecond {
		t.Errorf("got p50 %v and p95 %v of 0 to 99 ms", p50, p95)
	}
}
