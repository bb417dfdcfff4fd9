package command

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"share/agent/control"
	"share/tunnel"
)

// running is an agent as it was found, without a name if that is empty.
func running(pid int, name string) *control.Agent {
	return &control.Agent{PID: pid, Status: &control.Status{Tunnel: control.Tunnel{Name: name}}}
}

func TestPick(t *testing.T) {
	silent := &control.Agent{PID: 4}
	web, web2, digits := running(1, "web"), running(2, "web"), running(3, "1")
	for _, tt := range []struct {
		name   string
		agents []*control.Agent
		want   int // the pid, 0 for none
		err    string
	}{
		{"", []*control.Agent{web}, 1, ""},
		{"", []*control.Agent{silent}, 4, ""},
		{"", nil, 0, "no agent runs"},
		{"web", nil, 0, "no agent runs"},
		{"", []*control.Agent{web, silent}, 0, "2 agents run: web (pid 1), pid 4"},
		{"web", []*control.Agent{web, digits, silent}, 1, ""},
		{"web", []*control.Agent{web, web2, digits}, 0, `2 agents have the name "web": web (pid 1), web (pid 2)`},
		{"2", []*control.Agent{web, web2, digits}, 2, ""},
		{"4", []*control.Agent{web, silent}, 4, ""},
		{"1", []*control.Agent{web, digits}, 3, ""}, // a name goes before a pid
		{"api", []*control.Agent{web}, 0, `no agent has the name "api"`},
		{"we", []*control.Agent{web}, 0, `no agent has the name "we"`},
		{"\x1b[2J", []*control.Agent{web}, 0, `no agent has the name "\x1b[2J"`},
	} {
		got, err := pick(tt.agents, tt.name, "stop")
		text := ""
		if err != nil {
			text = err.Error()
		}
		if (got == nil) != (tt.want == 0) || got != nil && got.PID != tt.want || text != tt.err {
			t.Errorf("%q of %d: got %+v, %q, want %d, %q", tt.name, len(tt.agents), got, text, tt.want, tt.err)
		}
	}
}

// An agent of several tunnels is found by each, and each is found in it.
func TestPickOneOfSeveral(t *testing.T) {
	up := &control.Agent{PID: 1, Status: &control.Status{Tunnels: []control.Tunnel{
		{Label: "web", Name: "shop", URL: "a"}, {Label: "api", Name: "web", URL: "b"}, {Label: "more", URL: "c"},
	}}}
	agents := []*control.Agent{up, running(2, "other")}
	for _, tt := range []struct{ name, url, err string }{
		{"shop", "a", ""},
		{"web", "a", ""}, // a label goes before a name
		{"api", "b", ""},
		{"more", "c", ""},
		{"1", "", "agent shop and 2 more (pid 1) has 3 tunnels"},
		{"nosuch", "", `no agent has the name "nosuch"`},
		{"", "", "2 agents run: shop and 2 more (pid 1), other (pid 2)"},
	} {
		g, err := pick(agents, tt.name, "url")
		var got control.Tunnel
		if err == nil {
			got, err = tunnelOf(g, tt.name)
		}
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got.URL != tt.url || text != tt.err {
			t.Errorf("%q: got %q, %q, want %q, %q", tt.name, got.URL, text, tt.url, tt.err)
		}
	}
}

func TestWriteAgents(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	since := now.Add(-90 * time.Minute)
	var out bytes.Buffer
	err := writeAgents(&out, []listed{
		{"", "web", "https://web.example.com", "localhost:8080", control.Online, &since, 128, 4711},
		{"", "", "", "localhost:\x1b[2J", control.Connecting, &now, 0, 12},
		{"api", "", "", "localhost:9000", control.GivenUp, &now, 0, 12},
		rowsOf(&control.Agent{PID: 13})[0],
	}, now)
	want := strings.Join([]string{
		`NAME  URL                      TARGET             STATE          FOR     REQUESTS  PID`,
		`web   https://web.example.com  localhost:8080     online         90 min  128       4711`,
		`-     -                        localhost:\x1b[2J  connecting     0 s     0         12`,
		`api   -                        localhost:9000     given up       0 s     0         12`,
		`-     -                        -                  not answering  -       0         13`,
		``,
	}, "\n")
	if err != nil || out.String() != want {
		t.Errorf("got, %v\n%s\nwant\n%s", err, out.String(), want)
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:      "0 s",
		119 * time.Second: "119 s",
		2 * time.Minute:   "2 min",
		119 * time.Minute: "119 min",
		2 * time.Hour:     "2 h",
		47 * time.Hour:    "47 h",
		48 * time.Hour:    "2 days",
	} {
		if got := age(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

// What an agent was told is shown as it was, and no secret with it.
func TestOptions(t *testing.T) {
	const secret = "s3cret-token"
	s := &sharing{entry: entry{relays: []string{"share.example.com"}, tokenFile: "/home/me/token"}}
	s.agent.Token = secret
	s.agent.Target.Hold, s.agent.Grace, s.agent.Name = 90*time.Second, -1, "web"
	s.style.Reveal = tunnel.RevealBrief
	text, err := json.Marshal(s.options())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"relays":["share.example.com"],"credential":"token","name":"web","hold":"1m30s","errors":"brief","grace":"0s"}`
	if string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if strings.Contains(string(text), secret) {
		t.Error("the token is shown")
	}
}
