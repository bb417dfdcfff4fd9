package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"share/agent"
	"share/tunnel"
	"share/tunnel/cmdline"
)

// answering returns the way to a server in a relay's place, which change may spoil.
func answering(t *testing.T, host string, secure bool, h http.Handler, change func(*Doctor, *httptest.Server)) *way {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	d := with(nil)
	srv.TLS = &tls.Config{NextProtos: []string{tunnel.ALPN, "http/1.1"}}
	if secure {
		srv.StartTLS()
		d.Agent.RelayCA = x509.NewCertPool()
		d.Agent.RelayCA.AddCert(srv.Certificate())
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	if change != nil {
		change(d, srv)
	}
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return newWay(d, agent.RelayURL{Host: host, Port: port, Plain: false})
}

func TestCheckTLS(t *testing.T) {
	for _, tt := range []struct {
		name    string
		host    string
		secure  bool
		change  func(*Doctor, *httptest.Server)
		state   cmdline.State
		detail  string
		cure    string
		answers bool
	}{
		{"well", "127.0.0.1", true, nil, cmdline.StateOK, "TLS 1.3, with a certificate signed by itself", "", true},
		{"in plain", "127.0.0.1", false, nil, cmdline.StateFailed, "does not speak TLS", "right port", false},
		{"untrusted", "127.0.0.1", true, func(d *Doctor, _ *httptest.Server) { d.Agent.RelayCA = x509.NewCertPool() },
			cmdline.StateFailed, "signed by itself, whom this machine does not trust", "--relay-ca", true},
		{"another's", "localhost", true, nil, cmdline.StateFailed, "is for example.com", "right host", true},
		{"intercepted", "127.0.0.1", true, func(_ *Doctor, s *httptest.Server) { s.TLS.NextProtos = []string{"http/1.1"} },
			cmdline.StateWarning, "TLS ends before the relay, at a server whose certificate is signed by itself", "a proxy intercepts TLS", true},
		{"old", "127.0.0.1", true, func(d *Doctor, _ *httptest.Server) {
			d.Machine.Now = func() time.Time { return time.Now().AddDate(100, 0, 0) }
		}, cmdline.StateFailed, "has expired on 2084", "renew", true},
		{"young", "127.0.0.1", true, func(d *Doctor, _ *httptest.Server) { d.Machine.Now = func() time.Time { return time.Unix(-1<<32, 0) } },
			cmdline.StateFailed, "begins on 1970", "clock", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := answering(t, tt.host, tt.secure, http.NotFoundHandler(), tt.change)
			r, answers := w.checkTLS(t.Context())
			if want(t, r, tt.state, tt.detail, tt.cure); answers != tt.answers {
				t.Errorf("answers: got %v", answers)
			}
		})
	}
}

func TestIssuer(t *testing.T) {
	c := &x509.Certificate{RawIssuer: []byte("a"), RawSubject: []byte("b")}
	c.Issuer.Organization, c.Issuer.CommonName = []string{"Example Firewalls"}, "Inspection CA"
	if got := issuer(c); got != "Example Firewalls Inspection CA" {
		t.Errorf("got %q", got)
	}
	if got := issuer(&x509.Certificate{RawIssuer: []byte("a")}); got != "nobody by name" {
		t.Errorf("got %q", got)
	}
}

func TestCheckClock(t *testing.T) {
	for _, tt := range []struct {
		name   string
		date   string
		ahead  time.Duration
		state  cmdline.State
		detail string
	}{
		{"right", "", 0, cmdline.StateOK, "at most"},
		{"half a minute", "", 30 * time.Second, cmdline.StateOK, "at most"},
		{"ahead", "", time.Hour, cmdline.StateFailed, "differs by 1h0m"},
		{"behind", "", -48 * time.Hour, cmdline.StateFailed, "differs by 48h0m"},
		{"no date", "x", 0, cmdline.StateSkipped, "without a Date"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := answering(t, "127.0.0.1", true, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if tt.date != "" {
					w.Header().Set("Date", tt.date)
				}
			}), func(d *Doctor, _ *httptest.Server) {
				d.Machine.Now = func() time.Time { return time.Now().Add(tt.ahead) }
			})
			cure := ""
			if tt.state == cmdline.StateFailed {
				cure = "NTP"
			}
			want(t, w.checkClock(t.Context()), tt.state, tt.detail, cure)
		})
	}
}
