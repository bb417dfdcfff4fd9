package admin

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"share/relay/account"
	"share/relay/meter"
	"share/tunnel"
)

// tokens makes a token of each role.
func tokens(t *testing.T, r *Relay) map[account.Role]string {
	t.Helper()
	all := make(map[account.Role]string)
	for _, role := range []account.Role{account.RoleAgent, account.RoleAdmin, account.RoleMetrics} {
		secret, _, err := r.Accounts.Create(t.Context(), account.Token{Account: "of" + string(role), Role: role})
		if err != nil {
			t.Fatal(err)
		}
		all[role] = secret
	}
	return all
}

// askFrom is ask with an address and an Authorization field.
func askFrom(h http.Handler, addr, authorization, method, path string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, nil)
	req.RemoteAddr = addr
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// A token opens what its role says; without one there is health alone.
func TestRoles(t *testing.T) {
	r := newRelay(t)
	var events []Event
	r.Note = func(e Event) { events = append(events, e) }
	secrets := tokens(t, r)
	h := r.remoteHandler()
	const agent, admin, metrics = account.RoleAgent, account.RoleAdmin, account.RoleMetrics
	for _, tt := range []struct {
		request                string
		none, agent, met, full int // the status without a token, with an agent's, and with those of the roles
	}{
		{"GET /healthz", 200, 200, 200, 200},
		{"GET /readyz", 200, 200, 200, 200},
		{"GET /openapi.json", 200, 200, 200, 200},
		{"GET /metrics", 401, 403, 200, 200},
		{"GET /debug/pprof/goroutine", 401, 403, 403, 200},
		{"GET /debug/pprof/nothing", 401, 403, 403, 404},
		{"GET /debug/pprof/heap?debug=9", 401, 403, 403, 400},
		{"GET /debug/pprof/profile?seconds=61", 401, 403, 403, 400},
		{"GET /v1/tokens", 401, 403, 403, 200},
		{"POST /v1/tokens", 401, 403, 403, 400},
		{"DELETE /v1/tokens/x", 401, 403, 403, 404},
		{"GET /v1/trusts", 401, 403, 403, 200},
		{"POST /v1/trusts", 401, 403, 403, 400},
		{"DELETE /v1/trusts/x", 401, 403, 403, 404},
		{"GET /v1/backup", 401, 403, 403, 500}, // of a recorder that knows no deadline
		{"GET /v1/names", 401, 403, 403, 200},
		{"PUT /v1/names/x", 401, 403, 403, 400},
		{"DELETE /v1/names/x", 401, 403, 403, 404},
		{"DELETE /v1/tunnels/x", 401, 403, 403, 404},
		{"GET /", 404, 404, 404, 404},
		{"POST /metrics", 405, 405, 405, 405},
	} {
		method, path, _ := strings.Cut(tt.request, " ")
		for authorization, want := range map[string]int{
			"":                           tt.none,
			"Bearer " + secrets[agent]:   tt.agent,
			"Bearer " + secrets[metrics]: tt.met,
			"bearer " + secrets[admin]:   tt.full,
		} {
			// Each from its own address: what fails is remembered.
			w := askFrom(h, fmt.Sprintf("[2001:db8:%x::1]:1", len(events)), authorization, method, path)
			if w.Code != want {
				t.Errorf("%s with %.14q: got %d, want %d: %s", tt.request, authorization, w.Code, want, w.Body)
			}
			if w.Code == 401 && w.Header().Get("WWW-Authenticate") == "" || w.Code == 403 && w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: %v", tt.request, w.Header())
			}
		}
	}
	changes := 0
	for _, e := range events {
		if e.Refused == nil {
			changes++
			if e.Token.Account != "ofadmin" || e.Method == "GET" {
				t.Errorf("%+v", e)
			}
		}
	}
	if changes != 7 {
		t.Errorf("%d changes are noted, want 7", changes)
	}
}

// Whoever sends wrong tokens is not asked any more for a while.
func TestWrongTokens(t *testing.T) {
	r := newRelay(t)
	secret := tokens(t, r)[account.RoleAdmin]
	h := r.remoteHandler()
	wrong := []string{"", "Basic " + secret, "Bearer", "Bearer ", "Bearer hunter2", "Bearer " + secret[:len(secret)-1], "Bearer shr_" + strings.Repeat("0", 49)}
	for i := range maxFailures {
		if w := askFrom(h, "192.0.2.1:1", wrong[i%len(wrong)], "GET", "/v1/names"); w.Code != 401 || strings.Contains(w.Body.String(), secret) {
			t.Errorf("%q: %d %s", wrong[i%len(wrong)], w.Code, w.Body)
		}
	}
	if w := askFrom(h, "192.0.2.1:2", "Bearer "+secret, "GET", "/v1/names"); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("after %d: %d", maxFailures, w.Code)
	}
	if w := askFrom(h, "192.0.2.1:2", "", "GET", "/healthz"); w.Code != 200 {
		t.Errorf("health: %d", w.Code)
	}
	if w := askFrom(h, "[::ffff:192.0.2.2]:1", "Bearer "+secret, "GET", "/v1/names"); w.Code != 200 {
		t.Errorf("from elsewhere: %d", w.Code)
	}
}

// A flood of wrong tokens is not one of notes, and no note has a secret that was
// taken for an ID.
func TestNotes(t *testing.T) {
	r := newRelay(t)
	var events []Event
	r.Note = func(e Event) { events = append(events, e) }
	secrets := tokens(t, r)
	h := r.remoteHandler()
	for range 10 * maxFailures {
		askFrom(h, "192.0.2.1:1", "Bearer hunter2", "GET", "/v1/names")
		askFrom(h, "192.0.2.2:1", "Bearer "+secrets[account.RoleAgent], "GET", "/v1/names")
	}
	if len(events) != 2*maxFailures {
		t.Errorf("%d notes, want %d", len(events), 2*maxFailures)
	}
	for path, want := range map[string]string{
		"/v1/tokens/" + secrets[account.RoleAgent]:       "/v1/tokens/shr_...",
		"/v1/tokens/shr%5F" + secrets[account.RoleAgent]: "/v1/tokens/shr_...",
		"/v1/domains/" + strings.Repeat("x", 253):        "/v1/domains/" + strings.Repeat("x", 253),
		"/v1/domains/" + strings.Repeat("x", 2*maxPath):  "/v1/domains/" + strings.Repeat("x", maxPath-len("/v1/domains/")),
	} {
		events = nil
		if w := askFrom(h, "192.0.2.3:1", "Bearer "+secrets[account.RoleAdmin], "DELETE", path); w.Code != 404 {
			t.Errorf("%.40s: %d", path, w.Code)
		}
		if len(events) != 1 || events[0].Path != want {
			t.Errorf("%.40s: got %+v, want %s", path, events, want)
		}
	}
}

func TestFailures(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	var f failures
	one := netip.MustParseAddr("2001:db8::1")
	for i := range maxFailures {
		if !f.allow(one, now) {
			t.Fatalf("refused after %d", i)
		}
		f.note(one, now)
	}
	for addr, want := range map[string]bool{"2001:db8::1": false, "2001:db8::2": false, "2001:db8:0:1::1": true, "192.0.2.1": true} {
		if got := f.allow(netip.MustParseAddr(addr), now); got != want {
			t.Errorf("%s: got %v, want %v", addr, got, want)
		}
	}
	if f.allow(one, now.Add(failureCost-1)) || !f.allow(one, now.Add(failureCost)) {
		t.Error("not one more in its time")
	}
	// However many addresses there are, few are remembered, and the worst of them.
	for i := range maxAddresses + 100 {
		f.note(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if len(f.until) > maxAddresses || f.allow(one, now) {
		t.Errorf("%d addresses; the worst is let in: %v", len(f.until), f.allow(one, now))
	}
	f.note(netip.MustParseAddr("192.0.2.1"), now.Add(time.Hour))
	if len(f.until) != 1 {
		t.Errorf("an hour later there are %d", len(f.until))
	}
}

// Draining is said to whoever sends visitors here.
func TestReady(t *testing.T) {
	r := newRelay(t)
	draining := false
	r.State = func() State { return State{Draining: draining} }
	h := r.remoteHandler()
	for _, want := range []int{200, 503} {
		if w := askFrom(h, "192.0.2.1:1", "", "GET", "/readyz"); w.Code != want {
			t.Errorf("draining %v: got %d, want %d", draining, w.Code, want)
		}
		if w := askFrom(h, "192.0.2.1:1", "", "GET", "/healthz"); w.Code != 200 {
			t.Errorf("draining %v: health is %d", draining, w.Code)
		}
		draining = true
	}
}

// What was counted stands in the metrics, under names without any tunnel's.
func TestMetrics(t *testing.T) {
	r := newRelay(t)
	r.State = func() State {
		return State{Sessions: 2, Lanes: 3, Open: 4, Draining: true, Stalls: 5, Expiry: time.Unix(2_000_000_000, 0), MemoryBudget: 6, AccessDropped: 7}
	}
	r.Meter.Settle(&meter.Exchange{Status: 200, Received: 10, Sent: 20, Head: time.Millisecond, Whole: 3 * time.Millisecond})
	r.Meter.Settle(&meter.Exchange{Status: 502, Cause: tunnel.TargetRefused})
	r.Meter.Settle(&meter.Exchange{Status: 200, Cause: tunnel.TargetIncomplete, Cut: true})
	r.Meter.Retry()
	r.Meter.Refuse(meter.RefusedToken)
	w := askFrom(r.remoteHandler(), "192.0.2.1:1", "Bearer "+tokens(t, r)[account.RoleMetrics], "GET", "/metrics")
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	body := w.Body.String()
	for _, want := range []string{
		`share_build_info{version="test"} 1`,
		`share_draining 1`,
		`share_sessions 2`,
		`share_lanes 3`,
		`share_tunnels 0`,
		`share_exchanges_open 4`,
		`share_exchanges_total{cause="none",class="2xx"} 1`,
		`share_exchanges_total{cause="target_refused",class="5xx"} 1`,
		`share_exchanges_total{cause="target_incomplete",class="2xx"} 1`,
		`share_exchanges_total{cause="link_lost",class="5xx"} 0`,
		`share_exchanges_cut_total{cause="target_incomplete"} 1`,
		`share_body_bytes_total{direction="received"} 10`,
		`share_body_bytes_total{direction="sent"} 20`,
		`share_head_seconds_bucket{le="0.001"} 3`,
		`share_exchange_seconds_count 3`,
		`share_exchange_seconds_sum 0.003`,
		`share_retries_total 1`,
		`share_reconnects_total 0`,
		`share_link_stalls_total 5`,
		`share_handshakes_refused_total{cause="token"} 1`,
		`share_certificate_expiry_timestamp_seconds 2000000000`,
		`share_access_log_dropped_total 7`,
		`share_memory_budget_bytes 6`,
	} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("%s is missing", want)
		}
	}
	for _, want := range []string{"\nshare_memory_used_bytes ", "\nshare_memory_limit_bytes ", "\ngo_goroutines ", "\nprocess_start_time_seconds "} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}

// The whole of it over TCP: who comes with TLS, a profile, and the end.
func TestServeRemote(t *testing.T) {
	r := newRelay(t)
	secret := tokens(t, r)[account.RoleAdmin]
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	defer cert.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- ServeRemote(ctx, tls.NewListener(ln, &tls.Config{Certificates: cert.TLS.Certificates}), r)
	}()
	client := cert.Client()
	client.Transport.(*http.Transport).TLSClientConfig.ServerName = "example.com"
	defer client.CloseIdleConnections()
	for path, want := range map[string]string{
		"/v1/tokens":                       "application/json",
		"/v1/backup":                       "application/jsonl",
		"/debug/pprof/goroutine?debug=1":   "text/plain; charset=utf-8",
		"/debug/pprof/heap":                "application/octet-stream",
		"/debug/pprof/profile?seconds=1":   "application/octet-stream",
		"/debug/pprof/trace?seconds=1":     "application/octet-stream",
		"/metrics":                         "text/plain",
		"/debug/pprof/profile?seconds=1.5": "application/problem+json",
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+ln.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %d %s, want %s", path, resp.StatusCode, got, want)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
