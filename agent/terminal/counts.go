package terminal

import (
	"fmt"
	"slices"
	"time"

	"share/agent"
)

const (
	lastTimes = 256 // requests whose times give p50 and p95
	lastSpan  = 10  // seconds over which requests a second are counted
)

// counts is what the requests so far add up to.
type counts struct {
	requests int64
	in, out  int64 // bytes of bodies, from visitors and to them

	times [lastTimes]time.Duration // of the last requests, a ring
	timed int64                    // requests that were put there

	seconds [lastSpan]int64 // requests of a second each, a ring
	begun   time.Time       // the first request's time
	second  time.Time       // the last one's second
}

// add takes in the request e.
func (c *counts) add(e agent.Event) {
	c.in += e.BytesIn
	c.out += e.BytesOut
	c.times[c.timed%lastTimes] = e.Elapsed
	c.timed++
	c.advance(e.Time)
	c.requests++
	c.seconds[c.second.Unix()%lastSpan]++
}

// join takes in what o adds up to.
func (c *counts) join(o *counts) {
	c.in += o.in
	c.out += o.out
	for i := max(o.timed-lastTimes, 0); i < o.timed; i++ {
		c.times[c.timed%lastTimes] = o.times[i%lastTimes]
		c.timed++
	}
	c.advance(o.begun)
	for ago := lastSpan - 1; ago >= 0; ago-- {
		second := o.second.Add(-time.Duration(ago) * time.Second)
		if n := o.seconds[second.Unix()%lastSpan]; n > 0 {
			c.advance(second)
			c.seconds[c.second.Unix()%lastSpan] += n
		}
	}
	c.requests += o.requests
}

// A missed is what requests that have no line add up to: all of them by "", and those
// of each tunnel by its label.
type missed map[string]*counts

// add takes in the request e.
func (m missed) add(e agent.Event) {
	for _, label := range slices.Compact([]string{"", e.Tunnel}) {
		if m[label] == nil {
			m[label] = new(counts)
		}
		m[label].add(e)
	}
}

// advance makes now the last second, if it is.
func (c *counts) advance(now time.Time) {
	if c.second.IsZero() {
		c.begun, c.second = now, now.Truncate(time.Second)
	}
	now = now.Truncate(time.Second)
	for range min(int64(now.Sub(c.second)/time.Second), lastSpan) {
		c.second = c.second.Add(time.Second)
		c.seconds[c.second.Unix()%lastSpan] = 0
	}
	if now.After(c.second) {
		c.second = now
	}
}

// rate gives the requests a second until now.
func (c *counts) rate(now time.Time) float64 {
	if c.requests == 0 {
		return 0
	}
	c.advance(now)
	var sum int64
	for _, n := range c.seconds {
		sum += n
	}
	from := c.second.Add(-(lastSpan - 1) * time.Second) // what is counted began then
	if c.begun.After(from) {
		from = c.begun
	}
	if c.second.After(now) { // a clock that was set back
		now = c.second
	}
	return float64(sum) / max(now.Sub(from).Seconds(), 1)
}

// quantiles gives the times that half and 19 of 20 of the last requests took at
// most.
func (c *counts) quantiles() (p50, p95 time.Duration) {
	n := int(min(c.timed, lastTimes))
	if n == 0 {
		return 0, 0
	}
	sorted := c.times
	slices.Sort(sorted[:n])
	return sorted[(n-1)/2], sorted[(n*95+99)/100-1]
}

// span gives d as people read it, in at most 7 columns for anything under a
// week.
func span(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// size gives a number of bytes as people read it, in at most 7 columns.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v := float64(n)
	for _, unit := range []string{"KB", "MB", "GB", "TB"} {
		if v /= 1000; v < 99.95 {
			return fmt.Sprintf("%.1f %s", v, unit)
		}
		if v < 999.5 {
			return fmt.Sprintf("%.0f %s", v, unit)
		}
	}
	return fmt.Sprintf("%.0f PB", v/1000)
}

// number gives n with its thousands apart.
func number(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// rateOf gives requests a second.
func rateOf(r float64) string {
	if r < 9.95 {
		return fmt.Sprintf("%.1f/s", r)
	}
	return number(int64(r+0.5)) + "/s"
}
