package relay

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"sync"

	"share/relay/acme"
	"share/tunnel"
)

// tlsConfig is how a door speaks TLS, nil if it does not. A handshake whose
// context holds a shown under shownKey tells it the certificate.
func (r *Relay) tlsConfig(d Door) *tls.Config {
	if d.Certificate == nil {
		return nil
	}
	base := &tls.Config{NextProtos: []string{tunnel.ALPN}, MinVersion: tls.VersionTLS12}
	if d.AgentsOnly {
		base.MinVersion = tls.VersionTLS13
	} else {
		base.NextProtos = append(base.NextProtos, "h2", "http/1.1")
	}
	shows := &configs{base: base}
	// A handshake with it ends with unrecognized_name (RFC 6066 3).
	nothing := base.Clone()
	return &tls.Config{
		MinVersion: base.MinVersion,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			pair, err := d.Certificate.Certificate(hello)
			switch {
			case pair == nil:
				r.log.Debug("handshake refused", "door", d.Kind, "client", hello.Conn.RemoteAddr().String(), "host", quote(hello.ServerName), "error", err.Error())
				return nothing, nil
			case err != nil:
				r.log.Warn("the new certificate is not used", "error", err.Error())
			case r.cfg.ACME != nil && acme.IsProof(hello):
				return &tls.Config{MinVersion: base.MinVersion, NextProtos: []string{acme.Protocol}, Certificates: []tls.Certificate{*pair}}, nil
			}
			if s, ok := hello.Context().Value(shownKey{}).(*shown); ok {
				s.leaf = pair.Leaf
			}
			return shows.of(pair), nil
		},
	}
}

// A shown is the certificate that a peer was shown: in this handshake or, if
// that resumes a session, one for the same names in an earlier one.
type shown struct{ leaf *x509.Certificate }

type shownKey struct{}

// covers reports whether the certificate is for host.
func (s *shown) covers(host string) bool {
	return s.leaf != nil && s.leaf.VerifyHostname(host) == nil
}

// maxConfigs bounds the configurations that are kept. If there are more, all are
// made anew.
const maxConfigs = 1000

// configs makes the configuration that shows a certificate, and keeps it.
type configs struct {
	base *tls.Config // has the keys of all sessions' tickets

	mu    sync.Mutex
	known map[*tls.Certificate]*tls.Config // guarded by mu
}

func (c *configs) of(pair *tls.Certificate) *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	config := c.known[pair]
	if config == nil {
		if c.known == nil || len(c.known) >= maxConfigs {
			c.known = make(map[*tls.Certificate]*tls.Config)
		}
		config = c.showing(pair)
		c.known[pair] = config
	}
	return config
}

// showing makes a configuration. A session is resumed with it that began with a
// certificate for the same names, as a renewed one is. Another would leave
// nobody to say which hosts the visitor may ask for: that one begins anew.
func (c *configs) showing(pair *tls.Certificate) *tls.Config {
	names := namesOf(pair.Leaf)
	config := c.base.Clone()
	config.Certificates = []tls.Certificate{*pair}
	config.WrapSession = func(cs tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		session.Extra = [][]byte{names}
		return c.base.EncryptTicket(cs, session)
	}
	config.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		session, err := c.base.DecryptTicket(ticket, cs)
		if err != nil || session == nil || len(session.Extra) != 1 || !bytes.Equal(session.Extra[0], names) {
			return nil, err
		}
		return session, nil
	}
	return config
}

// namesOf is a digest of the names that a certificate is for.
func namesOf(leaf *x509.Certificate) []byte {
	var names []string
	if leaf != nil {
		names = slices.Clone(leaf.DNSNames)
		for _, ip := range leaf.IPAddresses {
			names = append(names, ip.String())
		}
		slices.Sort(names)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", names))
	return sum[:]
}
