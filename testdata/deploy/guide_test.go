//go:build linux

package deploy

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the guide says can be done, one after the other, and is so then.
func TestGuide(t *testing.T) {
	t.Parallel()
	g := &guide{server: newServer(t), t: t}
	g.roots = g.public
	g.delegate(g.ports.addr("dns"))
	run := func(c command) { g.run(t, c.text) }
	follow(t, commands(t, filepath.Join(folder, "README.md")), g.ready, []step{
		{"share relay --domain", g.try},
		{"install ", run},
		{"cat >", run},
		{"sed -i ", run},
		{"chgrp ", run},
		{"chmod ", run},
		{"cp ", run},
		{"systemctl daemon-reload", run},
		{"systemctl enable", g.enable},
		{"share relay token create", g.token},
		{"install -m 0600 dns.key", g.update},
		{"install -m 0755 share-dns", g.hook},
		{"groupadd --system share-cert", g.files},
		{"systemctl restart", g.restart},
		{"systemctl kill -s USR2", g.upgrade},
		{"systemctl reload", func(c command) { g.awaits(t, c.text, "msg=reloaded") }},
		{"share relay backup", run},
		{"systemctl stop", run},
		{"share relay restore", run},
		{"systemctl start", g.restored},
	})
	if _, updates := g.primary.Texts(challenge + "."); updates == 0 {
		t.Error("nobody has updated the zone")
	}
	if g.hooked.Load() == 0 {
		t.Error("nobody has run the hook")
	}
}

// A guide is how far its test has come.
type guide struct {
	*server
	t       *testing.T
	laptop  string         // a token
	written []byte         // what Start has written for the relay
	roots   *x509.CertPool // have signed what the relay is to show
	every   bool           // that is for all names
}

// ready lets each block about certificates change what Start has written: what
// others have is taken away, and what was obtained.
func (g *guide) ready(c command) {
	g.server.ready(c)
	if c.heading != "Certificates" || !c.first {
		return
	}
	g.roots, g.every = g.public, false
	g.delegate("")
	etc := filepath.Join(g.root, "etc")
	if err := errors.Join(os.WriteFile(filepath.Join(etc, "share/relay.env"), g.written, 0o600),
		os.RemoveAll(filepath.Join(etc, "systemd/system/share-relay.service.d/dns.conf")),
		os.RemoveAll(filepath.Join(g.root, "var/lib/share-relay/acme"))); err != nil {
		g.t.Fatal(err)
	}
}

// paste is the line that shares the first program at a new relay.
var paste = regexp.MustCompile(`(?m)^ +(SHARE_TOKEN=shr_\w+ share http 8080 --relay \S+)$`)

// try has a relay that nobody has written a file for.
func (g *guide) try(c command) {
	relay := g.serve(g.t, c.text)
	g.certified(g.t, g.roots, true)
	g.share(g.t, relay.match(g.t, paste)[1]+" --name web", "web."+domain, g.roots).stop(g.t)
	relay.stop(g.t)
}

func (g *guide) enable(c command) {
	g.awaits(g.t, c.text, "Its first token")
	g.certified(g.t, g.roots, true)
	var err error
	if g.written, err = os.ReadFile(filepath.Join(g.root, "etc/share/relay.env")); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guide) token(c command) {
	if g.laptop = secret.FindString(g.run(g.t, c.text)); g.laptop == "" {
		g.t.Errorf("%s: there is no token", c.text)
	}
}

// update, hook and files are what the ways begin with to have certificates.
func (g *guide) update(c command) {
	g.every = true
	g.delegate(g.primaryAt)
	g.run(g.t, c.text)
}

func (g *guide) hook(c command) {
	g.every = true
	g.run(g.t, c.text)
}

func (g *guide) files(c command) {
	g.roots, g.every = g.own, true
	g.renew()
	g.run(g.t, c.text)
}

// renew puts a certificate of the operator's, and its key, where the relay reads
// them.
func (g *guide) renew() {
	for from, to := range map[string]string{g.cert: "etc/share/cert.pem", g.key: "etc/share/key.pem"} {
		pem, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(g.root, to), pem, 0o600)
		}
		if err != nil {
			g.t.Fatal(err)
		}
	}
}

// restart is what the ways end with: what is shared has a certificate then, also
// a new one of the operator's.
func (g *guide) restart(c command) {
	g.awaits(g.t, c.text, "door=https")
	g.certified(g.t, g.roots, g.every)
	g.share(g.t, "SHARE_TOKEN="+g.laptop+" share http 8080 --relay "+domain+" --name web", "web."+domain, g.roots).stop(g.t)
	if g.roots == g.own {
		g.certify(g.t)
		g.roots = g.own
		g.renew()
		g.certified(g.t, g.roots, true)
	}
}

func (g *guide) upgrade(c command) {
	g.awaits(g.t, c.text, "took the relay over")
	g.certified(g.t, g.roots, g.every)
}

func (g *guide) restored(c command) {
	g.awaits(g.t, c.text, "door=https")
	g.certified(g.t, g.roots, g.every)
	if out := g.run(g.t, "share relay token ls --data /var/lib/share-relay"); !strings.Contains(out, "laptop") {
		g.t.Errorf("after %s the tokens are %s", c.heading, out)
	}
}
