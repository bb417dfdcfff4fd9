package target

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"share/tunnel"
)

// answeredH2 gives what is told of a target in HTTP/2 that answers each request by
// answer, after the request q came twice.
func answeredH2(t *testing.T, q *tunnel.Request, answer http.HandlerFunc) *told {
	t.Helper()
	var g told
	r := newRig(t, "h2c://"+serveH2(t, nil, answer), Config{OnSymptom: g.add})
	for range 2 {
		if a := r.ask(q, ""); a.err != nil {
			t.Fatal(a.err)
		}
		r.next()
	}
	return &g
}

// pieces is a handler that answers with a status, fields in turn with their values,
// and then a body in pieces.
func pieces(status int, fields []string, body ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		w.WriteHeader(status)
		for _, p := range body {
			io.WriteString(w, p)
			http.NewResponseController(w).Flush()
		}
	}
}

// What is told of answers in HTTP/1.1 is told of those in HTTP/2.
func TestH2Symptoms(t *testing.T) {
	get := func() *tunnel.Request { return request("GET", "/") }
	html := []string{"Content-Type", "text/html"}
	script := `<script src="http://localhost:3000/x.js">`
	socket := func(path string, fields ...string) *tunnel.Request {
		return request("GET", path, append(fields, "Upgrade: websocket")...)
	}
	tests := []struct {
		name   string
		req    *tunnel.Request
		answer http.HandlerFunc
		code   string
		says   string
	}{
		{"Vite", get(), pieces(403, nil, `Blocked request. This host ("x.localhost") is not allowed.`), HostRefused, "Vite refuses the Host that visitors send: share it with --host-header target"},
		{"Rails", get(), pieces(403, html, "<html><h1>Blocked ho", "sts: x.localhost</h1>"), HostRefused, "Rails"},
		{"webpack", get(), pieces(200, []string{"Content-Length", "19"}, "Invalid Host header"), HostRefused, "webpack-dev-server"},
		{"Next.js", request("GET", "/_next/static/x.js"), pieces(403, nil, "Unauthorized"), OriginRefused, "allowedDevOrigins"},
		{"a misdirected request", get(), pieces(421, nil), HostRefused, "the target refuses"},
		{"a body too large", get(), pieces(413, nil), BodyTooLarge, "raise its limit"},
		{"a redirect to localhost", get(), pieces(302, []string{"Location", "http://localhost:3000/login"}), RedirectLocal, "to localhost:3000, which is not the tunnel"},
		{"a page with a script of localhost", secured(get()), pieces(200, html, script), MixedContent, "http://localhost:3000"},
		{"a socket of Vite", socket("/?token=x", "Sec-WebSocket-Protocol: vite-hmr"), pieces(200, html, "<html>"), HMRRefused, "does not come over HTTP/2: share it as 127.0.0.1:"},
		{"a socket of Next.js", socket("/_next/webpack-hmr"), pieces(404, nil), HMRRefused, "does not come over HTTP/2"},

		{"a usual answer", secured(get()), pieces(200, html, "<html>hello"), "", ""},
		{"a page over http", get(), pieces(200, html, script), "", ""},
		{"a script that is no page", secured(get()), pieces(200, []string{"Content-Type", "text/plain"}, script), "", ""},
		{"a redirect to a path", get(), pieces(302, []string{"Location", "/login"}), "", ""},
		{"a redirect to the tunnel", get(), pieces(302, []string{"Location", "http://x.localhost/login"}), "", ""},
		{"a refusal of its own", get(), pieces(403, nil, `{"error":"this host is not allowed"}`), "", ""},
		{"a body that goes on", get(), pieces(403, nil, "Invalid Host header", ", says webpack"), "", ""},
		{"a page that is not found", get(), pieces(404, nil, `Blocked request. This host ("x") is`), "", ""},
		{"a head alone", request("HEAD", "/"), pieces(403, nil), "", ""},
		{"a socket of its own", socket("/ws"), pieces(404, nil), "", ""},
	}
	for _, tt := range tests {
		g := answeredH2(t, tt.req, tt.answer)
		if got := g.codes(); got != tt.code {
			t.Errorf("%s: got %q, want %q once", tt.name, got, tt.code)
		}
		if got := g.cures(); !strings.Contains(got, tt.says) {
			t.Errorf("%s: got %q, want %q in it", tt.name, got, tt.says)
		}
	}
}

// Over TLS, too; a socket is then to come over https.
func TestH2SymptomsOverTLS(t *testing.T) {
	cert, roots := certificate(t)
	var g told
	addr := serveH2(t, &tls.Config{Certificates: []tls.Certificate{cert}}, pieces(421, nil))
	r := newRig(t, "h2://"+addr, Config{RootCAs: roots, OnSymptom: g.add})
	r.ask(request("GET", "/", "Upgrade: websocket", "Sec-WebSocket-Protocol: vite-hmr"), "")
	if got := g.codes(); got != HMRRefused+" "+HostRefused {
		t.Errorf("got %q", got)
	}
	if got := g.cures(); !strings.Contains(got, "share it as https://"+addr) {
		t.Errorf("got %q, want https in it", got)
	}
}

// An alert of TLS in place of HTTP/2 is known, and nothing else is taken for one.
func TestH2SymptomOfTLS(t *testing.T) {
	for begin, want := range map[string]string{
		"\x15\x03\x03\x00\x02\x02\x46": SpeaksTLS,
		"\x15\x03\x01\x00\x02\x02\x0a": SpeaksTLS,
		"\x15\x04\x01\x00\x02\x02\x0a": "",
		"HTTP/1.1 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.": "",
		"\x15\x03": "",
		"":         "",
	} {
		s := serve(t, func(c net.Conn) {
			io.CopyN(io.Discard, c, int64(len(http2.ClientPreface)))
			for i := range begin { // in pieces
				io.WriteString(c, begin[i:i+1])
			}
		})
		var g told
		r := newRig(t, "h2c://"+s.addr, Config{OnSymptom: g.add})
		for range 2 {
			if a := r.get("/"); a.status != 502 {
				t.Errorf("%q: got %+v", begin, a)
			}
			r.next()
		}
		if got := g.codes(); got != want {
			t.Errorf("%q: got %q, want %q", begin, got, want)
		}
		if got := g.cures(); want != "" && !strings.Contains(got, "share it as h2://"+s.addr) {
			t.Errorf("%q: got %q, want h2 in it", begin, got)
		}
	}
}
