package domain

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"share/relay/account"
	"share/relay/route"
	"share/relay/store"
	"share/testdata/pebble"
)

// open returns the domains of an empty store, and the DNS that they look at. The
// name web is acme's, and other another's.
func open(t *testing.T) (*Domains, *pebble.Resolver) {
	t.Helper()
	s, err := store.OpenBolt(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	dns := &pebble.Resolver{CNAMEs: make(map[string]string), TXTs: make(map[string][]string), Hosts: map[string]string{"web.share.test": "192.0.2.1"}}
	if _, err := dns.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dns.Close)
	accounts := account.New(s)
	names := route.NewRegistry()
	names.Accounts = accounts
	for name, owner := range map[string]string{"web": "acme", "api": "acme", "other": "other"} {
		if err := names.Reserve(t.Context(), name, owner); err != nil {
			t.Fatal(err)
		}
	}
	return New(Config{Accounts: accounts, Names: names, Own: "share.test", Resolver: dns.Client()}), dns
}

func TestAddRefuses(t *testing.T) {
	d, _ := open(t)
	if _, err := d.Add(t.Context(), "app.acme.test", "web"); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		domain, name string
		want         string
		conflict     bool
	}{
		{"", "web", "no domain such as", false},
		{"acme", "web", "no domain such as", false},
		{"192.0.2.1", "web", "no domain such as", false},
		{"*.acme.test", "web", "no domain such as", false},
		{"a..test", "web", "no domain such as", false},
		{"app_1.acme.test", "web", "no domain such as", false},
		{strings.Repeat("x.", 127) + "test", "web", "no domain such as", false},
		{"share.test", "web", "is the relay's own", false},
		{"web.share.test.", "web", "is the relay's own", false},
		{"app.acme.test", "", "add --name", false},
		{"app.acme.test", "A b", "add --name", false},
		{"new.acme.test", "free", "the name free is nobody's", true},
		{"APP.acme.test", "other", "the domain app.acme.test is acme's, and leads to web", true},
	}
	for _, tt := range tests {
		_, err := d.Add(t.Context(), tt.domain, tt.name)
		_, conflict := errors.AsType[*account.ConflictError](err)
		_, invalid := errors.AsType[*account.InvalidError](err)
		if err == nil || conflict != tt.conflict || invalid == tt.conflict || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60q to %q: got %v, want %s", tt.domain, tt.name, err, tt.want)
		}
	}
	if got := d.List(); len(got) != 1 {
		t.Errorf("there are %v", got)
	}
}

func TestVerify(t *testing.T) {
	d, dns := open(t)
	dns.Set(func() {
		dns.CNAMEs["cname.acme.test"] = "web.share.test"
		dns.CNAMEs["else.acme.test"] = "host.acme.test"
		dns.Hosts["host.acme.test"] = "192.0.2.2"
		dns.Hosts["plain.acme.test"] = "192.0.2.2"
	})
	reasons := map[string]string{
		"cname.acme.test": "",
		"else.acme.test":  "its CNAME is host.acme.test, and _share.else.acme.test: there is no such name",
		"plain.acme.test": "it has no CNAME, and _share.plain.acme.test: there is no such name",
		"none.acme.test":  "there is no such name, and _share.none.acme.test: there is no such name",
	}
	for domain, want := range reasons {
		s, err := d.Add(t.Context(), domain, "web")
		if err != nil || s.Reason != want || s.Verified.IsZero() != (want != "") || s.Target != "web.share.test" {
			t.Errorf("%s: got %+v, %v; want %q", domain, s, err, want)
		}
		if got := d.Lookup([]byte(domain)); (got != nil) != (want == "") {
			t.Errorf("%s leads to %v", domain, got)
		}
	}

	// By TXT, but by the right one only; added again, a domain keeps its token.
	before, _ := d.Find("plain.acme.test")
	dns.Set(func() { dns.TXTs["_share.plain.acme.test"] = []string{"wrong"} })
	s, err := d.Add(t.Context(), "Plain.acme.test.", "web")
	if err != nil || !s.Verified.IsZero() || s.Token != before.Token || !strings.Contains(s.Reason, "is not the token") {
		t.Errorf("with another's token: %+v, %v", s, err)
	}
	dns.Set(func() { dns.TXTs["_share.plain.acme.test"] = []string{"wrong", before.Token} })
	if s, err = d.Add(t.Context(), "plain.acme.test", "web"); err != nil || s.Verified.IsZero() {
		t.Errorf("with its token: %+v, %v", s, err)
	}

	// For another name it has to be verified anew.
	if s, err = d.Add(t.Context(), "cname.acme.test", "api"); err != nil || !s.Verified.IsZero() || s.Name != "api" {
		t.Errorf("for another name: %+v, %v", s, err)
	}
	if d.Lookup([]byte("cname.acme.test")) != nil {
		t.Error("a domain leads to a name that it was not verified for")
	}
}

// A name that was released is reserved again.
func TestAddReserves(t *testing.T) {
	d, _ := open(t)
	if _, err := d.Add(t.Context(), "app.acme.test", "web"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.cfg.Names.Bind(t.Context(), route.Claim{Account: "acme", Name: "web", Holder: "test"}); err != nil {
		t.Fatal(err)
	}
	if held, err := d.cfg.Names.Release(t.Context(), "web"); err != nil || !held {
		t.Fatalf("held %t, %v", held, err)
	}
	if _, err := d.Add(t.Context(), "app.acme.test", "web"); err != nil {
		t.Fatal(err)
	}
	names, err := d.cfg.Accounts.Names(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(names, func(n account.Name) bool { return n.Name == "web" && n.Reserved }) {
		t.Errorf("the names are %+v", names)
	}
}

// What was verified outlives a restart; what was not is looked at by Run.
func TestRun(t *testing.T) {
	d, dns := open(t)
	dns.Set(func() { dns.CNAMEs["old.acme.test"] = "web.share.test" })
	for _, domain := range []string{"old.acme.test", "new.acme.test"} {
		if _, err := d.Add(t.Context(), domain, "web"); err != nil {
			t.Fatal(err)
		}
	}
	dns.Set(func() {
		delete(dns.CNAMEs, "old.acme.test")
		dns.CNAMEs["new.acme.test"] = "web.share.test"
	})
	again := New(d.cfg)
	if err := again.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again.Lookup([]byte("old.acme.test")) == nil || again.Lookup([]byte("new.acme.test")) != nil {
		t.Errorf("after a restart there are %+v", again.List())
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		again.Run(ctx)
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); again.Lookup([]byte("new.acme.test")) == nil; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("it is not verified")
		}
	}
	stop()
	<-ended
	if again.Lookup([]byte("old.acme.test")) == nil {
		t.Error("one that was verified is so no more")
	}
}

func TestRemove(t *testing.T) {
	d, dns := open(t)
	dns.Set(func() { dns.CNAMEs["app.acme.test"] = "web.share.test" })
	if _, err := d.Add(t.Context(), "app.acme.test", "web"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Remove(t.Context(), "other.test"); !errors.Is(err, account.ErrUnknown) {
		t.Errorf("one that there is not: %v", err)
	}
	if one, err := d.Remove(t.Context(), "APP.acme.test"); err != nil || one.Name != "web" {
		t.Errorf("got %v, %v", one, err)
	}
	if _, ok := d.Find("app.acme.test"); ok || d.Lookup([]byte("app.acme.test")) != nil {
		t.Error("it is still there")
	}
	again := New(d.cfg)
	if err := again.Load(t.Context()); err != nil || len(again.List()) > 0 {
		t.Errorf("after a restart: %v, %v", again.List(), err)
	}
}

func TestBounds(t *testing.T) {
	d, _ := open(t)
	for i := range maxDomains {
		if _, err := d.add(t.Context(), fmt.Sprintf("x%d.test", i), "web"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Add(t.Context(), "more.test", "web"); err == nil || !strings.Contains(err.Error(), "100 domains") {
		t.Errorf("one more: %v", err)
	}
	if _, err := d.Add(t.Context(), "more.test", "other"); err != nil {
		t.Errorf("another account's first: %v", err)
	}
}
