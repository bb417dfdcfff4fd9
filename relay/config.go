package relay

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"share/relay/access"
	"share/relay/account"
	"share/relay/acme"
	"share/relay/dns"
	"share/relay/store"
)

// Config is what a Relay does. Its zero value serves NAME.localhost openly.
type Config struct {
	// Domain is where tunnels live: at NAME.Domain. If empty, PublicURL's
	// host, or else "localhost".
	Domain string

	// PublicURL is how visitors reach the domain through a front that stands
	// before the relay; only scheme and host count. If nil, the URL of the
	// first door that takes visitors.
	PublicURL *url.URL

	// Tokens are what agents are let in with, beside those of Accounts. If
	// there are neither, the relay is open: every agent is let in, and all are
	// one account.
	Tokens Tokens

	// Accounts keeps tokens, and the owners of names. If nil, names are
	// forgotten when Serve ends.
	Accounts *account.Accounts

	// Admin is where the operator's commands come in: who can connect may do
	// all. Serve closes it. If nil, there are none.
	Admin net.Listener

	// Remote is where they come in from elsewhere, each with a token of
	// Accounts that has a role, and where the relay's metrics are. It speaks TLS
	// if others than this machine reach it. Serve closes it. If nil, they do not
	// come, and nothing is counted.
	Remote net.Listener

	// Login is how people get a token of Accounts, which must be there then. If
	// nil, they do not.
	Login *Login

	// Issuers reaches the issuers of identity tokens that Accounts trusts, and
	// that of Login. If nil, https and the proxy that the environment names.
	Issuers http.RoundTripper
	// Store is what Accounts are kept in, and Sockets is where the relay
	// listens: a process that takes the relay's place gets both. If Store is
	// nil, none can.
	Store   *store.Lender
	Sockets *Sockets

	// Socket is the path of Admin's: once another process has taken this one's
	// place, it is asked there whose tokens still let them in. If empty, agents
	// that are still here stay until they have moved.
	Socket string

	// Before is the process whose place this one takes, with its Sockets.
	// If nil, there is none.
	Before *Predecessor

	// Serving is called once connections are taken, and Replaced once a process
	// with the given id takes them instead. Both must return soon. If nil,
	// nobody is told.
	Serving  func()
	Replaced func(pid int)

	// ACME keeps the certificates that doors show, while Serve runs. If nil,
	// others do.
	ACME *acme.Certificates

	// DNS answers for the domain while Serve runs, which closes it. If nil,
	// the relay answers nothing there.
	DNS *dns.Server

	// Resolver is asked whose a domain is that is to lead to a tunnel. If nil,
	// net.DefaultResolver.
	Resolver *net.Resolver

	// Insecure lets tokens travel in plain over doors beyond loopback, for
	// agents that say the same.
	Insecure bool

	// TrustedProxies are the peers whose forwarding fields are believed.
	// If empty, nobody's are.
	TrustedProxies []netip.Prefix

	// Grace is how long exchanges in flight may take to end when Serve's
	// context does. If zero, 30 seconds. If negative, they are cut at once.
	Grace time.Duration

	// Memory is how many bytes the relay may use: beyond them nothing new
	// begins. If zero, as many as there are.
	Memory int64

	// Descriptors are how many the process may have open: connections end well
	// below. If zero, as many as the system says.
	Descriptors int64

	// ConnectionsPerAddress bounds the connections from one address, but for
	// those of agents and of TrustedProxies. If zero, 2000. If negative, there
	// may be any number.
	ConnectionsPerAddress int

	// Sole makes the relay serve one agent, in the same process: its single
	// tunnel is also reached at localhost and the loopback addresses, there
	// is no page of the relay's own, and no door takes agents.
	Sole bool

	// Addresses lead to the single tunnel of a Sole relay, too, whose URL has the
	// first of them for a host, in place of its name.
	Addresses []netip.Addr

	// Version is the program's version, for logs. If empty, "devel".
	Version string

	// Access takes a record of each exchange. If nil, none is made.
	Access *access.Log

	// ServerTiming adds a Server-Timing field to answers: how long relay, link
	// and target took.
	ServerTiming bool

	// Logger takes a line for each request and for what agents do.
	// If nil, nothing is logged.
	Logger *slog.Logger
}

// Check returns a one-line error for what can never be.
func (c *Config) Check() error {
	if err := checkDomain(c.domain()); err != nil {
		return err
	}
	if c.Login != nil {
		if err := c.Login.Check(); err != nil {
			return err
		}
	}
	if u := c.PublicURL; u != nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return fmt.Errorf("public URL %q: want http:// or https:// and a host", u)
	}
	return nil
}

// maxDomain leaves room for a name, with its dot, before the domain (RFC 1035
// 2.3.4).
const maxDomain = 253 - 64

// checkDomain returns why nobody reaches names below a domain.
func checkDomain(domain string) error {
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil && ascii != domain {
		return fmt.Errorf("domain %q: want it as it is in the DNS, %s", domain, ascii)
	}
	if len(domain) > maxDomain {
		return fmt.Errorf("domain %.100q: %d bytes leave no room for a name: want %d at most", domain, len(domain), maxDomain)
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return fmt.Errorf("domain %q: want a name such as share.example.com", domain)
		}
	}
	return nil
}

// domain is Domain in the form that hosts are looked up by.
func (c *Config) domain() string {
	domain := c.Domain
	if domain == "" && c.PublicURL != nil {
		domain = c.PublicURL.Hostname()
	}
	if domain == "" {
		return "localhost"
	}
	return strings.ToLower(domain)
}

// open reports whether agents need no token.
func (c *Config) open() bool { return c.Tokens.Empty() && c.Accounts == nil }

func (c *Config) version() string { return cmp.Or(c.Version, "devel") }

func (c *Config) grace() time.Duration {
	if c.Grace == 0 {
		return 30 * time.Second
	}
	return max(c.Grace, 0)
}

func (c *Config) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}

// A Door is a listener of the relay and whom it lets in. What arrives is told
// apart by its first bytes or, under TLS, by ALPN.
type Door struct {
	net.Listener

	// Kind names the door in logs: "http", "https", "redirect" or "agents".
	Kind string

	// Certificate makes the door speak TLS. If nil, it is plain. A door with
	// AgentsOnly takes both and tells them apart by the first byte.
	Certificate Certificates

	// AgentsOnly turns visitors away.
	AgentsOnly bool

	// Redirect sends visitors to the public URL, and turns agents away. Such
	// a door is plain.
	Redirect bool

	// Fronts are the peers that begin each connection with a header of the
	// PROXY protocol, 1 or 2, and are turned away if they do not: what it
	// says is the visitor's address. Of others a header is no more than
	// bytes. If nil, there are none.
	Fronts []netip.Prefix
}
