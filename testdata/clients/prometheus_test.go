package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"share/testdata/bench/rig"
)

const (
	alerts    = "../../relay/deploy/alerts.yml"
	dashboard = "../../relay/deploy/dashboard.json"
)

// TestRules has promtool check the alerts, and whether they fire when they
// should.
func TestRules(t *testing.T) {
	promtool := tool(t, "promtool", "prometheus")
	run(t, ".", promtool, "check", "rules", alerts)
	run(t, ".", promtool, "test", "rules", "rules_test.yml")
	rules, err := os.ReadFile(alerts)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("rules_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllSubmatch(rules, -1) {
		if !strings.Contains(string(tests), fmt.Sprintf("%q", m[1])) {
			t.Errorf("nothing says whether %s fires", m[1])
		}
	}
}

// A query is one of a dashboard or an alert.
type query struct{ where, expr string }

// TestPrometheus runs every query of dashboard and alerts in a Prometheus that
// scrapes a relay under load, as README.md has it: each has something to show.
func TestPrometheus(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	prometheus := tool(t, "prometheus", "prometheus")
	relay := busyRelay(t)
	dir, addr := t.TempDir(), freeAddr(t)
	rules, err := filepath.Abs(alerts)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "prometheus.yml")
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\n", rules) +
		within(t, readmeBlock(t, "yaml", "scrape_configs:"), "scheme: https", "scheme: http", "/etc/prometheus/share.token", relay.token, "share.example.com:9443", relay.admin)
	launch(t, file, config, addr, prometheus, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	p := promAPI{t, "http://" + addr}
	p.awaitReady()
	relay.check(t)
	queries := append(p.rules(), panels(t)...)
	if len(queries) < 40 {
		t.Errorf("there are %d queries alone", len(queries))
	}
	deadline := time.Now().Add(time.Minute)
	for _, q := range queries {
		p.await(q, deadline)
	}
}

// A watchedRelay is a relay that Prometheus scrapes: where, and the file of the
// token with which.
type watchedRelay struct{ admin, token string }

// check has promtool look at the metrics as they are written.
func (r watchedRelay) check(t *testing.T) {
	t.Helper()
	token, err := os.ReadFile(r.token)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+string(token))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cmd := exec.CommandContext(t.Context(), tool(t, "promtool", "prometheus"), "check", "metrics")
	cmd.Stdin = resp.Body
	if out, err := cmd.CombinedOutput(); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("metrics: %d, %v\n%s", resp.StatusCode, err, out)
	}
}

// busyRelay runs a relay and agents, and has visitors meet all that can happen,
// until the test ends.
func busyRelay(t *testing.T) watchedRelay {
	t.Helper()
	bin, dir := share(t), t.TempDir()
	cert, key, err := rig.WriteCert(dir, "up.localhost", "down.localhost")
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	relay, err := rig.StartRelay(t.Context(), bin, "--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key,
		"--data", data, "--admin", "127.0.0.1:0", "--access-log", filepath.Join(dir, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	closeWith(t, "relay", relay.Process)
	token := func(label, role string) (file string) {
		args := []string{"relay", "token", "create", "--data", data, "--label", label}
		if role != "" {
			args = append(args, "--role", role)
		}
		secret := regexp.MustCompile(`(?m)^shr_\w+$`).FindString(run(t, dir, bin, args...))
		file = filepath.Join(dir, label)
		if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	agents, watcher := token("ci", ""), token("watcher", "metrics")
	up := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "part")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, n)
	}))
	for name, target := range map[string]string{"up": up.http, "down": freeAddr(t)} {
		agent, err := rig.StartAgent(t.Context(), bin, filepath.Join(dir, name+".state"), target,
			"--relay", "https://"+relay.Doors["https"], "--relay-ca", cert, "--token-file", agents, "--name", name)
		if err != nil {
			t.Fatalf("%v\nrelay: %s", err, relay.Log())
		}
		closeWith(t, "agent", agent.Process)
	}
	visit(t, []place{
		{relay.Doors["http"], relay.Doors["https"], "up.localhost", cert},
		{relay.Doors["http"], relay.Doors["https"], "down.localhost", cert},
		{relay.Doors["http"], relay.Doors["https"], "nobody.localhost", cert},
	})
	return watchedRelay{relay.Doors["admin"], watcher}
}

// visit has visitors at places until the test ends.
func visit(t *testing.T, places []place) {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, p := range places {
		for _, secure := range []bool{false, true} {
			client, base := p.client(t, secure), p.url(secure)
			wg.Go(func() {
				tick := time.NewTicker(20 * time.Millisecond)
				defer tick.Stop()
				for n := 0; ; n++ {
					path := "/"
					if n%5 == 0 {
						path = "/cut"
					}
					req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path, strings.NewReader("body"))
					if err != nil {
						return
					}
					if resp, err := client.Do(req); err == nil {
						// How it ends is the metrics' to say.
						_, _ = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
					select {
					case <-tick.C:
					case <-ctx.Done():
						return
					}
				}
			})
		}
	}
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
}

// panels are the queries of the dashboard, with what Grafana would put into
// them.
func panels(t *testing.T) (all []query) {
	t.Helper()
	b, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	ids := make(map[int]bool)
	fill := strings.NewReplacer("$__rate_interval", "10s", "$job", "share", "$instance", ".*")
	for _, p := range d.Panels {
		if p.Title == "" || ids[p.ID] || len(p.Targets) == 0 {
			t.Errorf("panel %d %q has no title, no query or another's id", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			expr := fill.Replace(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("panel %q: nothing fills in %q", p.Title, expr)
			}
			all = append(all, query{"panel " + p.Title, expr})
		}
	}
	return all
}

// A promAPI is Prometheus's API.
type promAPI struct {
	t    *testing.T
	base string
}

func (p promAPI) awaitReady() {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(15 * time.Second); ; <-tick.C {
		if resp, err := http.Get(p.base + "/-/ready"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatal("Prometheus is not ready")
		}
	}
}

func (p promAPI) get(path string, into any) {
	p.t.Helper()
	resp, err := http.Get(p.base + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %d %.500s, %v", path, resp.StatusCode, b, err)
	}
}

// comparison is what an alert turns a value into itself or into nothing with.
var comparison = regexp.MustCompile(` (==|!=|>=|<=|>|<) `)

// rules are the queries of the alerts, as far as they can be asked of a relay
// that is well: whether they fire, as 0 or 1.
func (p promAPI) rules() (all []query) {
	p.t.Helper()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Query string }
			}
		}
	}
	p.get("/api/v1/rules", &answer)
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			if !comparison.MatchString(r.Query) {
				p.t.Errorf("alert %s compares nothing: %s", r.Name, r.Query)
			}
			all = append(all, query{"alert " + r.Name, comparison.ReplaceAllString(r.Query, " $1 bool ")})
		}
	}
	if len(all) == 0 {
		p.t.Error("there are no alerts")
	}
	return all
}

// await asks until there is a number in the answer.
func (p promAPI) await(q query, deadline time.Time) {
	p.t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for last := ""; ; <-tick.C {
		var answer struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		p.get("/api/v1/query?query="+url.QueryEscape(q.expr), &answer)
		for _, r := range answer.Data.Result {
			last = fmt.Sprint(r.Value[1])
			if v, err := strconv.ParseFloat(last, 64); err == nil && v == v {
				return
			}
		}
		if time.Now().After(deadline) {
			p.t.Errorf("%s: %s\nshows nothing; the last value was %q", q.where, q.expr, last)
			return
		}
	}
}
