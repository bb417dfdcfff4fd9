package relay

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
)

// A RemoteAddress is where operators come in from elsewhere.
type RemoteAddress struct {
	Addr        string       // host:port; nowhere, if empty
	Certificate Certificates // what they are shown, instead of what visitors are
}

// Check returns a one-line error for an address that makes no sense beside
// those of addresses, or at which operators would send their tokens in plain.
func (a *RemoteAddress) Check(addresses *Addresses) error {
	a.Addr = addresses.Sockets.Activated(doorAdmin, a.Addr)
	if a.Addr == "" {
		if a.Certificate != nil {
			return fmt.Errorf("nothing shows the certificate of --admin-cert: add --admin")
		}
		return nil
	}
	host, port, err := net.SplitHostPort(a.Addr)
	if err != nil {
		return fmt.Errorf("--admin %q: want host:port, as 127.0.0.1:9090", a.Addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("--admin %q: want a port from 0 to 65535, 0 for a free one", a.Addr)
	}
	if port != "0" && slices.ContainsFunc(addresses.doors(), func(d namedAddress) bool { return d.addr == a.Addr }) {
		return fmt.Errorf("--admin %s is an address of visitors, or of agents: operators want one of their own", a.Addr)
	}
	if !isLoopback(host) && a.certificate(addresses) == nil {
		return fmt.Errorf("--admin %s is reached from beyond this machine, and operators would send their tokens in plain: "+
			"add --admin-cert and --admin-key, or listen on loopback", a.Addr)
	}
	return nil
}

// certificate is what operators are shown, nil if they come in plain: over
// loopback, unless there is one for them.
func (a *RemoteAddress) certificate(addresses *Addresses) Certificates {
	host, _, _ := net.SplitHostPort(a.Addr)
	if a.Certificate != nil || isLoopback(host) {
		return a.Certificate
	}
	return addresses.Certificate
}

// doorAdmin is the kind of the socket at which operators come in from elsewhere.
const doorAdmin = "admin"

// Listen listens at an address that Check has found right; nil if there is
// none. log is told when a new certificate is not used.
func (a *RemoteAddress) Listen(addresses *Addresses, log *slog.Logger) (net.Listener, error) {
	if a.Addr == "" {
		return nil, nil
	}
	ln, err := addresses.Sockets.Listen(doorAdmin, a.Addr)
	if err != nil {
		return nil, fmt.Errorf("--admin: %w", err)
	}
	c := a.certificate(addresses)
	if c == nil {
		return ln, nil
	}
	return tls.NewListener(ln, &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, err := c.Certificate(hello)
			if pair != nil && err != nil {
				log.Warn("the new certificate is not used", "error", err.Error())
				err = nil
			}
			return pair, err
		},
	}), nil
}
