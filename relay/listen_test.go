package relay

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestAddressesCheck(t *testing.T) {
	certificate := &Certificate{}
	tests := []struct {
		name      string
		addresses Addresses
		want      string // in the error; "" for none
	}{
		{"nothing", Addresses{}, ""},
		{"loopback, open", Addresses{HTTP: "127.0.0.1:0"}, ""},
		{"loopback by name", Addresses{HTTP: "localhost:80", Agents: "[::1]:81"}, ""},
		{"everywhere", Addresses{HTTP: ":80"}, ""},
		{"agents everywhere in plain", Addresses{HTTP: ":80", Agents: ":81"}, "--tls-cert"},
		{"agents everywhere over TLS", Addresses{HTTP: ":80", Agents: ":81", Certificate: certificate}, ""},
		{"HTTPS", Addresses{HTTPS: ":443", Certificate: certificate}, ""},
		{"HTTPS without a certificate", Addresses{HTTPS: ":443"}, "wants a certificate"},
		{"a certificate for nobody", Addresses{HTTP: ":80", Certificate: certificate}, "nothing shows"},
		{"no visitors", Addresses{Agents: "127.0.0.1:0"}, "no address for visitors"},
		{"no port", Addresses{HTTP: "127.0.0.1"}, "want host:port"},
		{"a port that is none", Addresses{HTTP: "127.0.0.1:65536"}, "want a port"},
		{"redirects beside HTTPS", Addresses{HTTPS: "127.0.0.1:0", Redirect: ":80", Certificate: certificate}, ""},
		{"redirects without HTTPS", Addresses{HTTP: "127.0.0.1:0", Redirect: ":80"}, "nothing serves that"},
		{"redirects alone", Addresses{Redirect: ":80"}, "nothing serves that"},
		{"redirects without a port", Addresses{HTTPS: ":443", Redirect: "localhost", Certificate: certificate}, "--redirect \"localhost\": want host:port"},
	}
	for _, tt := range tests {
		err := tt.addresses.Check(&Config{})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestAddressesBeyond(t *testing.T) {
	for want, all := range map[bool][]Addresses{
		false: {{}, {HTTP: "127.0.0.1:0"}, {HTTP: "localhost:80", Agents: "[::1]:81"}},
		true: {
			{HTTP: ":80"}, {HTTP: "0.0.0.0:80"}, {HTTP: "share.example.com:80"}, {HTTPS: "[::]:443"},
			{HTTP: "127.0.0.1:0", Agents: "192.0.2.1:0"},
		},
	} {
		for _, a := range all {
			if a.Beyond() != want {
				t.Errorf("%+v: %v", a, !want)
			}
		}
	}
}

// What a front serves by https counts, and what it does not.
func TestAddressesCheckFront(t *testing.T) {
	for public, want := range map[string]string{"https://share.test": "", "http://share.test": "nothing serves that"} {
		u, err := url.Parse(public)
		if err != nil {
			t.Fatal(err)
		}
		a := Addresses{HTTPS: "127.0.0.1:0", Redirect: "127.0.0.1:0", Certificate: &Certificate{}}
		err = a.Check(&Config{PublicURL: u})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", public, err, want)
		}
	}
}

// What each door is and does, as its address was given.
func TestAddressesListen(t *testing.T) {
	fronts := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	const addr = "127.0.0.1:0"
	a := Addresses{HTTP: addr, HTTPS: addr, Redirect: addr, Agents: addr, Certificate: &Certificate{}, Fronts: fronts}
	doors, err := a.Listen()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range doors {
		got = append(got, fmt.Sprint(d.Kind, " TLS ", d.Certificate != nil, " agents ", d.AgentsOnly, " redirect ", d.Redirect, " fronts ", d.Fronts != nil))
		d.Close()
	}
	want := []string{
		"http TLS false agents false redirect false fronts true",
		"https TLS true agents false redirect false fronts true",
		"redirect TLS false agents false redirect true fronts true",
		"agents TLS true agents true redirect false fronts false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
