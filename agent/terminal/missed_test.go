package terminal

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"share/agent"
)

// crowd shows a view that nobody runs n requests, of 10 ms, 1 byte in and 2 out
// each, of which the last 100 took a second.
func crowd(v *View, n int) {
	for i := range n {
		e := agent.Event{Kind: agent.EventRequest, Time: noon.Add(time.Duration(i) * time.Millisecond), Method: "GET", Target: "/", Status: 200,
			Elapsed: 10 * time.Millisecond, BytesIn: 1, BytesOut: 2}
		if i >= n-100 {
			e.Elapsed = time.Second
		}
		v.Show(e)
	}
}

// Requests that are too many to wait for a slow terminal count with all that is
// known of them.
func TestMissedRequests(t *testing.T) {
	const n = 5 * maxRequests
	v := newView(Config{Mode: Live})
	crowd(v, n)
	b := v.take()
	m := newModel(&Config{Target: "localhost:8080"})
	lines := strings.Join(m.take(frame{events: b.events, missed: b.missed, now: noon.Add(n * time.Millisecond)}), "\n")
	c := &m.board.counts
	if c.requests != n || c.in != n || c.out != 2*n {
		t.Errorf("got %d requests, %d bytes in, %d out; want %d, %d, %d", c.requests, c.in, c.out, n, n, 2*n)
	}
	if p50, p95 := c.quantiles(); p50 != 10*time.Millisecond || p95 != time.Second {
		t.Errorf("got p50 %v and p95 %v, want 10ms and 1s, which the last ones took", p50, p95)
	}
	if got := c.rate(noon.Add(n * time.Millisecond)); got < 980 || got > 1020 {
		t.Errorf("got %v a second, want 1,000", got)
	}
	if want := fmt.Sprintf("  + %s more", number(n-mostLines)); !strings.HasSuffix(lines, want) {
		t.Errorf("got\n%s\nwant %q at the end", lines, want)
	}
	if got := v.take(); got.missed != nil || got.dropped != 0 {
		t.Errorf("got %+v again", got)
	}
}

// They count for their tunnel as well, if it has a label.
func TestMissedRequestsOfSeveral(t *testing.T) {
	const n = 3 * maxRequests
	f := several()
	d, _ := newDeskOf(t, 100, 40, f)
	boards := append([]*board{&d.model.board}, d.model.tunnels[:2]...)
	var before []int64
	for _, b := range boards {
		before = append(before, b.counts.requests)
	}
	v := newView(Config{Mode: Live})
	for i := range n {
		v.Show(agent.Event{Kind: agent.EventRequest, Time: noon, Tunnel: []string{"web", "api", "gone"}[i%3], Elapsed: time.Second})
	}
	b := v.take()
	f.events, f.missed = b.events, b.missed
	d.frame(f)
	for i, want := range []int64{n, n / 3, n / 3} {
		if got := boards[i].counts.requests - before[i]; got != want {
			t.Errorf("board %d: got %d requests more, want %d", i, got, want)
		}
	}
	b = v.take()
	if b.tellLost(true); len(b.events) != 0 {
		t.Errorf("got %+v again", b.events)
	}
}

// told gives what a box prints of what v has.
func told(v *View, m *model) string {
	b := v.take()
	b.tellLost(true)
	return strings.Join(m.take(frame{events: b.events, missed: b.missed, now: noon}), "\n")
}

// What else was too much is told where the box is, as where there is none; requests
// have their number there.
func TestMissedEvents(t *testing.T) {
	v := newView(Config{Mode: Live})
	crowd(v, maxRequests+7)
	for range maxEvents {
		v.Show(agent.Event{Kind: agent.EventWarning, Time: noon, Message: "so it goes"})
	}
	m := newModel(&Config{Target: "localhost:8080"})
	lines := told(v, m)
	if want := fmt.Sprintf("Warning: %d events were not shown: the output is too slow", maxRequests); strings.Count(lines, "were not shown") != 1 || !strings.Contains(lines, want) {
		t.Errorf("got %d lines, want %q once", strings.Count(lines, "\n")+1, want)
	}
	crowd(v, maxRequests+7)
	if lines := told(v, m); strings.Contains(lines, "were not shown") {
		t.Error("requests that have a number are told twice")
	}
}
