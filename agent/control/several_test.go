package control

import (
	"context"
	"fmt"
	"testing"
	"time"

	"share/agent"
	"share/tunnel"
)

// An agent of several tunnels tells of each, and what they are together.
func TestSeveral(t *testing.T) {
	places := Places{State: t.TempDir()}
	s := serve(t, places, "")
	tell := func() string {
		t.Helper()
		status := only(t, places).Status
		text := fmt.Sprintf("%s %q %d %d %d:", status.State, status.Name, status.Requests, status.Open, status.GraceMS)
		for _, one := range status.All() {
			text += fmt.Sprintf(" %s %q %s", one.Label, one.Name, one.State)
		}
		return text
	}
	measure := func(context.Context) agent.Gauge {
		return agent.Gauge{Relays: map[string]agent.RelayGauge{"in-process": {Lanes: 1, Open: 2}}}
	}
	ready := func(label string) {
		s.Note(agent.Event{Kind: agent.EventConnecting, Time: noon, Tunnel: label, Relay: "in-process"})
		s.Note(agent.Event{Kind: agent.EventReady, Time: noon, Tunnel: label, Name: "my-" + label, URL: "http://" + label, Verified: true})
	}
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"none", func() {}, `connecting "" 0 0 1000:  "" connecting`},
		{"one", func() { s.Bind(Bound{Label: "a", Name: "asked", Measure: measure}) }, `connecting "asked" 0 0 1000: a "asked" connecting`},
		{"one ready", func() { ready("a") }, `online "my-a" 0 2 1000: a "my-a" online`},
		{"two", func() { s.Bind(Bound{Label: "b", Grace: time.Minute, Measure: measure}) }, `connecting "" 0 2 60000: a "my-a" online b "" connecting`},
		{"two ready", func() { ready("b") }, `online "" 0 4 60000: a "my-a" online b "my-b" online`},
		{"requests", func() {
			s.Note(agent.Event{Kind: agent.EventRequest, Time: noon, Tunnel: "a", Cause: tunnel.TargetRefused})
			s.Note(agent.Event{Kind: agent.EventRequest, Time: noon, Tunnel: "b"})
			s.Note(agent.Event{Kind: agent.EventRequest, Time: noon, Tunnel: "nosuch"})
		}, `online "" 2 4 60000: a "my-a" online b "my-b" online`},
		{"another a", func() { s.Bind(Bound{Label: "a"}) }, `connecting "" 1 2 60000: a "" connecting b "my-b" online`},
		{"given up", func() { s.GiveUp("a", "no"); s.GiveUp("nosuch", "no") }, `given up "" 1 2 60000: a "" given up b "my-b" online`},
		{"released", func() { s.Release("a"); s.Release("nosuch") }, `online "my-b" 1 2 60000: b "my-b" online`},
		{"stopping", s.Stopping, `stopping "my-b" 1 2 60000: b "my-b" stopping`},
	} {
		step.do()
		if got := tell(); got != step.want {
			t.Errorf("%s: got %s, want %s", step.name, got, step.want)
		}
	}
	if names := places.Names(context.Background()); fmt.Sprint(names) != "[my-b]" {
		t.Errorf("got the names %v", names)
	}
}
