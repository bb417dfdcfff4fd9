package domain

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"share/relay/account"
)

// A verified domain whose owner does not agree any more leads nowhere, but not at
// once, and not because the DNS is silent.
func TestDoubt(t *testing.T) {
	d, resolver := open(t)
	agree := func(to string) {
		resolver.Set(func() { resolver.CNAMEs["app.acme.test"] = to })
	}
	agree("web.share.test")
	if _, err := d.Add(t.Context(), "app.acme.test", "web"); err != nil {
		t.Fatal(err)
	}
	look := func() account.Domain {
		t.Helper()
		one, _ := d.Find("app.acme.test")
		one, err := d.verify(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		if found, _ := d.Find("app.acme.test"); found != one {
			t.Errorf("it is %+v, and said to be %+v", found, one)
		}
		return one
	}
	leads := func(want bool) {
		t.Helper()
		if got := d.Lookup([]byte("app.acme.test")) != nil; got != want {
			t.Errorf("it leads to its name: %t", got)
		}
	}
	if one := look(); one.Verified.IsZero() || !one.Doubted.IsZero() {
		t.Errorf("looked at again: %+v", one)
	}
	agree("other.share.test")
	first := look()
	if first.Verified.IsZero() || first.Doubted.IsZero() {
		t.Errorf("its owner does not agree: %+v", first)
	}
	leads(true)
	if got := d.List(); !strings.Contains(got[0].Reason, "its CNAME is other.share.test") {
		t.Errorf("the reason is %q", got[0].Reason)
	}
	again := New(d.cfg)
	if err := again.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if one, _ := again.Find("app.acme.test"); !one.Doubted.Equal(first.Doubted) {
		t.Errorf("after a restart it is %+v", one)
	}
	agree("web.share.test")
	if one := look(); one.Verified.IsZero() || !one.Doubted.IsZero() {
		t.Errorf("its owner agrees again: %+v", one)
	}

	// It has not agreed for a day.
	agree("other.share.test")
	one := look()
	one.Doubted = one.Doubted.Add(-doubtFor)
	d.changing.Lock()
	err := d.keep(t.Context(), one)
	d.changing.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	silent := d.cfg.Resolver
	d.cfg.Resolver = failing(t, dns.RcodeServerFailure)
	if one := look(); one.Verified.IsZero() || one.Doubted.IsZero() {
		t.Errorf("while the DNS fails: %+v", one)
	}
	leads(true)
	d.cfg.Resolver = silent
	if one := look(); !one.Verified.IsZero() || !one.Doubted.IsZero() {
		t.Errorf("after a day: %+v", one)
	}
	leads(false)
	agree("web.share.test")
	if one := look(); one.Verified.IsZero() {
		t.Errorf("its owner agrees after all: %+v", one)
	}
	leads(true)
}

// Domains are looked at as often as it matters.
func TestDue(t *testing.T) {
	d, _ := open(t)
	now := time.Now()
	tests := []struct {
		about           string
		added, verified time.Duration // ago; not verified if 0
		looked          time.Duration // ago; never if 0
		want            bool
	}{
		{"new", time.Second, 0, 0, true},
		{"looked at just now", time.Second, 0, time.Second, false},
		{"looked at a minute ago", time.Hour, 0, lookEvery, true},
		{"not new", 2 * newFor, 0, 2 * lookEvery, false},
		{"not new, for an hour", 2 * newFor, 0, rareEvery, true},
		{"verified", time.Hour, time.Hour, 2 * lookEvery, false},
		{"verified, for an hour", time.Hour, time.Hour, rareEvery, true},
		{"verified, after a start", 2 * newFor, newFor, 0, true},
	}
	for _, tt := range tests {
		one := account.Domain{Domain: "app.acme.test", Added: now.Add(-tt.added)}
		if tt.verified > 0 {
			one.Verified = now.Add(-tt.verified)
		}
		delete(d.looks, one.Domain)
		if tt.looked > 0 {
			d.looks[one.Domain] = look{at: now.Add(-tt.looked)}
		}
		if got := d.due(one, now); got != tt.want {
			t.Errorf("%s: due %t", tt.about, got)
		}
	}
}

// A domain that is to lead to another name is new again: its owner has to agree, and
// waits for it.
func TestMoved(t *testing.T) {
	d, _ := open(t)
	if _, err := d.Add(t.Context(), "app.acme.test", "web"); err != nil {
		t.Fatal(err)
	}
	one, _ := d.Find("app.acme.test")
	one.Added = one.Added.Add(-2 * newFor)
	d.changing.Lock()
	err := d.keep(t.Context(), one)
	d.changing.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Add(t.Context(), "app.acme.test", "api"); err != nil {
		t.Fatal(err)
	}
	if one, _ = d.Find("app.acme.test"); !d.due(one, time.Now().Add(lookEvery)) {
		t.Errorf("it is not looked at a minute later: %+v", one)
	}
}
