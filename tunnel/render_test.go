package tunnel

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

func refused() *Failure {
	return &Failure{Cause: TargetRefused, By: Agent, NextHop: "localhost:8080", Detail: "dial tcp 127.0.0.1:8080: secret"}
}

func field(t *testing.T, r *Response, name string) string {
	t.Helper()
	if !r.Header.Has(name) {
		t.Errorf("no field %s in the answer", name)
	}
	return string(r.Header.Get(name))
}

func TestAnswer(t *testing.T) {
	var s *Style
	r, body := s.Answer(refused(), Asking{Method: []byte("GET"), Accept: []byte("*/*"), ID: "01J", Note: "last seen up 12 s ago"})
	if r.Status != 502 || string(r.Reason) != "Bad Gateway" || r.Flags != ResponseAgent || r.ContentLength != int64(len(body)) {
		t.Errorf("got %d %s, flags %d, length %d", r.Status, r.Reason, r.Flags, r.ContentLength)
	}
	for name, want := range map[string]string{
		"Proxy-Status":           `share-agent; error=connection_refused; next-hop="localhost:8080"; details="the target refused the connection; last seen up 12 s ago"`,
		"Share-Error":            "target_refused",
		"Share-Request-Id":       "01J",
		"Cache-Control":          "no-store",
		"X-Content-Type-Options": "nosniff",
		"Content-Type":           "text/plain; charset=utf-8",
		"Content-Length":         strconv.Itoa(len(body)),
	} {
		if got := field(t, r, name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if r.Header.Has("Retry-After") {
		t.Error("a 502 has Retry-After")
	}
	want := "502 target_refused: Nothing listens on localhost:8080 (last seen up 12 s ago).\nStart it, or share another port. [share-agent, request 01J]\n"
	if string(body) != want {
		t.Errorf("got body %q, want %q", body, want)
	}
}

func TestAnswerOfEveryCause(t *testing.T) {
	for c := range Cause(len(causes)) {
		for _, accept := range []string{"", "text/html", "application/json"} {
			r, body := (&Style{}).Answer(&Failure{Cause: c, By: Relay}, Asking{Method: []byte("GET"), Accept: []byte(accept)})
			if r.Status < 400 || r.Status > 599 || len(body) == 0 || len(r.Reason) == 0 {
				t.Errorf("%v: got status %d %s and %d bytes", c, r.Status, r.Reason, len(body))
			}
			if got, want := r.Header.Has("Retry-After"), r.Status == 503 || r.Status == 429; got != want {
				t.Errorf("%v: Retry-After: got %v, want %v", c, got, want)
			}
			if !strings.Contains(string(body), field(t, r, "Share-Error")) {
				t.Errorf("%v as %q: the body does not name its cause", c, accept)
			}
			if c.Status() != 0 && c.Headline("") == Internal.Headline("") && c != Internal {
				t.Errorf("%v has no headline", c)
			}
			if accept == "text/html" && !bytes.HasSuffix(body, []byte("</html>\n")) {
				t.Errorf("%v: the page is not whole", c)
			}
		}
	}
}

func TestAnswerToHead(t *testing.T) {
	get, body := (&Style{}).Answer(refused(), Asking{Method: []byte("GET"), Accept: []byte("text/plain")})
	head, none := (&Style{}).Answer(refused(), Asking{Method: []byte("HEAD"), Accept: []byte("text/plain")})
	if none != nil || head.ContentLength != 0 {
		t.Errorf("got body %q, length %d", none, head.ContentLength)
	}
	if got, want := field(t, head, "Content-Length"), field(t, get, "Content-Length"); got != want || got != strconv.Itoa(len(body)) {
		t.Errorf("Content-Length: got %s, want %s", got, want)
	}
}

func TestReveal(t *testing.T) {
	tests := []struct {
		reveal Reveal
		hop    string
		want   bool
	}{
		{RevealLoopback, "localhost:8080", true},
		{RevealLoopback, "127.0.0.1:8080", true},
		{RevealLoopback, "127.9.9.9:1", true},
		{RevealLoopback, "[::1]:8080", true},
		{RevealLoopback, "[::ffff:127.0.0.1]:80", true},
		{RevealLoopback, "https://localhost:8443", true},
		{RevealLoopback, "h2c://LOCALHOST.:50051/x", true},
		{RevealLoopback, "app.localhost:80", true},
		{RevealLoopback, "10.0.0.7:80", false},
		{RevealLoopback, "db.corp.example:80", false},
		{RevealLoopback, "localhost.evil.example:80", false},
		{RevealLoopback, "unix:/home/me/app.sock", false},
		{RevealLoopback, "", false},
		{RevealFull, "10.0.0.7:80", true},
		{RevealFull, "unix:/home/me/app.sock", true},
		{RevealFull, "", false},
		{RevealBrief, "localhost:8080", false},
	}
	for _, tt := range tests {
		f := refused()
		f.NextHop = tt.hop
		for _, accept := range []string{"text/html", "application/json", ""} {
			r, body := (&Style{Reveal: tt.reveal}).Answer(f, Asking{Accept: []byte(accept)})
			got := strings.Contains(field(t, r, "Proxy-Status"), "next-hop=")
			if inBody := tt.hop != "" && strings.Contains(string(body), tt.hop); got != tt.want || inBody != tt.want {
				t.Errorf("%d %q as %q: got %v in Proxy-Status, %v in the body, want %v", tt.reveal, tt.hop, accept, got, inBody, tt.want)
			}
			if strings.Contains(string(body), "secret") || strings.Contains(field(t, r, "Proxy-Status"), "secret") {
				t.Errorf("%q as %q: the detail is shown", tt.hop, accept)
			}
		}
	}
}

func TestAnswerEscapes(t *testing.T) {
	const nasty = "\"\\\r\nSet-Cookie: a=b\x1b[2J</script><script>alert(1)</script>é\x00" + "{{.}}"
	f := &Failure{Cause: TargetRefused, By: Agent, NextHop: nasty}
	a := Asking{Method: []byte("GET" + nasty), ID: nasty, URL: nasty, Note: nasty}
	for _, accept := range []string{"text/html", "application/json", ""} {
		a.Accept = []byte(accept)
		r, body := (&Style{Reveal: RevealFull}).Answer(f, a)
		for _, h := range r.Header {
			if bytes.ContainsFunc(h.Value, func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Errorf("%s holds %q", h.Name, h.Value)
			}
		}
		if accept != "" && strings.Contains(string(body), "<script>alert") || strings.ContainsAny(string(body), "\x1b\x00\r") {
			t.Errorf("as %q: not escaped: %q", accept, body)
		}
		if want := `next-hop="\"\\??Set-Cookie: a=b?[2J</script>`; !strings.Contains(field(t, r, "Proxy-Status"), want) {
			t.Errorf("Proxy-Status: got %s, want it to hold %s", r.Header.Get("Proxy-Status"), want)
		}
	}
}

func TestAnswerIsBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	f := &Failure{Cause: TargetRefused, By: Agent, NextHop: long}
	r, body := (&Style{Reveal: RevealFull}).Answer(f, Asking{Method: []byte(long), Accept: []byte("text/html"), ID: long, URL: long, Note: long})
	size := len(body)
	for _, h := range r.Header {
		size += len(h.Name) + len(h.Value)
	}
	if size > 32<<10 {
		t.Errorf("got an answer of %d bytes", size)
	}
}

func TestProblem(t *testing.T) {
	r, body := (&Style{}).Answer(refused(), Asking{Accept: []byte("application/json"), ID: "01J"})
	if got, want := field(t, r, "Content-Type"), "application/problem+json"; got != want {
		t.Errorf("got type %s, want %s", got, want)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]any{
		"type": "about:blank", "title": "Bad Gateway", "status": 502.0, "cause": "target_refused", "by": "share-agent",
		"target": "localhost:8080", "request_id": "01J", "detail": "Nothing listens on localhost:8080. Start it, or share another port.",
	} {
		if got[k] != want {
			t.Errorf("%s: got %v, want %v", k, got[k], want)
		}
	}
}

func TestPagePolicy(t *testing.T) {
	r, body := (&Style{}).Answer(refused(), Asking{Method: []byte("GET"), Accept: []byte("text/html")})
	policy := field(t, r, "Content-Security-Policy")
	for _, element := range []string{"script", "style"} {
		_, rest, _ := strings.Cut(string(body), "<"+element+">")
		text, _, ok := strings.Cut(rest, "</"+element+">")
		sum := sha256.Sum256([]byte(text))
		if want := element + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !ok || !strings.Contains(policy, want) {
			t.Errorf("policy %s: want %s", policy, want)
		}
		if strings.Count(string(body), "<"+element) != 1 {
			t.Errorf("the page has more than one %s", element)
		}
	}
	if strings.Contains(string(body), " style=") || strings.Contains(string(body), "http://") || strings.Contains(string(body), "https://") {
		t.Error("the page needs what its policy forbids, or a network")
	}
}

func TestPagePolls(t *testing.T) {
	tests := []struct {
		cause  Cause
		method string
		want   bool
	}{
		{TargetRefused, "GET", true},
		{NoAgent, "GET", true},
		{TargetRefused, "POST", false},
		{TargetRefused, "HEAD", false},
		{TargetBadResponse, "GET", false}, // it is up: a reload would come at once, for ever
		{TargetTimeout, "GET", false},
		{RequestBad, "GET", false},
	}
	for _, tt := range tests {
		_, body := (&Style{}).Answer(&Failure{Cause: tt.cause, By: Agent}, Asking{Method: []byte(tt.method), Accept: []byte("text/html")})
		if got := strings.Contains(string(body), `id="wait"`); got != tt.want {
			t.Errorf("%v %s: got %v, want %v", tt.cause, tt.method, got, tt.want)
		}
	}
}

func TestNegotiate(t *testing.T) {
	tests := []struct {
		accept string
		want   media
	}{
		{"", asText},
		{"*/*", asText},
		{"text/*", asText},
		{"image/png", asText},
		{"text/html", asHTML},
		{"TEXT/HTML; charset=utf-8", asHTML},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", asHTML},
		{"text/html;q=0", asText},
		{"text/html;q=0, application/json", asJSON},
		{"text/html;q=0.5, application/json;q=0.6", asJSON},
		{"text/html;q=0.6, application/json;q=0.5", asHTML},
		{"*/*, text/html", asHTML},
		{"application/json, text/plain, */*", asJSON},
		{"text/plain, application/json", asText},
		{"application/problem+json", asJSON},
		{"application/vnd.api+json", asJSON},
		{`text/plain;a="x,text/html;q=1";q=0.2, application/json;q=0.1`, asText},
		{`text/html;a="\",";q=0.2, application/json;q=0.1`, asHTML},
		{"text/html;q=2", asText},
		{"text/html;q=1.001", asText},
		{"text/html;q=.5", asText},
		{"text/html;q=0.0001", asText},
		{"text/html;q", asHTML},
		{"text/html ; q = 0.001", asHTML},
		{",,;, text/html", asHTML},
	}
	for _, tt := range tests {
		if got := negotiate([]byte(tt.accept)); got != tt.want {
			t.Errorf("%q: got %d, want %d", tt.accept, got, tt.want)
		}
	}
}

// FuzzNegotiate states that a form other than text was named by the visitor,
// and that spaces around a list's elements mean nothing.
func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{"", "*/*", "text/html;q=0.5, application/json", `a;b="c,\"d",text/html`, "text/html;q=1.000"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, accept []byte) {
		got, lower := negotiate(accept), bytes.ToLower(accept)
		if got == asHTML && !bytes.Contains(lower, []byte("html")) || got == asJSON && !bytes.Contains(lower, []byte("json")) {
			t.Errorf("%q: got %d, which it does not name", accept, got)
		}
		if len(accept) < maxAccept-2 {
			if spaced := negotiate([]byte(" " + string(accept) + " ")); spaced != got && bytes.Count(accept, []byte(`"`)) == 0 && bytes.Count(accept, []byte(",")) < maxAcceptRanges {
				t.Errorf("%q: got %d, and %d with spaces around it", accept, got, spaced)
			}
		}
	})
}

func TestParsePages(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  string // in the error; "" for none
	}{
		{"good", map[string]string{"502.html": "{{.Cause}}", "5xx.html": "{{.Advice}}", "error.html": "{{.Status}}", "logo.png": "x"}, ""},
		{"empty folder", map[string]string{"readme.txt": ""}, "has none of"},
		{"no page's name", map[string]string{"50x.html": ""}, "50x.html is no page"},
		{"status out of range", map[string]string{"200.html": ""}, "200.html is no page"},
		{"syntax", map[string]string{"502.html": "{{.Cause"}, "502.html:1"},
		{"unknown field", map[string]string{"502.html": "{{.Secret}}"}, "Secret"},
		{"unknown field for one cause", map[string]string{"5xx.html": `{{if eq .Cause "loop"}}{{.Secret}}{{end}}`}, "Secret"},
		{"unknown field when there is a target", map[string]string{"error.html": `{{if .Target}}{{.Secret}}{{end}}`}, "Secret"},
		{"a page that no cause asks for", map[string]string{"418.html": "{{.Secret}}"}, "Secret"},
		{"without end", map[string]string{"502.html": `{{define "a"}}x{{template "a"}}{{end}}{{template "a"}}`}, "502.html"},
		{"escaping in doubt", map[string]string{"502.html": `<a href="{{if .Note}}"{{end}}>`}, "502.html"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for name, src := range tt.files {
				fsys[name] = &fstest.MapFile{Data: []byte(src)}
			}
			_, err := ParsePages(fsys)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
		})
	}
}

func TestPagesChoice(t *testing.T) {
	pages, err := ParsePages(fstest.MapFS{
		"502.html":   {Data: []byte("one {{.Target}}")},
		"5xx.html":   {Data: []byte("class {{.Cause}}")},
		"error.html": {Data: []byte("rest {{.Status}}")},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &Style{Pages: pages}
	for c, want := range map[Cause]string{TargetRefused: "one localhost:8080", TargetTimeout: "class target_timeout", UnknownName: "rest 404"} {
		r, body := s.Answer(&Failure{Cause: c, By: Agent, NextHop: "localhost:8080"}, Asking{Accept: []byte("text/html")})
		if string(body) != want {
			t.Errorf("%v: got %q, want %q", c, body, want)
		}
		if r.Header.Has("Content-Security-Policy") {
			t.Errorf("%v: the owner's page has a policy that is not the owner's", c)
		}
	}
	// A page may still fail for what no proof can foresee.
	if s.Pages, err = ParsePages(fstest.MapFS{"502.html": {Data: []byte(`own{{if eq .RequestID "7"}}{{.Secret}}{{end}}`)}}); err != nil {
		t.Fatal(err)
	}
	if _, body := s.Answer(refused(), Asking{Accept: []byte("text/html"), ID: "7"}); !strings.HasPrefix(string(body), "<!doctype html>") {
		t.Errorf("a page that fails: got %q", body)
	}
	if _, body := s.Answer(refused(), Asking{}); !strings.HasPrefix(string(body), "502 target_refused") {
		t.Errorf("text: got %q", body)
	}
}
