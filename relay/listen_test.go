package relay

import (
	"strings"
	"testing"
)

func TestAddressesCheck(t *testing.T) {
	var tokens Tokens
	if err := tokens.Add("ci", "secret"); err != nil {
		t.Fatal(err)
	}
	certificate := &Certificate{}
	tests := []struct {
		name      string
		addresses Addresses
		tokens    Tokens
		want      string // in the error; "" for none
	}{
		{"nothing", Addresses{}, Tokens{}, ""},
		{"loopback, open", Addresses{HTTP: "127.0.0.1:0"}, Tokens{}, ""},
		{"loopback by name", Addresses{HTTP: "localhost:80", Agents: "[::1]:81"}, Tokens{}, ""},
		{"everywhere, open", Addresses{HTTP: ":80"}, Tokens{}, "without tokens"},
		{"everywhere by number, open", Addresses{HTTP: "0.0.0.0:80"}, Tokens{}, "without tokens"},
		{"a name, open", Addresses{HTTP: "share.example.com:80"}, Tokens{}, "without tokens"},
		{"agents everywhere, open", Addresses{HTTP: "127.0.0.1:0", Agents: "[::]:0", Certificate: certificate}, Tokens{}, "without tokens"},
		{"everywhere with tokens", Addresses{HTTP: ":80"}, tokens, ""},
		{"agents everywhere in plain", Addresses{HTTP: ":80", Agents: ":81"}, tokens, "--tls-cert"},
		{"agents everywhere over TLS", Addresses{HTTP: ":80", Agents: ":81", Certificate: certificate}, tokens, ""},
		{"HTTPS", Addresses{HTTPS: ":443", Certificate: certificate}, tokens, ""},
		{"HTTPS without a certificate", Addresses{HTTPS: ":443"}, tokens, "wants a certificate"},
		{"a certificate for nobody", Addresses{HTTP: ":80", Certificate: certificate}, tokens, "nothing shows"},
		{"no visitors", Addresses{Agents: "127.0.0.1:0"}, tokens, "no address for visitors"},
		{"no port", Addresses{HTTP: "127.0.0.1"}, tokens, "want host:port"},
		{"a port that is none", Addresses{HTTP: "127.0.0.1:65536"}, tokens, "want a port"},
	}
	for _, tt := range tests {
		err := tt.addresses.Check(&Config{Tokens: tt.tokens})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
