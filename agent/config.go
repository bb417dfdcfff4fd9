package agent

import (
	"context"
	"crypto/x509"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"share/agent/target"
	"share/tunnel"
	"share/tunnel/cmdline"
)

// Config is what an Agent does. Its zero value lacks only a Target.URL and a
// way to a relay.
type Config struct {
	// Relay is the relay to connect to, as ParseRelay read it.
	// If zero, Dial must be set.
	Relay RelayURL

	// Others are relays at which the target is reached as well, by the same
	// name: there is a session with each, and each goes on without the others.
	// If empty, or Dial is set, Relay is the only one.
	Others []RelayURL

	// Dial connects to the relay in place of TCP and TLS, for one in the same
	// process. Its names belong to this process alone, so none is locked.
	// If nil, Relay is dialled.
	Dial func(ctx context.Context) (net.Conn, error)

	// RelayCA are the roots that sign the relay's certificates, those of its
	// public URLs too. If nil, the system's.
	RelayCA *x509.CertPool

	// Proxy returns the proxy for a URL, nil for none, as
	// httpproxy.Config.ProxyFunc makes it. It is never asked for relays on
	// loopback. If nil, there is no proxy.
	Proxy func(*url.URL) (*url.URL, error)

	// Token lets the agent in; it is never logged. If empty, none is sent,
	// which only a relay on loopback can admit.
	Token string

	// Logins are the tokens that the user has stored, each for one relay: it goes to
	// no other, and there takes the place of Token and Identity. If nil, there are
	// none.
	Logins map[RelayURL]string

	// Identity shows who the agent is in place of a Token, which must be empty
	// then. If nil, the Token is all.
	Identity *Identity

	// Insecure says that the user lets the token travel in plain.
	Insecure bool

	// Target is where requests go. Its OnHealth is called as well.
	Target target.Config

	// Name is the wanted name, a DNS label. If empty, the name follows from
	// StateDir's key, Folder and the target, and is the same each time.
	Name string

	// Random asks for a new name each time; Name must be empty then.
	Random bool

	// Domain is a domain of the account's own that leads to one of its names
	// at the relay: the tunnel gets that name, and its URL is the domain's. If
	// empty, the URL is the name's.
	Domain string

	// Folder is the working folder that a default name stands for.
	// If empty, the target alone counts.
	Folder string

	// StateDir is the folder that keeps the key of names and the locks on
	// them. If empty, nothing is kept: names change with each process.
	StateDir string

	// Takeover evicts the present holder of the name, if it is the same
	// account's.
	Takeover bool

	// Wait bounds how long the relay, and the target, may take to come up.
	// If zero, both are waited for for ever.
	Wait time.Duration

	// RequireVerified makes Run fail if the first request through the public
	// URL does not come back.
	RequireVerified bool

	// Grace is how long exchanges in flight may take to end when Run's context
	// does. If zero, 10 seconds. If negative, they are cut at once.
	Grace time.Duration

	// Admit is asked before an exchange is given to the target. One that it does
	// not admit is refused unprocessed, as those are that come while Run ends. It
	// is called from many goroutines and must not block. If nil, all are admitted.
	Admit func() bool

	// Lanes is the least number of connections to the relay, at most 8: one
	// more is made when large bodies go over all there are.
	// If zero, 1.
	Lanes int

	// Notices are warnings that Run begins with.
	Notices []string

	// Version is the program's version, for the relay's log.
	// If empty, "devel".
	Version string

	// OnEvent is told what happens: EventConnecting, EventReady, EventOpen,
	// EventRequest, EventReconnecting, EventDraining, EventTarget and EventWarning. It is called from many
	// goroutines and must not block. If nil, nobody is told.
	OnEvent func(Event)
}

func (c *Config) grace() time.Duration {
	if c.Grace == 0 {
		return 10 * time.Second
	}
	return max(c.Grace, 0)
}

// maxLanes is how many connections one session may have (package tunnel).
const maxLanes = 8

func (c *Config) lanes() int { return min(max(c.Lanes, 1), maxLanes) }

func (c *Config) version() string {
	if c.Version == "" {
		return "devel"
	}
	return c.Version
}

// identity names the Identity, if there is one.
func (c *Config) identity() string {
	if c.Identity == nil {
		return ""
	}
	return c.Identity.String()
}

// near reports whether the relay is on this machine.
func (c *Config) near() bool { return c.Dial != nil || c.Relay.Loopback() }

// relays are all of them.
func (c *Config) relays() []RelayURL {
	if c.Dial != nil {
		return []RelayURL{c.Relay}
	}
	return append([]RelayURL{c.Relay}, c.Others...)
}

// maxRelays bounds the relays of one agent.
const maxRelays = 8

// check returns a *cmdline.Error for what cannot work.
func (c *Config) check() error {
	if err := c.checkRelays(); err != nil {
		return err
	}
	switch {
	case c.Token != "" && c.Identity != nil:
		return cmdline.Usage("leave one of them away", "a token and an identity are to be shown")
	case !ValidToken(c.Token):
		return malformed()
	case c.Domain != "" && (c.Name != "" || c.Random):
		return cmdline.Usage("leave it away: the relay knows the domain's name", "a name and a domain are asked for")
	case c.Domain != "" && !validDomain(c.Domain):
		return cmdline.Usage("", "domain %.200q: want a name such as app.example.com", c.Domain)
	case c.Domain != "" && c.Dial != nil:
		return cmdline.Usage("name the relay that knows the domain with --relay", "the relay in this process has no domains")
	case c.Name != "" && c.Random:
		return cmdline.Usage("leave one of them away", "a name and a random name are asked for")
	case c.Name != "" && !tunnel.ValidName(c.Name):
		return cmdline.Usage("use at most 63 of a-z, 0-9 and -, with no - at either end", "name %.100q is no DNS label", c.Name)
	case c.Lanes < 0 || c.Lanes > maxLanes:
		return cmdline.Usage("", "%d lanes: a session has 1 to %d", c.Lanes, maxLanes)
	}
	return nil
}

// checkRelays is check for the relays.
func (c *Config) checkRelays() error {
	if c.Dial != nil {
		return nil
	}
	relays := c.relays()
	for i, relay := range relays {
		switch {
		case relay.Host == "":
			return cmdline.Usage("name it with --relay or SHARE_RELAY", "no relay is given")
		case i == maxRelays:
			return cmdline.Usage("name fewer", "%d relays: an agent has %d at most", len(relays), maxRelays)
		case slices.Contains(relays[:i], relay):
			return cmdline.Usage("name each once", "relay %s is named twice", relay)
		case relay.Plain && !c.Insecure && !relay.Loopback():
			return cmdline.Usage("use https://, or add --insecure if nobody can listen in", "relay %s would get the token unencrypted", relay)
		case c.Token == "" && c.Identity == nil && c.Logins[relay] == "" && !relay.Loopback():
			return cmdline.Usage("put it into SHARE_TOKEN, name a file with --token-file, or keep it with share login "+relay.String(), "relay %s wants a token", relay)
		case !ValidToken(c.Logins[relay]):
			return malformed()
		}
	}
	return nil
}

func malformed() error {
	return cmdline.Usage("a token is one line of printable ASCII without spaces, at most 4096 bytes", "the token is malformed")
}

// validDomain reports whether s may be a domain, in lower case.
func validDomain(s string) bool {
	labels := strings.Split(s, ".")
	return len(s) <= maxDomain && len(labels) > 1 && !slices.ContainsFunc(labels, func(l string) bool { return !tunnel.ValidName(l) })
}

// maxDomain bounds a domain (RFC 1035 2.3.4).
const maxDomain = 253

// maxToken keeps the preface, which the relay reads before it trusts anyone,
// within its bound.
const maxToken = 4 << 10

// ValidToken reports whether s is empty or a token that a file's line can
// hold: one line of printable ASCII without spaces, at most 4096 bytes.
func ValidToken(s string) bool {
	return len(s) <= maxToken && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}
