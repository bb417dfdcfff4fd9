package command

import (
	"net/url"
	"testing"

	"share/relay"
)

func TestPublic(t *testing.T) {
	front, err := url.Parse("https://front.example.com:8443")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		cfg  relay.Config
		at   relay.Addresses
		want string
	}{
		{relay.Config{}, relay.Addresses{HTTP: "127.0.0.1:7070"}, "http://localhost:7070"},
		{relay.Config{Domain: "Share.example.com"}, relay.Addresses{HTTP: ":80"}, "http://share.example.com"},
		{relay.Config{Domain: "share.example.com"}, relay.Addresses{HTTP: ":80", HTTPS: ":443"}, "https://share.example.com"},
		{relay.Config{Domain: "share.example.com"}, relay.Addresses{HTTPS: "[::]:8443"}, "https://share.example.com:8443"},
		{relay.Config{PublicURL: front, Domain: "x.example.com"}, relay.Addresses{HTTP: ":80"}, "https://front.example.com:8443"},
	} {
		r := &serving{relay: tt.cfg, addresses: tt.at}
		if got := r.public().String(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
