package control

import (
	"fmt"
	"testing"
	"time"

	"share/agent"
	"share/tunnel"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// after is a time some minutes after noon.
func after(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

func TestRecord(t *testing.T) {
	a, b := "https://a.example.com", "https://b.example.com"
	connecting := func(at int, relay string) agent.Event {
		return agent.Event{Kind: agent.EventConnecting, Time: after(at), Relay: relay}
	}
	ready := func(at int, relay, url string) agent.Event {
		return agent.Event{Kind: agent.EventReady, Time: after(at), Relay: relay, URL: url, Name: "x", Verified: true}
	}
	lost := func(at int, relay string) agent.Event {
		return agent.Event{Kind: agent.EventReconnecting, Time: after(at), Relay: relay, Reason: "the link was cut"}
	}
	target := func(at int, up bool) agent.Event {
		return agent.Event{Kind: agent.EventTarget, Time: after(at), Up: up, Since: after(at), Cause: tunnel.TargetRefused}
	}
	for _, tt := range []struct {
		name   string
		events []agent.Event
		state  string
		since  int
		url    string
	}{
		{"nothing yet", nil, Connecting, 0, ""},
		{"dialled", []agent.Event{connecting(1, a)}, Connecting, 0, ""},
		{"ready", []agent.Event{connecting(1, a), ready(2, "", "https://x.a")}, Online, 2, "https://x.a"},
		{"ready again", []agent.Event{connecting(1, a), ready(2, "", "https://x.a"), ready(3, "", "https://x.a")}, Online, 2, "https://x.a"},
		{"never ready", []agent.Event{connecting(1, a), lost(2, ""), connecting(3, a)}, Reconnecting, 2, ""},
		{"lost", []agent.Event{connecting(1, a), ready(2, "", "https://x.a"), lost(3, "")}, Reconnecting, 3, "https://x.a"},
		{"target down", []agent.Event{connecting(1, a), target(1, false), ready(2, "", "https://x.a")}, TargetDown, 2, "https://x.a"},
		{"target back", []agent.Event{connecting(1, a), ready(2, "", "https://x.a"), target(3, false), target(4, true)}, Online, 4, "https://x.a"},
		{"one of two", []agent.Event{connecting(1, a), connecting(1, b), ready(2, b, "https://x.b")}, Online, 2, "https://x.b"},
		{"one of two lost", []agent.Event{connecting(1, a), connecting(1, b), ready(2, a, "https://x.a"), ready(2, b, "https://x.b"), lost(3, a)}, Online, 2, "https://x.b"},
		{"both of two", []agent.Event{connecting(1, a), connecting(1, b), ready(2, b, "https://x.b"), ready(3, a, "https://x.a")}, Online, 2, "https://x.a"},
	} {
		var r record
		r.settle(noon)
		for _, e := range tt.events {
			r.note(e)
		}
		var s Tunnel
		r.tell(&s, agent.Gauge{})
		got := fmt.Sprint(s.State, s.Since, s.URL)
		if want := fmt.Sprint(tt.state, after(tt.since), tt.url); got != want {
			t.Errorf("%s: got %s, want %s", tt.name, got, want)
		}
		r.stop(after(9))
		if r.tell(&s, agent.Gauge{}); s.State != Stopping || !s.Since.Equal(after(9)) {
			t.Errorf("%s, and stopped: got %s since %v", tt.name, s.State, s.Since)
		}
	}
}

func TestRecordCounts(t *testing.T) {
	var r record
	r.note(agent.Event{Kind: agent.EventConnecting, Time: noon, Relay: "in-process"})
	for _, cause := range []tunnel.Cause{tunnel.CauseNone, tunnel.TargetRefused, tunnel.TargetRefused, tunnel.TargetTimeout} {
		r.note(agent.Event{Kind: agent.EventRequest, Cause: cause})
	}
	var s Tunnel
	r.tell(&s, agent.Gauge{Relays: map[string]agent.RelayGauge{"in-process": {Lanes: 2, Open: 3, RoundTrip: 1500 * time.Microsecond}, "another": {}}})
	got := fmt.Sprint(s.Requests, s.Open, s.Failed, s.Relays[0].Lanes, s.Relays[0].Open, s.Relays[0].RoundTripMS)
	if want := fmt.Sprint(4, 3, map[string]uint64{"target_refused": 2, "target_timeout": 1}, 2, 3, 1.5); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
