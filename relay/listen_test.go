package relay

import (
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
	}
	for _, tt := range tests {
		err := tt.addresses.Check()
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
