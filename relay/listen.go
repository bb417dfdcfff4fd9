package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Addresses are where a relay listens: host:port each. Those that are empty
// are not listened at; if all are, HTTP is 127.0.0.1:7070.
type Addresses struct {
	HTTP     string // visitors and agents, in plain
	HTTPS    string // visitors and agents, over TLS
	Redirect string // visitors alone, who are sent to the public URL
	Agents   string // agents alone, over TLS where there is a Certificate

	// Certificate is what the doors that speak TLS show.
	Certificate Certificates

	// Fronts are those of the doors that take visitors.
	Fronts []netip.Prefix

	// Sockets are where it is listened already, and what listening adds to. If
	// nil, all is opened, and forgotten.
	Sockets *Sockets
}

// Check returns a one-line error for what makes no sense, or what would let
// agents send their tokens in plain.
func (a *Addresses) Check(cfg *Config) error {
	for kind, addr := range map[string]*string{doorHTTP: &a.HTTP, doorHTTPS: &a.HTTPS, doorRedirect: &a.Redirect, doorAgents: &a.Agents} {
		*addr = a.Sockets.Activated(kind, *addr)
	}
	if a.HTTP == "" && a.HTTPS == "" && a.Agents == "" {
		a.HTTP = net.JoinHostPort("127.0.0.1", strconv.Itoa(localPort))
	}
	for _, door := range a.doors() {
		host, port, err := net.SplitHostPort(door.addr)
		if err != nil {
			return fmt.Errorf("--%s %q: want host:port, as 127.0.0.1:7070 or :443", door.kind, door.addr)
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("--%s %q: want a port from 0 to 65535, 0 for a free one", door.kind, door.addr)
		}
		if door.kind == doorAgents && a.Certificate == nil && !isLoopback(host) {
			return fmt.Errorf("--%s %s is reached from beyond this machine, and agents would send their tokens in plain: "+
				"add --tls-cert and --tls-key, or listen on loopback", door.kind, door.addr)
		}
	}
	switch {
	case a.HTTP == "" && a.HTTPS == "":
		return errors.New("there is no address for visitors: add --http or --https")
	case a.HTTPS != "" && a.Certificate == nil:
		return errors.New("--https wants a certificate: add --tls-cert and --tls-key, or --email to obtain one")
	case a.HTTPS == "" && a.Agents == "" && a.Certificate != nil:
		return errors.New("nothing shows the certificate: add --https or --agents")
	case a.Redirect != "" && !a.secure(cfg):
		return errors.New("--redirect sends visitors to https, and nothing serves that: add --https, or --public-url https://… for a front's")
	}
	return nil
}

// Empty reports whether visitors and agents are given no address, by a flag or by
// systemd.
func (a *Addresses) Empty() bool {
	for kind, addr := range map[string]string{doorHTTP: a.HTTP, doorHTTPS: a.HTTPS, doorAgents: a.Agents} {
		if a.Sockets.Activated(kind, addr) != "" {
			return false
		}
	}
	return true
}

// Beyond reports whether others than this machine reach an address that Check
// has found right: they must not be let in without tokens.
func (a *Addresses) Beyond() bool {
	return slices.ContainsFunc(a.doors(), func(door namedAddress) bool {
		host, _, _ := net.SplitHostPort(door.addr)
		return door.kind != doorRedirect && !isLoopback(host)
	})
}

// secure reports whether the public URL is one of https.
func (a *Addresses) secure(cfg *Config) bool {
	if cfg.PublicURL != nil {
		return cfg.PublicURL.Scheme == "https"
	}
	return a.HTTPS != ""
}

// Listen listens at all addresses, or at none and returns why.
func (a *Addresses) Listen() (doors []Door, err error) {
	for _, door := range a.doors() {
		ln, err := a.Sockets.Listen(door.kind, door.addr)
		if err != nil {
			for _, d := range doors {
				d.Close()
			}
			return nil, fmt.Errorf("--%s: %w", door.kind, err)
		}
		d := Door{Listener: ln, Kind: door.kind, AgentsOnly: door.kind == doorAgents, Redirect: door.kind == doorRedirect}
		if door.kind == doorHTTPS || door.kind == doorAgents {
			d.Certificate = a.Certificate
		}
		if !d.AgentsOnly {
			d.Fronts = a.Fronts
		}
		doors = append(doors, d)
	}
	return doors, nil
}

// The kinds of a Door.
const (
	doorHTTP     = "http"
	doorHTTPS    = "https"
	doorRedirect = "redirect"
	doorAgents   = "agents"
)

type namedAddress struct{ kind, addr string }

// doors gives the addresses that are listened at.
func (a *Addresses) doors() (doors []namedAddress) {
	for _, d := range []namedAddress{{doorHTTP, a.HTTP}, {doorHTTPS, a.HTTPS}, {doorRedirect, a.Redirect}, {doorAgents, a.Agents}} {
		if d.addr != "" {
			doors = append(doors, d)
		}
	}
	return doors
}

// isLoopback reports whether only this machine reaches what listens at host.
// An empty host is every address.
func isLoopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
