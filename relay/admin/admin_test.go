package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"share/relay/account"
	"share/relay/domain"
	"share/relay/meter"
	"share/relay/route"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newRelay is a relay with an empty store.
func newRelay(t testing.TB) *Relay {
	t.Helper()
	r := &Relay{Accounts: account.New(openStore(t)), Names: route.NewRegistry(), Meter: new(meter.Meter), State: func() State { return State{} }, Version: "test"}
	r.Names.Accounts = r.Accounts
	r.Domains = domain.New(domain.Config{Accounts: r.Accounts, Names: r.Names, Own: "share.test"})
	return r
}

// handler is what a relay with an empty store serves at its socket.
func handler(t testing.TB) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	for _, e := range newRelay(t).api() {
		mux.HandleFunc(e.pattern, e.serve)
	}
	return mux
}

func ask(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

func TestBadCalls(t *testing.T) {
	h := handler(t)
	tests := []struct {
		method, path, body string
		status             int
		want               string // in the detail
	}{
		{"POST", "/v1/tokens", ``, 400, "request's body"},
		{"POST", "/v1/tokens", `[]`, 400, "request's body"},
		{"POST", "/v1/tokens", `{"account":"ci","admin":true}`, 400, "admin"},
		{"POST", "/v1/tokens", `{"account":"ci"}{}`, 400, "more than one"},
		{"POST", "/v1/tokens", `{"account":"` + strings.Repeat("x", maxBody) + `"}`, 400, "too large"},
		{"POST", "/v1/tokens", `{}`, 400, "a label has"},
		{"POST", "/v1/tokens", `{"account":"ci","names":["-*"]}`, 400, "no name matches"},
		{"POST", "/v1/tokens", `{"account":"ci","expires_in_seconds":-1}`, 400, "seconds at most"},
		{"POST", "/v1/tokens", `{"account":"ci","expires_in_seconds":9223372036854775807}`, 400, "seconds at most"},
		{"POST", "/v1/tokens", `{"account":"ci","expires_in_seconds":1e99}`, 400, "request's body"},
		{"POST", "/v1/tokens", `{"account":"ci","max_tunnels":-1}`, 400, "negative"},
		{"POST", "/v1/tokens", `{"account":"ci","role":"root"}`, 400, "role is admin or metrics"},
		{"POST", "/v1/tokens", `{"account":"ci","role":"admin","names":["x"]}`, 400, "opens no tunnels"},
		{"POST", "/v1/tokens", `{"account":"ci","role":"metrics","max_tunnels":1}`, 400, "opens no tunnels"},
		{"POST", "/v1/tokens", `{"account":"ci","max_exchanges":-1}`, 400, "exchanges is negative"},
		{"POST", "/v1/tokens", `{"account":"ci","requests_per_second":-1}`, 400, "requests a second is negative"},
		{"POST", "/v1/tokens", `{"account":"ci","bytes_per_second":-1}`, 400, "bytes a second is negative"},
		{"POST", "/v1/tokens", `{"account":"ci","bytes_per_second":1e99}`, 400, "request's body"},
		{"DELETE", "/v1/tokens/x", ``, 404, "not found"},
		{"POST", "/v1/trusts", `{"kind":"gitea"}`, 400, "github, gitlab or oidc"},
		{"POST", "/v1/trusts", `{"kind":"github","subject":"repo:acme/*"}`, 400, "for one repository"},
		{"POST", "/v1/trusts", `{"id":"x"}`, 400, "id"},
		{"POST", "/v1/trusts", `{"pins":[]}`, 400, "request's body"},
		{"DELETE", "/v1/trusts/x", ``, 404, "not found"},
		{"PUT", "/v1/names/x", `{}`, 400, "a label has"},
		{"PUT", "/v1/names/x", `{"account":"ci"}]`, 400, "more than one"},
		{"PUT", "/v1/names/A.b", `{"account":"ci"}`, 400, "a name has"},
		{"DELETE", "/v1/names/x", ``, 404, "not found"},
		{"DELETE", "/v1/tunnels/x", ``, 404, "not found"},
		{"PUT", "/v1/domains/app.acme.test", `{}`, 400, "add --name"},
		{"PUT", "/v1/domains/app.acme.test", `{"name":"web"}`, 409, "the name web is nobody's"},
		{"PUT", "/v1/domains/web.share.test", `{"name":"web"}`, 400, "the relay's own"},
		{"PUT", "/v1/domains/app.acme.test", `{"name":"web","token":"x"}`, 400, "token"},
		{"DELETE", "/v1/domains/app.acme.test", ``, 404, "not found"},
	}
	for _, tt := range tests {
		w := ask(h, tt.method, tt.path, tt.body)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s %.60s: %d %s", tt.method, tt.path, tt.body, w.Code, w.Body)
		}
	}
	if w := ask(h, "GET", "/v1/tokens", ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != "[]" {
		t.Errorf("tokens: %d %s", w.Code, w.Body)
	}
	for path, status := range map[string]int{"/": 404, "/v1/": 404, "/v1/tunnels": 404, "/metrics": 404, "/debug/pprof/heap": 404} {
		if w := ask(h, "GET", path, ""); w.Code != status {
			t.Errorf("GET %s: %d", path, w.Code)
		}
	}
}

func TestTables(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.Local)
	var b strings.Builder
	write := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("\n")
	}
	write(WriteTokens(&b, []account.Token{
		{ID: "0123456789abcdef", Account: "ci", Names: []string{"pr-*", "web"}, Created: now, Expires: now.Add(time.Hour), MaxTunnels: 3,
			MaxExchanges: 50, RequestsPerSecond: 200, BytesPerSecond: 10 << 20},
		{ID: "fedcba9876543210", Account: "default", Created: now},
		{ID: "00000000000000ff", Account: "old", Created: now.Add(-48 * time.Hour), Expires: now, BytesPerSecond: 1500},
		{ID: "0000000000000fff", Account: "ops", Role: account.RoleAdmin, Created: now},
	}, now))
	write(WriteTrusts(&b, []account.Trust{
		{ID: "0123456789abcdef", Account: "ci", Kind: account.KindGitHub, Issuer: "https://a.example.com", Subject: "repo:acme/web", Names: []string{"pr-*"}, Created: now, BytesPerSecond: 1 << 20,
			Pins: map[string]string{"repository_id": "7", "repository_owner_id": "1"}},
		{ID: "fedcba9876543210", Account: "ci", Kind: account.KindGitHub, Issuer: "https://a.example.com", Subject: "repo:acme/api", MaxTunnels: 3, Created: now},
		{ID: "00000000000000ff", Account: "old", Kind: account.KindGitLab, Issuer: "https://b.example.com", Subject: "project_path:a/b", Created: now.Add(-48 * time.Hour),
			Pins: map[string]string{"project_id": "7"}},
		{ID: "00000000000000fe", Account: "x", Kind: account.KindOIDC, Issuer: "https://c.example.com", Subject: "x/*", Created: now.Add(-48 * time.Hour)},
	}, now))
	write(WriteNames(&b, []route.Status{
		{Name: account.Name{Name: "web", Account: "ci"}, Agent: "192.0.2.1:5000", Since: now.Add(-90 * time.Second)},
		{Name: account.Name{Name: "kept", Account: "acme", Reserved: true, Left: now.Add(-3 * time.Hour)}},
		{Name: account.Name{Name: "old", Account: "acme", Left: now.Add(-72 * time.Hour)}},
	}, now))
	write(WriteTunnels(&b, []route.Status{
		{Name: account.Name{Name: "web", Account: "ci"}, Agent: "192.0.2.1:5000", Since: now.Add(-90 * time.Second), Live: 12},
	}, now))
	write(WriteTunnels(&b, nil, now))
	write(WriteDomains(&b, []domain.Status{
		{Domain: account.Domain{Domain: "app.acme.test", Name: "web", Account: "acme", Verified: now}},
		{Domain: account.Domain{Domain: "new.test", Name: "web", Account: "acme"}, Reason: "it has no CNAME"},
		{Domain: account.Domain{Domain: "old.test", Name: "web", Account: "acme", Verified: now, Doubted: now}, Reason: "it has no CNAME"},
		{Domain: account.Domain{Domain: "zoo.test", Name: "web", Account: "acme", Verified: now}, Problem: "it is lost"},
	}))
	const want = `ID                LABEL    NAMES     TUNNELS  EXCHANGES  REQUESTS/S  BYTES/S  CREATED           EXPIRES
0123456789abcdef  ci       pr-*,web  3        50         200         10MiB    2030-01-02 03:04  2030-01-02 04:04
fedcba9876543210  default  *         any      any        any         any      2030-01-02 03:04  never
00000000000000ff  old      *         any      any        any         1500     2029-12-31 03:04  2030-01-02 03:04 (expired)
0000000000000fff  ops      (admin)   none     none       none        none     2030-01-02 03:04  never

ID                LABEL  ISSUER                 SUBJECT           NAMES  TUNNELS  EXCHANGES  REQUESTS/S  BYTES/S  PINNED TO
0123456789abcdef  ci     https://a.example.com  repo:acme/web     pr-*   any      any        any         1MiB     repository_id=7,repository_owner_id=1
fedcba9876543210  ci     https://a.example.com  repo:acme/api     *      3        any        any         any      the first until 2030-01-03 03:04
00000000000000ff  old    https://b.example.com  project_path:a/b  *      any      any        any         any      project_id=7,nothing more: it was not used by 2030-01-01 03:04
00000000000000fe  x      https://c.example.com  x/*               *      any      any        any         any      subject

NAME  LABEL  RESERVED  HELD
web   ci     no        by 192.0.2.1:5000
kept  acme   yes       by nobody for 3 h
old   acme   no        by nobody for 3 days

NAME  LABEL  AGENT           FOR    OPEN
web   ci     192.0.2.1:5000  1 min  12

NAME  LABEL  AGENT  FOR  OPEN

DOMAIN         NAME  LABEL  VERIFIED
app.acme.test  web   acme   2030-01-02 03:04
new.test       web   acme   no: it has no CNAME
old.test       web   acme   2030-01-02 03:04, but it has no CNAME
zoo.test       web   acme   2030-01-02 03:04, but it is lost

`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
