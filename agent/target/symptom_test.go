package target

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"share/tunnel"
)

// told gathers symptoms.
type told struct {
	mu  sync.Mutex
	all []Symptom // guarded by mu
}

func (g *told) add(s Symptom) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = append(g.all, s)
}

// codes are what came, joined with spaces.
func (g *told) codes() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var codes []string
	for _, s := range g.all {
		codes = append(codes, s.Code)
	}
	return strings.Join(codes, " ")
}

// cures gives the messages and cures that came.
func (g *told) cures() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var b strings.Builder
	for _, s := range g.all {
		b.WriteString(s.Message + ": " + s.Cure + "\n")
	}
	return b.String()
}

// answered gives what is told of a target that answers each head with reply, and
// then ends the connection, after the request q came twice.
func answered(t *testing.T, reply string, q *tunnel.Request, cfg Config) *told {
	t.Helper()
	s := serve(t, once(reply, false))
	var g told
	cfg.OnSymptom = g.add
	r := newRig(t, s.addr, cfg)
	for range 2 {
		x := r.open()
		x.SendRequest(q)
		x.End(nil)
		receive(x)
		x.Close()
		r.next()
	}
	return &g
}

// recorded is an answer as a server gave it to a request for a host that it was
// not told of. Those of Django are their begin; Angular's server is the handler
// from its package.
func recorded(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "answers", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSymptomsOfServers(t *testing.T) {
	socket := func(path string, fields ...string) *tunnel.Request {
		return request("GET", path, append(fields, "Upgrade: websocket")...)
	}
	tests := []struct {
		answer string
		req    *tunnel.Request
		code   string
		says   string
	}{
		{"vite", request("GET", "/"), HostRefused, "Vite refuses the Host that visitors send: share it with --host-header target"},
		{"webpack", request("GET", "/"), HostRefused, "webpack-dev-server refuses the Host"},
		{"webpack4", request("GET", "/"), HostRefused, "webpack-dev-server refuses the Host"},
		{"angular", request("GET", "/"), HostRefused, "Angular refuses the Host"},
		{"rails", request("GET", "/"), HostRefused, "Rails refuses the Host"},
		{"django", request("GET", "/"), HostRefused, "Django refuses the Host"},
		{"django_text", request("GET", "/"), HostRefused, "Django refuses the Host"},
		{"flask", request("GET", "/"), HostRefused, "Flask refuses the Host"},
		{"next", request("GET", "/_next/static/chunks/x.js"), OriginRefused, "allowedDevOrigins"},
		{"vite_socket", socket("/?token=x", "Sec-WebSocket-Protocol: vite-hmr"), HMRRefused, "Vite refuses the WebSocket"},
		{"next_socket", socket("/_next/webpack-hmr?id=x"), HMRRefused, "allowedDevOrigins"},
		{"webpack_socket", socket("/ws"), HMRRefused, "devServer.allowedHosts"},
		{"webpack4_socket", socket("/ws"), HMRRefused, "devServer.allowedHosts"},
		{"nginx_tls", request("GET", "/"), SpeaksTLS, "share it as https://127.0.0.1:"},
		{"apache_tls", request("GET", "/"), SpeaksTLS, "share it as https://"},
		{"go_tls", request("GET", "/"), SpeaksTLS, "share it as https://"},
	}
	for _, tt := range tests {
		g := answered(t, recorded(t, tt.answer), tt.req, Config{})
		if got := g.codes(); got != tt.code {
			t.Errorf("%s: got %q, want %s once", tt.answer, got, tt.code)
		}
		if got := g.cures(); !strings.Contains(got, tt.says) {
			t.Errorf("%s: got %q, want %q in it", tt.answer, got, tt.says)
		}
	}
}

func html(status, body string) string {
	return "HTTP/1.1 " + status + "\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
}

func moved(to string) string {
	return "HTTP/1.1 302 Found\r\nLocation: " + to + "\r\nContent-Length: 0\r\n\r\n"
}

// secured is a request that came over TLS.
func secured(q *tunnel.Request) *tunnel.Request {
	q.Flags |= tunnel.RequestHTTPS
	return q
}

func TestSymptoms(t *testing.T) {
	get := func() *tunnel.Request { return request("GET", "/") }
	https := func() *tunnel.Request { return secured(get()) }
	long := strings.Repeat("x", 1000) + " "
	vite := `Blocked request. This host ("a.example") is not allowed.`
	tests := []struct {
		name  string
		reply string
		req   *tunnel.Request
		want  string
	}{
		{"a redirect to localhost", moved("http://localhost:3000/login"), get(), RedirectLocal},
		{"to 127.0.0.1", moved("https://127.0.0.1/login"), get(), RedirectLocal},
		{"to [::1]", moved("//[::1]:80"), get(), RedirectLocal},
		{"to a path", moved("/login"), get(), ""},
		{"to the tunnel", moved("http://x.localhost/login"), get(), ""},
		{"to a localhost.example", moved("http://localhost.example/"), get(), ""},
		{"to a path with localhost in it", moved("/?next=http://localhost:3000/"), get(), ""},
		{"to elsewhere", moved("https://accounts.example/?back=//localhost"), get(), ""},
		{"to nowhere", moved("http://"), get(), ""},
		{"a body too large", "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n", get(), BodyTooLarge},
		{"a misdirected request", "HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n", get(), HostRefused},
		{"an alert in place of a head", "\x15\x03\x03\x00\x02\x02\x0a", get(), SpeaksTLS},
		{"an alert with the version of TLS 1.0", "\x15\x03\x01\x00\x02\x02\x46", get(), SpeaksTLS},

		{"a page with a script of localhost", html("200 OK", `<html><script src="http://localhost:3000/x.js">`), https(), MixedContent},
		{"with a style", html("200 OK", `<link rel=stylesheet href='http://127.0.0.1:1/x.css'>`), https(), MixedContent},
		{"with an image of the tunnel's own", html("200 OK", `<img src=http://x.localhost/x.png>`), https(), MixedContent},
		{"the same over http", html("200 OK", `<img src=http://x.localhost/x.png>`), get(), ""},
		{"with a link", html("200 OK", `<a href="http://localhost:3000/">`), https(), ""},
		{"with an address in its text", html("200 OK", `<p>src="http://localhost:3000"`), https(), ""},
		{"with a script of elsewhere", html("200 OK", `<script src="http://cdn.example/x.js"></script>`), https(), ""},
		{"deep in the page", html("200 OK", strings.Repeat(long, 3)+`<script src="http://localhost:3000/x.js">`), https(), ""},
		{"no page", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n<img src=http://localhost/>", https(), ""},

		{"an API that refuses", "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n\r\n" + `{"error":"this host is not allowed"}`, get(), ""},
		{"an API that misses a login", "HTTP/1.1 403 Forbidden\r\n\r\nUnauthorized", get(), ""},
		{"a page that quotes Vite", html("403 Forbidden", "<p>What does it mean?</p>"+vite), get(), ""},
		{"a page that quotes webpack", html("403 Forbidden", "Invalid Host header, says webpack"), get(), ""},
		{"a page that quotes Rails", html("403 Forbidden", "<p>Blocked hosts: a.example, &lt;h1>Blocked host: "), get(), ""},
		{"a page that quotes Django", html("400 Bad Request", "DisallowedHost? <title>DisallowedHost explained</title>"), get(), ""},
		{"a page that quotes Flask", html("400 Bad Request", "<p>Host a is not trusted.</p>"), get(), ""},
		{"a page that quotes nginx", html("400 Bad Request", "The plain HTTP request was sent to HTTPS port"), get(), ""},
		{"a page that is found", html("200 OK", vite), get(), ""},
		{"a page that is not", html("404 Not Found", vite), get(), ""},
		{"as many bytes as webpack's", "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nInvalid host header", get(), ""},
		{"a WebSocket of the target's own", html("403 Forbidden", "no"), request("GET", "/ws", "Upgrade: websocket"), ""},
		{"one whose first message quotes", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x7e\x01\x90" + strings.Repeat("x", 380) + "Invalid Host/Origin header", request("GET", "/ws", "Upgrade: websocket"), ""},
		{"half a head", "HTTP/1.1 200 OK\r\n", get(), ""},
	}
	for _, tt := range tests {
		if got := answered(t, tt.reply, tt.req, Config{}).codes(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What is told to do is not what is done already.
func TestSymptomsWithHostHeader(t *testing.T) {
	tests := []struct {
		reply, not string
	}{
		{recorded(t, "vite"), "--host-header target"},
		{moved("http://localhost/"), "the Host of the request"},
	}
	for _, tt := range tests {
		got := answered(t, tt.reply, request("GET", "/"), Config{HostHeader: "shop.test"}).cures()
		if !strings.Contains(got, "--host-header") || strings.Contains(got, tt.not) {
			t.Errorf("got %q, want --host-header in it, and not %q", got, tt.not)
		}
	}
}

// FuzzSymptoms states that no answer is too odd to be looked at, and that a text is
// found in two pieces where it is found in one.
func FuzzSymptoms(f *testing.F) {
	f.Add(403, "/", []byte("Invalid Host header"))
	f.Add(400, "/_next/", []byte("<title>DisallowedHost\n"))
	f.Add(400, "/", []byte("<!doctype html>\n<html lang=en>\n<title>400 Bad Request</title> is not trusted.</p>"))
	f.Add(200, "/", []byte("<img src=\"http://localhost:1/"))
	f.Fuzz(func(t *testing.T, status int, target string, body []byte) {
		whole, _ := refusal(status, []byte(target), body, 0)
		cut := min(len(target), len(body))
		pieces, _ := refusal(status, []byte(target), body[:cut], 0)
		if pieces == "" {
			pieces, _ = refusal(status, []byte(target), body, cut)
		}
		if (whole == "") != (pieces == "") {
			t.Errorf("%q is %q, and %q in two pieces, the first of %d bytes", body, whole, pieces, cut)
		}
		if url := loads(body, []byte("x.example")); url != nil && !strings.HasPrefix(string(url), "http://") {
			t.Errorf("%q loads %q", body, url)
		}
		if host := hostOf(body); strings.ContainsAny(string(host), "/?# ") {
			t.Errorf("%q has the host %q", body, host)
		}
	})
}

// A target that is sent its own Host from some request on has it from there on.
func TestSendOwnHost(t *testing.T) {
	one := serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			asked, err := head(r)
			if err != nil {
				return
			}
			_, host, _ := strings.Cut(asked, "Host: ")
			host, _, _ = strings.Cut(host, "\r\n")
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(host), host)
		}
	})
	two := serveH2(t, nil, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) })
	for addr, own := range map[string]string{one.addr: one.addr, "h2c://" + two: two} {
		r := newRig(t, addr, Config{})
		for i, want := range []string{"x.localhost", own, own} {
			if i == 1 {
				r.target.SendOwnHost()
			}
			if got := r.get("/").body; got != want || r.target.KeepsHost() != (i == 0) {
				t.Errorf("%s: request %d had the Host %q, want %q", addr, i, got, want)
			}
		}
	}
}
