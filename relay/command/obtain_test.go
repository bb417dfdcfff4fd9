package command

import (
	"log/slog"
	"net"
	"runtime"
	"testing"

	"share/relay"
)

// Where certificates are obtained the usual ports are listened at, unless a flag or
// systemd says where to.
func TestObtainingListens(t *testing.T) {
	tests := []struct {
		about           string
		addresses       relay.Addresses
		activated       string // the kind of a socket
		https, redirect string
	}{
		{"nothing said", relay.Addresses{}, "", ":443", ":80"},
		{"where to redirect", relay.Addresses{Redirect: "127.0.0.1:1"}, "", ":443", "127.0.0.1:1"},
		{"a flag", relay.Addresses{HTTPS: "127.0.0.1:1"}, "", "127.0.0.1:1", ""},
		{"a socket of systemd's", relay.Addresses{}, "https", "", ""},
		{"one for agents", relay.Addresses{HTTP: "127.0.0.1:1"}, "agents", "", ""},
	}
	for _, tt := range tests {
		a := &tt.addresses
		a.Sockets = new(relay.Sockets)
		if tt.activated != "" {
			if runtime.GOOS == "windows" {
				continue
			}
			activate(t, a.Sockets, tt.activated)
		}
		o := &obtaining{email: "ops@share.test", url: "https://ca.test/dir"}
		if err := o.load(&Process{}, &relay.Config{Domain: "share.test", Logger: slog.New(slog.DiscardHandler)}, a); err != nil {
			t.Fatal(err)
		}
		if a.HTTPS != tt.https || a.Redirect != tt.redirect {
			t.Errorf("%s: got %q and %q, want %q and %q", tt.about, a.HTTPS, a.Redirect, tt.https, tt.redirect)
		}
	}
}

// activate gives s a socket as systemd does.
func activate(t *testing.T, s *relay.Sockets, kind string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.CloseRest)
	if err := s.Activate(kind, f); err != nil {
		t.Fatal(err)
	}
}
