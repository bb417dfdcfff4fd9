package agent

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"share/tunnel/cmdline"
)

// A RelayURL is where a relay takes agents, as ParseRelay reads it.
type RelayURL struct {
	Plain bool   // TCP without TLS
	Host  string // name in lower case or IP address, without brackets
	Port  string // decimal, never empty
}

const relayHint = "use share.example.com, https://host:port, or http://127.0.0.1:7070"

// ParseRelay reads the address of a relay: share.example.com (TLS on port
// 443), host:port, https://host:port, or http://host:port for plain TCP. Plain
// is for loopback, where nobody listens in; insecure admits it everywhere. The
// error is a *cmdline.Error that says what to write instead.
func ParseRelay(s string, insecure bool) (RelayURL, error) {
	u, err := parseRelay(s)
	if err != nil {
		return RelayURL{}, err
	}
	if u.Plain && !insecure && !u.Loopback() {
		return RelayURL{}, cmdline.Usage("use https://"+u.hostport()+", or add --insecure if nobody can listen in",
			"relay %s: http would send the token unencrypted", u)
	}
	return u, nil
}

func parseRelay(s string) (RelayURL, *cmdline.Error) {
	if s == "" {
		return RelayURL{}, cmdline.Usage(relayHint, "the relay's address is empty")
	}
	raw := s
	if !strings.Contains(s, "://") {
		raw = "https://" + s
	}
	p, err := url.Parse(raw)
	if err != nil {
		return RelayURL{}, cmdline.Usage(relayHint, "relay %.200q is not an address", s)
	}
	var u RelayURL
	switch p.Scheme {
	case "https":
		u.Port = "443"
	case "http":
		u.Port, u.Plain = "80", true
	default:
		return RelayURL{}, cmdline.Usage(relayHint, "relay %.200q: its scheme is neither https nor http", s)
	}
	if p.User != nil {
		// The text may hold a secret, so it is not repeated.
		return RelayURL{}, cmdline.Usage("put the token into SHARE_TOKEN or a --token-file", "the relay's address has a user or password in it")
	}
	if (p.Path != "" && p.Path != "/") || p.RawQuery != "" || p.ForceQuery || p.Fragment != "" || p.Opaque != "" {
		return RelayURL{}, cmdline.Usage("leave away what follows the host and port", "relay %.200q has a path", s)
	}
	if port := p.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return RelayURL{}, cmdline.Usage("ports go from 1 to 65535", "relay %.200q: port %s does not exist", s, port)
		}
		u.Port = strconv.FormatUint(n, 10)
	} else if strings.HasSuffix(p.Host, ":") {
		return RelayURL{}, cmdline.Usage(relayHint, "relay %.200q has no port after the colon", s)
	}
	u.Host = strings.TrimSuffix(strings.ToLower(p.Hostname()), ".")
	switch addr, err := netip.ParseAddr(u.Host); {
	case err == nil && addr.Zone() != "": // it may be any text, and does not stand in a URL as it is
		return RelayURL{}, cmdline.Usage("use an address without %, or a name", "relay %.200q: its address has a zone", s)
	case err == nil:
		u.Host = addr.String()
	case !validHost(u.Host):
		return RelayURL{}, cmdline.Usage(relayHint, "relay %.200q: %.200q is neither a host name nor an IP address", s, u.Host)
	}
	return u, nil
}

// validHost reports whether s is a host name in ASCII (RFC 1123 2.1; an
// underscore is let through, as resolvers do). A number at the end would be an
// IP address, so there is none.
func validHost(s string) bool {
	if s == "" || len(s) > 253 || strings.Trim(s[strings.LastIndexByte(s, '.')+1:], "0123456789") == "" {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// String gives the address as a URL, the same for every way to write it.
func (u RelayURL) String() string {
	if u.Host == "" {
		return "in-process"
	}
	scheme, usual := "https", "443"
	if u.Plain {
		scheme, usual = "http", "80"
	}
	if u.Port == usual {
		host := u.Host
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return scheme + "://" + host
	}
	return scheme + "://" + u.hostport()
}

// Loopback reports whether the relay is on this machine: localhost, a name
// under it (RFC 6761 6.3), or a loopback address.
func (u RelayURL) Loopback() bool {
	if isLocalhost(u.Host) {
		return true
	}
	addr, err := netip.ParseAddr(u.Host)
	return err == nil && addr.Unmap().IsLoopback()
}

func (u RelayURL) hostport() string { return net.JoinHostPort(u.Host, u.Port) }

// isLocalhost reports whether host is localhost or a name under it, which are
// this machine whatever a resolver says (RFC 6761 6.3).
func isLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
