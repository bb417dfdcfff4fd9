package edge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"
)

// certificate returns a new one for names.
func certificate(t testing.TB, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secureDoor serves visitors over TLS.
func (s *stub) secureDoor(names ...string) (addr string) { return s.coveringDoor(nil, names...) }

// coveringDoor serves visitors over TLS whose certificate is for what covers
// says.
func (s *stub) coveringDoor(covers func(host string) bool, names ...string) (addr string) {
	config := &tls.Config{Certificates: []tls.Certificate{certificate(s.t, names...)}, NextProtos: []string{"h2", "http/1.1"}}
	return s.door(func(nc net.Conn) {
		tc := tls.Server(nc, config)
		if err := tc.Handshake(); err != nil {
			nc.Close()
		} else if tc.ConnectionState().NegotiatedProtocol == "h2" {
			s.Serve2(tc, nc, nil, covers)
		} else {
			s.Serve(tc, nc, nil, covers)
		}
	})
}

// A watched connection remembers how its reads ended, which TLS does not tell.
type watched struct {
	net.Conn
	ended error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.ended = err
	}
	return n, err
}

// visitSecurely connects over TLS, choosing one of protocols.
func (s *stub) visitSecurely(addr string, protocols ...string) (*rawVisitor, *watched) {
	s.t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	w := &watched{Conn: nc}
	tc := tls.Client(w, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
	v := visitorOn(s.t, tc)
	if err := tc.Handshake(); err != nil {
		s.t.Fatal(err)
	}
	return v, w
}
