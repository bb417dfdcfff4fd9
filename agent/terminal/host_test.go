package terminal

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"share/agent"
)

// hostRefused is what the agent tells of a target that refuses the visitors' Host.
func hostRefused() agent.Event {
	return agent.Event{Kind: agent.EventWarning, Time: noon, Symptom: agent.HostRefused,
		Message: "Vite refuses the Host that visitors send", Hint: "share it with --host-header target"}
}

// hear gives what is printed of e while the target sees the visitors' Host, or not.
func (d *desk) hear(e agent.Event, keepsHost bool) string {
	pages := make(chan []string, 1)
	d.Update(frame{events: []agent.Event{e}, now: noon, print: pages, gauge: agent.Gauge{KeepsHost: keepsHost}})
	return strings.Join(<-pages, "\n")
}

func TestKeyHost(t *testing.T) {
	d := newDesk(t, 100, 24)
	sent := 0
	d.cfg.SendOwnHost = func() { sent++ }
	d.hear(request("GET", "/", 403), true)
	d.press("h")
	if got := bare(d.View().Content); sent != 0 || strings.Contains(got, "own") {
		t.Errorf("before a refusal: the key was heeded %d times:\n%s", sent, got)
	}
	if got, want := d.hear(hostRefused(), true), "Warning: Vite refuses the Host that visitors send: share it with --host-header target, or press h"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	d.box("h own host")
	d.press("/", "h", "esc")
	if sent != 0 {
		t.Error("a filter that is typed was taken for the key")
	}
	d.press("h")
	d.box("the next requests have the target's own Host", "Host        the target sees its own · for good: --host-header target")
	d.press("h")
	d.note = ""
	if got := bare(d.View().Content); sent != 1 || strings.Contains(got, "h own host") {
		t.Errorf("the key was heeded %d times, want once; then\n%s", sent, got)
	}
	if got := d.hear(hostRefused(), false); strings.Contains(got, "press h") {
		t.Errorf("got %q: that was done", got)
	}
	d.Update(tea.WindowSizeMsg{Width: 40, Height: 24})
	d.box("the target sees its own")
}

// The key is for whoever has keys, and sends the visitors' Host until then.
func TestKeyHostElsewhere(t *testing.T) {
	tests := []struct {
		name  string
		alter func(*desk)
		event agent.Event
		keeps bool
	}{
		{"without keys", func(d *desk) { d.keys = false }, hostRefused(), true},
		{"with nothing to call", func(d *desk) { d.cfg.SendOwnHost = nil }, hostRefused(), true},
		{"with --host-header", func(*desk) {}, hostRefused(), false},
		{"for another hint", func(*desk) {}, agent.Event{Kind: agent.EventWarning, Time: noon, Symptom: "hmr_refused", Hint: "share it with --host-header target"}, true},
	}
	for _, tt := range tests {
		d := newDesk(t, 100, 24)
		d.cfg.SendOwnHost = func() { t.Errorf("%s: the Host was changed", tt.name) }
		tt.alter(d)
		if got := d.hear(tt.event, tt.keeps); strings.Contains(got, "press h") {
			t.Errorf("%s: got %q", tt.name, got)
		}
		if d.keys {
			d.press("h")
		}
		if got := bare(d.View().Content); strings.Contains(got, "own host") {
			t.Errorf("%s: got\n%s", tt.name, got)
		}
	}
}
