package target

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The schemes of an Address.
const (
	HTTP  = "http"
	HTTPS = "https"
	H2C   = "h2c" // HTTP/2 in plain, by prior knowledge (RFC 9113 3.3)
	H2    = "h2"  // HTTP/2 over TLS
)

const (
	// maxUnixPath is what a socket's address holds on Linux, less its NUL
	// (unix(7)); other systems hold a few bytes less and say so when dialled.
	maxUnixPath = 107

	// maxHost is the longest domain name (RFC 1035 2.3.4).
	maxHost = 253
)

// An Address is a target as its owner named it. Addresses are comparable.
type Address struct {
	Scheme string // HTTP, HTTPS, H2C or H2
	Host   string // a name in lower case or an IP address without brackets; "" for a unix socket
	Port   int    // 1 to 65535; 0 for a unix socket
	Path   string // of a unix socket, else ""
}

// Parse reads a target as a person names it: a port of this machine ("8080"),
// "host:port", a URL of scheme http, https, h2c or h2, or "unix:/path". Its
// error is one line that says what to write instead.
func Parse(s string) (Address, error) {
	a, err := parse(s)
	if err != nil {
		return Address{}, fmt.Errorf("target %.100q: %w", s, err)
	}
	return a, nil
}

func parse(s string) (Address, error) {
	if path, ok := cutPrefixFold(s, "unix:"); ok {
		return parseUnix(path)
	}
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		return parseURL(strings.ToLower(scheme), rest)
	}
	host, port, ok := cutPort(s)
	switch {
	case s == "":
		return Address{}, fmt.Errorf("nothing is named: write a port such as 8080, host:port, a URL or unix:/path")
	case strings.ContainsAny(s, `/\`) || s[0] == '.' || s[0] == '~':
		return Address{}, fmt.Errorf("a file or folder is no web target: write the port of the server that serves it, or unix:/path for a socket")
	case isDigits(s):
		host, port = "localhost", s
	case strings.Count(s, ":") > 1 && s[0] != '[':
		return Address{}, fmt.Errorf("an IPv6 address stands in brackets: write [::1]:8080")
	case !ok:
		return Address{}, fmt.Errorf("no port is named: write a port such as 8080, or host:port")
	}
	return parseHost(HTTP, host, port)
}

// parseURL reads what follows "scheme://".
func parseURL(scheme, rest string) (Address, error) {
	port := ""
	switch scheme {
	case HTTP, H2C:
		port = "80"
	case HTTPS, H2:
		port = "443"
	default:
		return Address{}, fmt.Errorf("scheme %.20q is not spoken: use http, https, h2c, h2 or unix:/path", scheme)
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
		if rest[i:] != "/" {
			return Address{}, fmt.Errorf("a target has no path or query, visitors bring theirs: write %.80q", scheme+"://"+authority)
		}
	}
	if strings.Contains(authority, "@") {
		return Address{}, fmt.Errorf("a target has no user name or password: write the URL without them")
	}
	host, p, ok := cutPort(authority)
	if ok {
		port = p
	}
	return parseHost(scheme, host, port)
}

// cutPort cuts ":port" from an authority. An IPv6 address keeps its brackets.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func parseHost(scheme, host, port string) (Address, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || !isDigits(port) || port[0] == '0' {
		return Address{}, fmt.Errorf("port %.20q is none: ports are 1 to 65535", port)
	}
	name, err := canonicalHost(host)
	if err != nil {
		return Address{}, err
	}
	return Address{Scheme: scheme, Host: name, Port: int(n)}, nil
}

func canonicalHost(host string) (string, error) {
	if host == "" {
		return "localhost", nil
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		// In a URL the zone's percent sign is encoded (RFC 6874 2).
		ip, err := netip.ParseAddr(strings.Replace(inner, "%25", "%", 1))
		if !closed || err != nil || !ip.Is6() {
			return "", fmt.Errorf("%.60q is no IPv6 address: write [::1]:8080", host)
		}
		return ip.String(), nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		return ip.String(), nil
	}
	host = strings.ToLower(host)
	if !isName(host) {
		return "", fmt.Errorf("host %.60q is neither a name nor an IP address", host)
	}
	return host, nil
}

// isName reports whether s can be a host's name: labels of letters, digits,
// hyphens and underscores, the last not a number, which would be half an IPv4
// address (RFC 1123 2.1).
func isName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if len(s) > maxHost {
		return false
	}
	label := ""
	for label = range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return !isDigits(label)
}

func parseUnix(path string) (Address, error) {
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		path = rest // as in unix:///run/app.sock
		if !strings.HasPrefix(path, "/") {
			return Address{}, fmt.Errorf("a unix socket has no host: write unix:/path")
		}
	}
	switch {
	case path == "" || strings.HasSuffix(path, "/"):
		return Address{}, fmt.Errorf("no socket is named: write unix:/run/app.sock")
	case strings.ContainsAny(path, "\x00\r\n"):
		return Address{}, fmt.Errorf("the path holds a control character")
	case len(path) > maxUnixPath:
		return Address{}, fmt.Errorf("the path is longer than the %d bytes that a socket's address holds", maxUnixPath)
	}
	return Address{Scheme: HTTP, Path: path}, nil
}

// String is the target as Parse reads it and as failures name it.
func (a Address) String() string {
	switch {
	case a.Path != "":
		return "unix:" + a.Path
	case a.Scheme == HTTP:
		return a.hostPort()
	}
	return a.Scheme + "://" + a.hostPort()
}

// Authority is the Host that the target knows itself by (RFC 9110 7.2), without
// the scheme's own port.
func (a Address) Authority() string {
	switch {
	case a.Path != "":
		return "localhost"
	case a.Port == 80 && !a.secure(), a.Port == 443 && a.secure():
		if strings.Contains(a.Host, ":") {
			return "[" + a.Host + "]"
		}
		return a.Host
	}
	return a.hostPort()
}

// Loopback reports whether the target is on this machine.
func (a Address) Loopback() bool {
	if a.Path != "" || a.localhost() {
		return true
	}
	ip, err := netip.ParseAddr(a.Host)
	return err == nil && ip.Unmap().IsLoopback()
}

// localhost reports whether the host is a name of the loopback interface
// (RFC 6761 6.3), which no resolver is asked for.
func (a Address) localhost() bool {
	h := strings.TrimSuffix(a.Host, ".")
	return h == "localhost" || strings.HasSuffix(h, ".localhost")
}

func (a Address) secure() bool { return a.Scheme == HTTPS || a.Scheme == H2 }

func (a Address) http2() bool { return a.Scheme == H2C || a.Scheme == H2 }

func (a Address) hostPort() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

func cutPrefixFold(s, prefix string) (after string, found bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
