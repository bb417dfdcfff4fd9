package relay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"share/relay/account"
	"share/relay/meter"
	"share/tunnel"
)

// A watched is a relay that operators from elsewhere look at.
type watched struct {
	*serving
	data   *Data
	remote string // where
	token  string // with which
}

func watch(t *testing.T, certificate *Certificate, kinds ...string) *watched {
	t.Helper()
	d, err := OpenData(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	token, _, err := d.Accounts.Create(t.Context(), account.Token{Account: "watcher", Role: account.RoleMetrics})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, Config{Accounts: d.Accounts, Admin: d.Admin, Remote: ln}, certificate, kinds...)
	return &watched{s, d, ln.Addr().String(), token}
}

// ask asks for a path, and shows token if there is one.
func (w *watched) ask(path, token string) (status int, body string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "GET", "http://"+w.remote+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// wantMetrics waits until the metrics have all lines.
func (w *watched) wantMetrics(lines ...string) {
	w.t.Helper()
	var body, missing string
	until(w.t, fmt.Sprintf("metrics with %q", lines), func() bool {
		_, body = w.ask("/metrics", w.token)
		missing = ""
		for _, line := range lines {
			if !strings.Contains(body, "\n"+line+"\n") {
				missing = line
			}
		}
		return missing == ""
	})
}

func TestMetricsOfARelay(t *testing.T) {
	cert := newCertificate(t, "localhost", "*.localhost")
	w := watch(t, cert, doorHTTP, doorHTTPS)
	w.wantMetrics("share_draining 0", "share_sessions 0", "share_lanes 0", "share_tunnels 0", "share_reconnects_total 0",
		`share_handshakes_refused_total{cause="token"} 0`,
		fmt.Sprintf("share_certificate_expiry_timestamp_seconds %d", cert.current().Leaf.NotAfter.Unix()))

	secret, _, err := w.data.Accounts.Create(t.Context(), account.Token{Account: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	b := newBusy()
	comes := func() *agent {
		a, err := connect(t, w.dial(doorHTTP), tunnel.Hello{Token: secret}, b.handle)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := a.bind(tunnel.Bind{ID: 1, Name: "x", Holder: "one"}).(*tunnel.Bound); !ok {
			t.Fatal("not bound")
		}
		return a
	}
	a := comes()
	v := w.visit("/")
	await(t, b.entered, "the request")
	w.wantMetrics("share_sessions 1", "share_lanes 1", "share_tunnels 1", "share_exchanges_open 1")
	b.finish <- true
	if resp, err := http.ReadResponse(v.r, nil); err != nil || resp.StatusCode != 200 {
		t.Fatal(err)
	}
	w.wantMetrics(`share_exchanges_total{cause="none",class="2xx"} 1`, "share_exchanges_open 0", `share_body_bytes_total{direction="sent"} 8`)
	get(t, w.dial(doorHTTP), "nobody.localhost")
	w.wantMetrics(`share_exchanges_total{cause="unknown_name",class="4xx"} 1`)

	a.Close()
	w.wantMetrics("share_sessions 0", "share_tunnels 0")
	comes()
	w.wantMetrics("share_sessions 1", "share_tunnels 1", "share_reconnects_total 1")

	// Who is turned away.
	if _, err := connect(t, w.dial(doorHTTP), tunnel.Hello{Token: "wrong"}, nil); err == nil {
		t.Error("a wrong token is taken")
	}
	if _, err := connect(t, w.dial(doorHTTP), tunnel.Hello{Token: w.token}, nil); err == nil {
		t.Error("a watcher's token lets an agent in")
	}
	io.WriteString(w.dial(doorHTTPS), "GET / HTTP/1.1\r\n\r\n")
	w.dial(doorHTTPS).Close()
	w.wantMetrics(`share_handshakes_refused_total{cause="token"} 2`, `share_handshakes_refused_total{cause="tls"} 2`)
	w.dial(doorHTTP).Close()
	w.wantMetrics(`share_handshakes_refused_total{cause="silent"} 1`)
}

// Operators from elsewhere find all that the relay's socket has.
func TestOperatorsFromElsewhere(t *testing.T) {
	w := watch(t, nil, doorHTTP)
	secret, _, err := w.data.Accounts.Create(t.Context(), account.Token{Account: "ops", Role: account.RoleAdmin})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/tokens", "/v1/trusts", "/v1/names", "/v1/domains", "/v1/backup"} {
		if status, body := w.ask(path, secret); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// A relay that drains says so to whoever would send it more, for as long as that
// takes.
func TestReadyUntilDraining(t *testing.T) {
	w := watch(t, nil, doorHTTP)
	secret, _, err := w.data.Accounts.Create(t.Context(), account.Token{Account: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	b := newBusy()
	a, err := connect(t, w.dial(doorHTTP), tunnel.Hello{Token: secret}, b.handle)
	if err != nil {
		t.Fatal(err)
	}
	a.bind(tunnel.Bind{ID: 1, Name: "x", Holder: "one"})
	w.visit("/")
	await(t, b.entered, "the request")
	if status, _ := w.ask("/readyz", ""); status != 200 {
		t.Errorf("ready: %d", status)
	}
	w.stop()
	until(t, "that it drains", func() bool {
		status, _ := w.ask("/readyz", "")
		return status == 503
	})
	if status, _ := w.ask("/healthz", ""); status != 200 {
		t.Errorf("healthy: %d", status)
	}
	w.wantMetrics("share_draining 1", "share_exchanges_open 1")
	b.finish <- true
	if err := await(t, w.ended, "the end"); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", w.remote); err == nil {
		t.Error("operators are still taken")
	}
}

func TestRefusalOf(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want meter.Refusal
	}{
		{&tunnel.RejectError{Code: tunnel.RejectVersion}, meter.RefusedVersion},
		{fmt.Errorf("%w: x", errHeader), meter.RefusedFront},
		{fmt.Errorf("%w: %w", errTLS, io.EOF), meter.RefusedTLS},
		{errOldTLS, meter.RefusedTLS},
		{errPlain, meter.RefusedInsecure},
		{io.EOF, meter.RefusedSilent},
		{os.ErrDeadlineExceeded, meter.RefusedSilent},
	} {
		if got, counts := refusalOf(tt.err); got != tt.want || !counts {
			t.Errorf("%v: got %v, %v, want %v", tt.err, got, counts, tt.want)
		}
	}
	if _, counts := refusalOf(errors.Join(errTLS, net.ErrClosed)); counts {
		t.Error("what the relay closes itself counts")
	}
}

// The first of several certificates to end is the one to look at.
func TestExpiry(t *testing.T) {
	first, second := newCertificate(t, "a.test"), newCertificate(t, "b.test")
	first.pair.Leaf.NotAfter = time.Unix(2, 0)
	second.pair.Leaf.NotAfter = time.Unix(1, 0)
	for _, tt := range []struct {
		shown []Certificates
		want  time.Time
	}{{nil, time.Time{}}, {[]Certificates{first}, time.Unix(2, 0)}, {[]Certificates{first, second}, time.Unix(1, 0)}} {
		if got := (&Relay{shown: tt.shown}).expiry(); !got.Equal(tt.want) {
			t.Errorf("got %v, want %v", got, tt.want)
		}
	}
}
