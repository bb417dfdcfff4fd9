//go:build linux

package deploy

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What README.md says can be done, one after the other, and is so then. Fronts and
// Prometheus are for testdata/clients.
func TestReadme(t *testing.T) {
	t.Parallel()
	r := &readme{site: newSite(t), t: t, tokens: make(map[string]string)}
	r.all = commands(t, filepath.Join(tree, "README.md"), "nginx", "haproxy", "yaml", "mermaid", "text")
	r.others = append(r.others, "make test", "make -n test") // that runs this
	r.delegate(r.ports.addr("dns"))
	follow(t, r.all, r.ready, []step{
		{"share http 3000", r.inside},
		{"curl -i ", r.down},
		{"go run . http", r.source},
		{"cat > share.yaml", r.file},
		{"share config check", r.says("share.yaml: 2 tunnels")},
		{"share up", r.up},
		{"make test", r.says(`go test .*\./testdata/deploy\b`)},
		{"export SHARE_TOKEN=", r.export},
		{"share http 8080 --relay", r.remote},
		{"share login", r.login},
		{"share whoami", r.says(`(?m)^https://share\.example\.com +\S+ +- +/.*/\.config/share/credentials\.json$`)},
		{"share logout", r.says("^logged out of https://" + domain)},
		{"share http 8080 --relay share.example.com --name pr-12", r.preview},
		{"share http 8080 --detach", r.detach},
		{"share ls", r.says(`(?m)^\w+ +http://\w+\.localhost:\d+ +localhost:\d+ +online `)},
		{"share url", r.says(`^http://\w+\.localhost:\d+\n$`)},
		{"share logs", r.says("(?m) msg=ready ")},
		{"share inspect", r.says(`"state": "online"`)},
		{"share stop", r.says("^stopped ")},
		{"share doctor", r.says(`(?m)^relay +(ok|warning) +none is named`)},
		{"share relay --https", r.files},
		{"share relay --http ", r.front},
		{"share relay --domain", r.obtaining},
		{"share relay token create", r.create},
		{"share relay token ls", r.says(`(?m)^[0-9a-f]+ +ci +pr-\* +20 `)},
		{"share relay token revoke", r.revoke},
		{"share relay name reserve", r.says("web is reserved for ci")},
		{"share relay name ls", r.says("(?m)^web +ci +yes")},
		{"share relay name release", r.says("web is released")},
		{"share relay tunnel ls", r.tunnels},
		{"share relay tunnel kick", r.kick},
		{"share relay backup", r.says("relay.jsonl has all that the relay keeps")},
		{"share relay domain add", r.says(customer + " is verified, and leads to web")},
		{"share relay domain ls", r.domains},
		{"share relay domain rm", r.says(customer + " leads to web no more")},
		{"share relay trust github", r.says("in as github:acme/web, pinned to the ids of the first that comes")},
		{"share relay trust gitlab", r.says("in as web, pinned to the ids of the first that comes")},
		{"share relay trust oidc", r.says("in as ci\n")},
		{"share relay trust ls", r.trusts},
		{"share relay trust rm", r.distrust},
		{"export SHARE_ADMIN_TOKEN=", r.operate},
		{"share relay tunnel ls --admin", r.says("(?m)^NAME +LABEL ")},
		{"curl -H", r.says(`"name":"web"`)},
	})
}

// A readme is how far its test has come.
type readme struct {
	*site
	t      *testing.T
	all    []command
	tokens map[string]string // by label
	agent  *process          // the last
}

// says is a command that ends well, and what is to match what it writes.
func (r *readme) says(re string) func(command) {
	return func(c command) {
		if out := r.run(r.t, c.text); !regexp.MustCompile(re).MatchString(out) {
			r.t.Errorf("%s: got %q, want what matches %s", c.text, out, re)
		}
	}
}

// inside shares a program with a relay in the process, until that has stopped.
func (r *readme) inside(c command) {
	program := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "target:", r.URL.Path)
	}))
	_, port, _ := strings.Cut(program.Listener.Addr().String(), ":")
	r.others = append(r.others, "http 3000", "http "+port, "localhost:3000", "localhost:"+port)
	r.agent = r.share(r.t, c.text, "", nil)
	program.Close()
}

// down asks for what that program had, and compares what comes with what the
// document shows.
func (r *readme) down(c command) {
	tunnel := regexp.MustCompile(`http://\w+\.localhost:7070`)
	if !tunnel.MatchString(c.text) {
		r.t.Fatalf("%s: that is no tunnel's URL", c.text)
	}
	got := r.run(r.t, tunnel.ReplaceAllString(c.text, r.agent.match(r.t, shared)[1]))
	r.agent.stop(r.t)
	// Other fields stand between those that are shown.
	want := regexp.QuoteMeta(r.here(strings.TrimSpace(c.output)))
	want = strings.ReplaceAll(want, "\n", "\n(?:.*\n)*?")
	want = regexp.MustCompile(`\b[0-9a-f]{16}\b`).ReplaceAllString(want, "[0-9a-f]{16}")
	want = strings.ReplaceAll(want, "1 s ago", `(?:just now|\d+ s ago)`)
	if !regexp.MustCompile(want).MatchString(strings.ReplaceAll(got, "\r\n", "\n")) {
		r.t.Errorf("%s: got\n%s\nwant\n%s", c.text, got, c.output)
	}
}

// stopAll stops at the test's end what then runs in the background: nothing, if all
// went well.
func (r *readme) stopAll() {
	r.t.Cleanup(func() { r.command(context.Background(), "", "share stop --all").Run() })
}

// detach shares in the background.
func (r *readme) detach(c command) {
	r.stopAll()
	r.says(`(?m)^http://\w+\.localhost:\d+$`)(c)
}

// source shares with what is compiled for that, which has no bound.
func (r *readme) source(c command) {
	build := r.command(r.t.Context(), "", "go run . version")
	if out, err := build.CombinedOutput(); err != nil {
		r.t.Fatalf("%v\n%s", err, out)
	}
	r.share(r.t, c.text, "", nil).stop(r.t)
}

// file writes a file of tunnels, of which one is the program that is shared.
func (r *readme) file(c command) {
	_, port, _ := strings.Cut(r.target.Listener.Addr().String(), ":")
	r.others = append(r.others, "target: 8080", "target: "+port)
	r.run(r.t, c.text)
}

// up shares what that file says, which is of no concern afterwards.
func (r *readme) up(c command) {
	p := r.start(r.t, c.text)
	expect(r.t, p.match(r.t, regexp.MustCompile(`(?m)^web (http://\S+)$`))[1]+"/x", nil, "target: /x")
	p.stop(r.t)
	if err := os.Remove(filepath.Join(r.root, "work", "share.yaml")); err != nil {
		r.t.Fatal(err)
	}
}

// export has a token of a new relay, as one that is set up further below.
func (r *readme) export(c command) {
	for _, other := range r.all {
		if strings.HasPrefix(other.text, "share relay --https") {
			r.files(other)
		}
	}
	token := secret.FindString(r.relay.match(r.t, paste)[1])
	r.run(r.t, strings.Replace(c.text, "…", token, 1))
}

func (r *readme) remote(c command) {
	host := ""
	if m := regexp.MustCompile(`# https://(\S+)`).FindStringSubmatch(c.text); m != nil {
		host = m[1]
	}
	r.share(r.t, c.text, host, r.own).stop(r.t)
}

// login has the token on stdin, and shares by it alone.
func (r *readme) login(c command) {
	token := secret.FindString(r.relay.match(r.t, paste)[1])
	r.says("^logged in to https://" + domain + " as ")(command{text: "echo " + token + " | " + c.text})
	r.share(r.t, "share http 8080", "", r.own).stop(r.t)
}

// preview runs the step of a job, which ends while its tunnel goes on.
func (r *readme) preview(c command) {
	token := secret.FindString(r.relay.match(r.t, paste)[1])
	r.stopAll()
	step := start(r.t, r.command(context.Background(), "export SHARE_TOKEN="+token+"\n", c.text))
	if code := step.ended(r.t); code != 0 {
		r.t.Fatalf("%s: got exit code %d, want 0", c.text, code)
	}
	got, want := step.match(r.t, shared)[1], r.url("pr-12."+domain)
	if got != want {
		r.t.Errorf("%s: got the URL %q, want %q", c.text, got, want)
	}
	expect(r.t, want+"/x", r.own, "target: /x")
	r.says("^stopped pr-12 ")(command{text: "share stop pr-12"})
}

func (r *readme) files(c command) {
	r.serve(r.t, c.text)
	r.certified(r.t, r.own, true)
}

func (r *readme) front(c command) {
	r.serve(r.t, c.text)
	_, port, _ := strings.Cut(r.ports.addr("http"), ":")
	expect(r.t, "http://"+domain+":"+port+"/", nil, "live at https://NAME."+domain)
}

func (r *readme) obtaining(c command) {
	r.serve(r.t, c.text)
	r.certified(r.t, r.public, true)
}

// create makes a token, and uses those that are for agents.
func (r *readme) create(c command) {
	label := regexp.MustCompile(`--label (\S+)`).FindStringSubmatch(c.text)[1]
	token := secret.FindString(r.run(r.t, c.text))
	if token == "" {
		r.t.Fatalf("%s: there is no token", c.text)
	}
	r.tokens[label] = token
	switch label {
	case "ci":
		r.agent = r.as("SHARE_TOKEN="+token, "--name pr-1", "pr-1."+domain)
	case "prometheus":
		r.says("(?m)^share_tunnels 0$")(command{text: `curl -fsS -H "Authorization: Bearer ` + token + `" https://` + domain + ":9443/metrics"})
	}
}

// as shares as whom the environment says, whatever the relay's certificate.
func (r *readme) as(env, flags, host string) *process {
	roots := r.own.Clone()
	roots.AppendCertsFromPEM(r.ca.Root)
	return r.share(r.t, env+" share http 8080 --relay "+domain+" "+flags, host, roots)
}

// gone takes away what let the agent in, which is what list has in the line that
// matches re: the agent is not let in again.
func (r *readme) gone(c command, list, re string) {
	m := regexp.MustCompile(re).FindStringSubmatch(r.run(r.t, list))
	if m == nil {
		r.t.Fatalf("%s: nothing matches %s", list, re)
	}
	r.run(r.t, strings.Replace(c.text, " ID", " "+m[1], 1))
	if code := r.agent.ended(r.t); code != 4 {
		r.t.Errorf("%s: the agent ended with %d, want 4", c.text, code)
	}
}

func (r *readme) revoke(c command) {
	r.gone(c, "share relay token ls", `(?m)^([0-9a-f]+) +ci `)
}

func (r *readme) tunnels(c command) {
	r.agent = r.as("SHARE_TOKEN="+r.tokens["web"], "--name web", "web."+domain)
	r.says("(?m)^web +web ")(c)
}

func (r *readme) kick(c command) {
	r.says("the tunnel web is ended")(c)
	if code := r.agent.ended(r.t); code != 5 {
		r.t.Errorf("%s: the agent ended with %d, want 5", c.text, code)
	}
}

// domains sees that the domain leads to the name, and has a certificate.
func (r *readme) domains(c command) {
	r.says("(?m)^" + customer + " +web +web +[0-9]")(c)
	r.as("SHARE_TOKEN="+r.tokens["web"], "--domain "+customer, customer).stop(r.t)
}

func (r *readme) trusts(c command) {
	for _, has := range []string{" github:acme/web ", " https://gitlab.com ", " https://" + issuer + " "} {
		r.says(has)(c)
	}
	token := r.issuer.Token(map[string]any{"sub": "job/1", "aud": "https://" + domain})
	r.agent = r.as("SHARE_ID_TOKEN="+token, "--name job", "job."+domain)
}

func (r *readme) distrust(c command) {
	r.gone(c, "share relay trust ls", `(?m)^([0-9a-f]+) +ci +https://`+issuer+" ")
}

func (r *readme) operate(c command) {
	r.run(r.t, strings.Replace(c.text, "shr_…", r.tokens["ops"], 1))
}
