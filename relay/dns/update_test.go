package dns

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"share/testdata/pebble"
)

func TestUpdate(t *testing.T) {
	key := Key{Name: "share.", Algorithm: dns.HmacSHA256, Secret: "c2VjcmV0"}
	p := &pebble.Primary{Zone: "corp.test.", Key: key.Name, Secret: key.Secret, Algorithm: key.Algorithm}
	addr, err := p.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	u := newUpdater(t, addr, key)
	const at = "_acme-challenge.share.corp.test."
	for _, value := range []string{"one", "two"} {
		if err := u.Present(t.Context(), at, value); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := p.Texts(at); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("the values are %q", got)
	}
	if err := u.Remove(t.Context(), at, "one"); err != nil {
		t.Fatal(err)
	}
	if got, _ := p.Texts(at); !slices.Equal(got, []string{"two"}) {
		t.Errorf("the values are %q", got)
	}

	tests := []struct {
		about string
		key   Key
		at    string
		want  string
	}{
		{"another key", Key{Name: "other.", Algorithm: key.Algorithm, Secret: key.Secret}, at, "it does not take the key other.: BADKEY"},
		{"a wrong secret", Key{Name: key.Name, Algorithm: key.Algorithm, Secret: "d3Jvbmc="}, at, "it does not take the key share.: BADSIG"},
		{"another zone", key, "_acme-challenge.share.test.", "it has no zone that _acme-challenge.share.test. is in"},
	}
	_, before := p.Texts(at)
	for _, tt := range tests {
		err := newUpdater(t, addr, tt.key).Present(t.Context(), tt.at, "three")
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), addr) || strings.Contains(err.Error(), key.Secret) {
			t.Errorf("%s: got %v, want %s", tt.about, err, tt.want)
		}
	}
	if _, after := p.Texts(at); after != before {
		t.Error("an update without the key is taken")
	}
	late := &pebble.Primary{Zone: p.Zone, Key: key.Name, Secret: key.Secret, Algorithm: key.Algorithm, Wrong: dns.RcodeBadTime}
	lateAddr, err := late.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if err := newUpdater(t, lateAddr, key).Present(t.Context(), at, "three"); err == nil || !strings.Contains(err.Error(), "its clock and this machine's are more than 300 s apart") {
		t.Errorf("a clock that is wrong: %v", err)
	}
	p.Close()
	if err := u.Present(t.Context(), at, "four"); err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("nobody listens: %v", err)
	}
}

// A value counts as published when the zone's other servers have it too: those
// that can be found.
func TestUpdateSpreads(t *testing.T) {
	key := Key{Name: "share.", Algorithm: dns.HmacSHA256, Secret: "c2VjcmV0"}
	second := &pebble.Primary{Zone: "corp.test.", Key: key.Name, Secret: key.Secret, Algorithm: key.Algorithm}
	secondAddr, err := second.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first := &pebble.Primary{Zone: second.Zone, Key: key.Name, Secret: key.Secret, Algorithm: key.Algorithm, Servers: []string{"two.test.", "lost.test."}}
	addr, err := first.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	const at = "_acme-challenge.corp.test."
	u := newUpdater(t, addr, key)
	asked := make(chan string, 2)
	u.find = func(_ context.Context, host string) ([]string, error) {
		asked <- host
		if host == "lost.test." {
			return nil, errors.New("no such host")
		}
		return []string{secondAddr}, nil
	}
	done := make(chan error, 1)
	go func() { done <- u.Present(t.Context(), at, "value") }()
	for range 2 {
		await(t, asked, "the search for a server")
	}
	select {
	case err := <-done:
		t.Fatalf("it is published before the second server has it: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	// The second server follows.
	if err := newUpdater(t, secondAddr, key).Present(t.Context(), at, "value"); err != nil {
		t.Fatal(err)
	}
	if err := await(t, done, "the end of Present"); err != nil {
		t.Error(err)
	}
}

// An update ends with its context, whether or not the server answers.
func TestUpdateEnds(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	u := newUpdater(t, ln.Addr().String(), Key{Name: "share.", Algorithm: dns.HmacSHA256, Secret: "c2VjcmV0"})
	go func() { done <- u.Present(ctx, "_acme-challenge.share.test.", "value") }()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(exchangeTimeout / 2):
		t.Error("it goes on")
		<-done
	}
}

func newUpdater(t *testing.T, server string, key Key) *Updater {
	t.Helper()
	u, err := NewUpdater(server, key)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestNewUpdater(t *testing.T) {
	for server, want := range map[string]string{
		"ns.test": "ns.test:53", "ns.test:5353": "ns.test:5353", "2001:db8::1": "[2001:db8::1]:53",
		"[2001:db8::1]": "[2001:db8::1]:53", "[2001:db8::1]:5353": "[2001:db8::1]:5353", "192.0.2.1": "192.0.2.1:53",
		"": "", ":53": "", "ns.test:": "", "ns.test:dns": "", "ns.test:70000": "", "a b": "", "a..b": "", "a:b:c": "", "[ns": "", "https://ns.test": "",
	} {
		got := ""
		u, err := NewUpdater(server, Key{})
		if err == nil {
			got = u.server
		}
		if got != want {
			t.Errorf("%q: got %q, %v; want %q", server, got, err, want)
		}
	}
}
