package faults

import (
	"encoding/json"
	"strings"
	"time"
)

// A cause is a failure that share answers for.
type cause struct {
	status int
	by     string
	proxy  string // its error of RFC 9209
}

// causes are the failures by the name that Share-Error bears.
var causes = map[string]cause{
	"target_refused":          {502, "share-agent", "connection_refused"},
	"target_connect_timeout":  {502, "share-agent", "connection_timeout"},
	"target_unreachable":      {502, "share-agent", ""}, // four of them
	"target_tls":              {502, "share-agent", ""}, // two of them
	"target_closed":           {502, "share-agent", "connection_terminated"},
	"target_bad_response":     {502, "share-agent", "http_protocol_error"},
	"target_head_too_large":   {502, "share-agent", "http_response_header_section_size"},
	"target_incomplete":       {502, "share-agent", "http_response_incomplete"},
	"target_timeout":          {504, "share-agent", "http_response_timeout"},
	"upgrade_failed":          {502, "share-agent", "http_upgrade_failed"},
	"link_lost":               {502, "share-relay", "connection_terminated"},
	"no_agent":                {503, "share-relay", "destination_unavailable"},
	"unknown_name":            {404, "share-relay", "destination_not_found"},
	"draining":                {503, "", "destination_unavailable"}, // whoever stops
	"bad_request":             {400, "share-relay", "http_request_error"},
	"request_timeout":         {408, "share-relay", "http_request_error"},
	"request_target_too_long": {414, "share-relay", "http_request_error"},
	"request_head_too_large":  {431, "share-relay", "http_request_error"},
	"request_not_implemented": {501, "share-relay", "http_request_error"},
	"request_version":         {505, "share-relay", "http_request_error"},
	"request_misdirected":     {421, "share-relay", "http_request_error"},
	"visitor_incomplete":      {400, "share-relay", "http_request_error"},
	"loop":                    {508, "", "proxy_loop_detected"}, // whoever meets it
}

// judge reports a lie or a hang, where a failure was wanted; it returns false
// if the case need not look further.
func (r *run) judge(m *message) bool {
	r.Helper()
	switch {
	case m.end == hung:
		r.hang("no end of the answer: %v", m)
	case m.end == whole && m.status >= 200 && m.status < 300:
		r.lie("a whole answer: %v", m)
	default:
		return true
	}
	return false
}

// wantFailure checks that m is an answer made by share, whole, of one of the
// given causes and with all that such an answer bears, and that the logs know
// of it. It returns the cause.
func (t *tunnel) wantFailure(m *message, names ...string) string {
	t.Helper()
	name := t.wantError(m, names...)
	id := m.get("Share-Request-Id")
	if name == "" || id == "" {
		return name
	}
	t.wantLogged(t.relay.process, &t.relay.log, "relay", id, name)
	if causes[name].by == "share-agent" {
		t.wantLogged(t.proc, &t.proc.out, "agent", id, name)
	}
	return name
}

// wantLogged checks that a process has logged the request with its cause.
func (t *tunnel) wantLogged(p *process, l *lines, who, id, name string) {
	t.Helper()
	if _, err := p.event(l, 3*time.Second, `"`+id+`"`, `"`+name+`"`); err != nil {
		t.Errorf("request %s with cause %s is not in the %s's log", id, name, who)
	}
}

// wantError checks the answer alone, as wantFailure does.
func (r *run) wantError(m *message, names ...string) string {
	r.Helper()
	if !r.judge(m) {
		return ""
	}
	name := m.get("Share-Error")
	want, known := causes[name]
	listed := false
	for _, n := range names {
		listed = listed || n == name
	}
	if !known || !listed {
		r.Errorf("cause %q, want %v: %v", name, names, m)
		return ""
	}
	if m.status != want.status || m.end != whole {
		r.Errorf("got %v, want a whole answer of status %d", m, want.status)
	}
	ps := m.get("Proxy-Status")
	if !strings.HasPrefix(ps, want.by) || !strings.Contains(ps, "error="+want.proxy) {
		r.Errorf("Proxy-Status %q, want %s; error=%s", ps, want.by, want.proxy)
	}
	if m.get("Share-Request-Id") == "" {
		r.Errorf("no Share-Request-Id: %q", m.fields)
	}
	if !strings.Contains(m.get("Cache-Control"), "no-store") {
		r.Errorf("Cache-Control %q, want no-store", m.get("Cache-Control"))
	}
	if retry := m.get("Retry-After"); m.status == 503 && retry == "" {
		r.Errorf("503 without Retry-After")
	}
	return name
}

// wantText checks that the answer's body holds text.
func (r *run) wantText(m *message, text string) {
	r.Helper()
	if !strings.Contains(string(m.body), text) {
		r.Errorf("body %q, want %q in it", m.body, text)
	}
}

// wantWhole checks that m is the target's answer, untouched by share.
func (r *run) wantWhole(m *message, status int, body string) {
	r.Helper()
	if m.end == hung {
		r.hang("no end of the answer: %v", m)
		return
	}
	if m.status != status || m.end != whole || string(m.body) != body {
		r.Errorf("got %v, want a whole answer of status %d with body %.200q", m, status, body)
	}
	if name := m.get("Share-Error"); name != "" {
		r.Errorf("the target's answer bears Share-Error: %s", name)
	}
	if ps := m.get("Proxy-Status"); strings.Contains(ps, "share-") {
		r.Errorf("the target's answer bears Proxy-Status: %s", ps)
	}
}

// wantCut checks that the visitor saw a message that is visibly cut, with
// nothing in it but what was sent; or, where nothing had gone to the visitor
// yet, a failure of one of the given causes.
func (t *tunnel) wantCut(m *message, sent string, names ...string) {
	t.Helper()
	if !t.judge(m) {
		return
	}
	if m.status >= 500 {
		t.wantFailure(m, names...)
		return
	}
	if m.status != 200 && m.status != 206 {
		t.Errorf("got %v, want a cut answer", m)
		return
	}
	if !strings.HasPrefix(sent, string(m.body)) {
		t.Errorf("body %.300q, want a part of %.300q", m.body, sent)
	}
	switch h2 := strings.HasPrefix(m.first, "HTTP/2"); {
	case h2 && (m.end != reset || m.code != internalError):
		t.Errorf("stream ended %v with code %d, want RST_STREAM with INTERNAL_ERROR", m.end, m.code)
	case !h2 && m.end != short && m.end != reset:
		t.Errorf("got %v, want a cut answer", m)
	}
	t.wantCutLogged(m.status, names...)
}

// internalError is the code of RFC 9113 7 that says that share gave up.
const internalError = 2

// wantCutLogged checks that the relay's log names the cause of a cut, one of
// the given, and the status that the visitor saw.
func (t *tunnel) wantCutLogged(status int, names ...string) {
	t.Helper()
	var lines []string
	if !eventually(3*time.Second, func() bool {
		lines = t.relay.log.with(`"request"`, `"name":"`+t.setup.name+`"`)
		for _, line := range lines {
			var logged struct {
				Cause  string
				Status int
			}
			json.Unmarshal([]byte(line), &logged)
			for _, n := range names {
				if logged.Cause == n && logged.Status == status {
					return true
				}
			}
		}
		return false
	}) {
		t.Errorf("no request with status %d and cause %v in the relay's log: %q", status, names, lines)
	}
}
