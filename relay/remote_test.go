package relay

import (
	"crypto/tls"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Operators' tokens never travel in plain, and visitors never find their door.
func TestRemoteAddress(t *testing.T) {
	c := newCertificate(t, "share.test")
	for _, tt := range []struct {
		name      string
		remote    RemoteAddress
		addresses Addresses
		want      string // in the error; empty if there is none
		tls       bool
	}{
		{"nothing", RemoteAddress{}, Addresses{HTTP: ":80"}, "", false},
		{"loopback", RemoteAddress{Addr: "127.0.0.1:9090"}, Addresses{HTTP: ":80"}, "", false},
		{"loopback by name", RemoteAddress{Addr: "localhost:0"}, Addresses{}, "", false},
		{"loopback, with what visitors are shown", RemoteAddress{Addr: "[::1]:9090"}, Addresses{HTTPS: ":443", Certificate: c}, "", false},
		{"loopback, with its own", RemoteAddress{Addr: "[::1]:9090", Certificate: c}, Addresses{}, "", true},
		{"beyond", RemoteAddress{Addr: ":9090"}, Addresses{HTTP: ":80"}, "in plain: add --admin-cert", false},
		{"beyond by address", RemoteAddress{Addr: "192.0.2.1:9090"}, Addresses{}, "in plain: add --admin-cert", false},
		{"beyond, with what visitors are shown", RemoteAddress{Addr: ":9090"}, Addresses{HTTPS: ":443", Certificate: c}, "", true},
		{"beyond, with its own", RemoteAddress{Addr: ":9090", Certificate: c}, Addresses{}, "", true},
		{"visitors' address", RemoteAddress{Addr: ":443"}, Addresses{HTTPS: ":443", Certificate: c}, "one of their own", true},
		{"agents' address", RemoteAddress{Addr: "127.0.0.1:7071"}, Addresses{Agents: "127.0.0.1:7071"}, "one of their own", false},
		{"no port", RemoteAddress{Addr: "127.0.0.1"}, Addresses{}, "want host:port", false},
		{"a bad port", RemoteAddress{Addr: "127.0.0.1:x"}, Addresses{}, "0 to 65535", false},
		{"a certificate for nobody", RemoteAddress{Certificate: c}, Addresses{}, "add --admin", true},
	} {
		err := tt.remote.Check(&tt.addresses)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if got := tt.remote.certificate(&tt.addresses) != nil; got != tt.tls {
			t.Errorf("%s: TLS is %v", tt.name, got)
		}
	}
}

// That a new certificate is not used is told at the operators' door as well: it
// may be the only one that shows it.
func TestRemoteCertificateBroken(t *testing.T) {
	c := newCertificate(t, "share.test")
	log := &lines{}
	remote := RemoteAddress{Addr: "127.0.0.1:0", Certificate: c}
	ln, err := remote.Listen(&Addresses{}, newLogger(log))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ln.Close()
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake() // an error is the client's, too
			conn.Close()
		}
	})
	if err := os.WriteFile(c.certFile, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(c.certFile, later, later); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.checked = time.Time{}
	c.mu.Unlock()
	conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if !log.has("the new certificate is not used") {
		t.Errorf("the log says %q", log)
	}
}
