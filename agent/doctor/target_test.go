package doctor

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"share/agent"
	"share/agent/target"
	"share/tunnel/cmdline"
)

// TestCheckTarget asks targets that are each wrong in one way.
func TestCheckTarget(t *testing.T) {
	refuses := func(status int, page string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.Host, "share-doctor") {
				w.WriteHeader(status)
				io.WriteString(w, page)
			}
		}
	}
	type results map[cmdline.Check]string // state, detail, and after | the cure
	for _, tt := range []struct {
		name     string
		tls      bool
		scheme   string
		insecure bool
		relay    string
		handler  http.HandlerFunc
		want     results
	}{
		{"well", false, target.HTTP, false, "", refuses(200, ""),
			results{"target ipv4": "ok connects", "target http": "ok 200 OK", "target https": "skipped shared as 127.0.0.1:", "target host": "ok share-doctor.localhost:7070"}},
		{"a relay's host", false, target.HTTP, false, "share.example.com", refuses(200, ""), results{"target host": "ok asked as share-doctor.share.example.com, it"}},
		{"Vite", false, target.HTTP, false, "share.example.com", refuses(403, "Blocked request."), results{"target http": "ok", "target host": "failed 403 Forbidden|--host-header target"}},
		{"a page that is not there", false, target.HTTP, false, "", http.NotFound, results{"target http": "ok 404", "target host": "ok 404"}},
		{"Django without a page", false, target.HTTP, false, "", func(w http.ResponseWriter, r *http.Request) {
			if w.WriteHeader(404); strings.Contains(r.Host, "share-doctor") {
				io.WriteString(w, "<title>DisallowedHost at /</title>")
			}
		}, results{"target host": "failed 404|--host-header target"}},
		{"sends home", false, target.HTTP, false, "", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://localhost:3000/app", http.StatusFound)
		},
			results{"target http": "ok 302 Found, to http://localhost:3000/app", "target host": "warning their own machine|a path alone"}},
		{"in trouble", false, target.HTTP, false, "", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, results{"target http": "warning 500|log"}},
		{"TLS", true, target.HTTP, true, "", refuses(200, ""), results{"target http": "failed|share it as https://127.0.0.1:", "target https": "ok 200 OK", "target host": "skipped"}},
		{"nobody's TLS", true, target.HTTP, false, "", refuses(200, ""), results{"target http": "failed want TLS|, with --insecure-target"}},
		{"no TLS", false, target.HTTPS, false, "", refuses(200, ""), results{"target https": "failed does not speak TLS|share it as 127.0.0.1:", "target http": "ok 200 OK"}},
		{"nobody's certificate", true, target.HTTPS, false, "", refuses(200, ""), results{"target https": "failed not trusted|--insecure-target"}},
		{"anybody's certificate", true, target.HTTPS, true, "", refuses(200, ""), results{"target https": "ok 200 OK", "target http": "skipped"}},
		{"h2c", false, target.H2C, false, "", refuses(200, ""), results{"target http": "ok 200 OK"}},
		{"h2", true, target.H2, true, "", refuses(200, ""), results{"target https": "ok 200 OK"}},
		{"closes", false, target.HTTP, false, "", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			results{"target http": "failed closes the connection without an answer|see what", "target https": "skipped", "target host": "skipped"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(tt.handler)
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.Config.Protocols = new(http.Protocols)
			srv.Config.Protocols.SetHTTP1(true)
			srv.Config.Protocols.SetHTTP2(true)
			srv.Config.Protocols.SetUnencryptedHTTP2(true)
			srv.EnableHTTP2 = true
			if tt.tls {
				srv.StartTLS()
			} else {
				srv.Start()
			}
			defer srv.Close()
			d := with(nil)
			d.Target = target.Address{Scheme: tt.scheme, Host: "127.0.0.1", Port: srv.Listener.Addr().(*net.TCPAddr).Port}
			d.InsecureTarget = tt.insecure
			if tt.relay != "" {
				d.Relays = []agent.RelayURL{{Host: tt.relay, Port: "443"}}
			}
			for _, r := range d.checkTarget(t.Context()) {
				text, cure, _ := strings.Cut(tt.want[r.Check], "|")
				if state, detail, _ := strings.Cut(text, " "); state != "" {
					want(t, r, cmdline.State(state), detail, cure)
				}
			}
		})
	}
}

func TestNoTarget(t *testing.T) {
	d := with(nil)
	want(t, d.checkTarget(t.Context())[0], cmdline.StateSkipped, "none is named", "")
	d.Target = target.Address{Scheme: target.HTTP, Path: t.TempDir() + "/nosuch"}
	want(t, d.checkTarget(t.Context())[0], cmdline.StateFailed, "nosuch does not connect", "start the target")
	d = wired(nil, nil)
	d.Target = target.Address{Scheme: target.HTTP, Host: "nowhere.test", Port: 80}
	want(t, d.checkTarget(t.Context())[0], cmdline.StateFailed, "nowhere.test does not resolve", "name")
}
