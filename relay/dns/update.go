package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// exchangeTimeout bounds one question and its answer.
	exchangeTimeout = 10 * time.Second

	// fudge is how far the clocks of both ends may be apart, in seconds (RFC
	// 8945 10).
	fudge = 300
)

// An Updater publishes values in a zone of another server, which takes them
// from who has a key (RFC 2136, RFC 8945).
type Updater struct {
	server string
	key    Key

	// find returns where a name server of the zone is asked.
	find func(ctx context.Context, host string) ([]string, error)
}

// NewUpdater returns an Updater of the zones at server: a host, or host:port.
func NewUpdater(server string, key Key) (*Updater, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = server, "53"
		if strings.HasPrefix(server, "[") && strings.HasSuffix(server, "]") {
			host = server[1 : len(server)-1]
		}
	}
	_, wrong := strconv.ParseUint(port, 10, 16)
	_, name := dns.IsDomainName(host)
	if _, err := netip.ParseAddr(host); err != nil && (host == "" || !name || strings.ContainsAny(host, ":/[] ")) || wrong != nil {
		return nil, fmt.Errorf("server %.100q: want a host, or host:port, as ns.example.com or 192.0.2.1:53", server)
	}
	return &Updater{server: net.JoinHostPort(host, port), key: key, find: find}, nil
}

// Present adds value to the TXT records at fqdn, and returns when the zone's
// other servers have it too or, as that may never be, after a minute.
func (u *Updater) Present(ctx context.Context, fqdn, value string) error {
	fqdn = dns.CanonicalName(fqdn)
	zone, err := u.zoneOf(ctx, fqdn)
	if err != nil {
		return err
	}
	if err := u.change(ctx, zone, fqdn, value, (*dns.Msg).Insert); err != nil {
		return err
	}
	u.spread(ctx, zone, fqdn, value)
	return nil
}

// Remove takes value from the TXT records at fqdn.
func (u *Updater) Remove(ctx context.Context, fqdn, value string) error {
	fqdn = dns.CanonicalName(fqdn)
	zone, err := u.zoneOf(ctx, fqdn)
	if err != nil {
		return err
	}
	return u.change(ctx, zone, fqdn, value, (*dns.Msg).Remove)
}

func (u *Updater) change(ctx context.Context, zone, fqdn, value string, how func(*dns.Msg, []dns.RR)) error {
	m := new(dns.Msg)
	m.SetUpdate(zone)
	how(m, []dns.RR{&dns.TXT{Hdr: header(fqdn, dns.TypeTXT, valueTTL), Txt: []string{value}}})
	r, err := u.exchange(ctx, m)
	if err == nil && r.Rcode != dns.RcodeSuccess {
		err = errors.New(dns.RcodeToString[r.Rcode])
	}
	if err != nil {
		return fmt.Errorf("DNS server %s: update of the zone %s: %w", u.server, zone, err)
	}
	return nil
}

// refusal says why a server does not take the key that a question was signed
// with (RFC 8945 5.2), nil if it does.
func refusal(r *dns.Msg) error {
	t := r.IsTsig()
	switch {
	case t == nil || t.Error == dns.RcodeSuccess:
		return nil
	case t.Error == dns.RcodeBadTime:
		return fmt.Errorf("its clock and this machine's are more than %d s apart (BADTIME)", fudge)
	}
	return fmt.Errorf("it does not take the key %s: %s", t.Hdr.Name, dns.RcodeToString[int(t.Error)])
}

// zoneOf finds the zone at the server that a name is in.
func (u *Updater) zoneOf(ctx context.Context, fqdn string) (string, error) {
	for off, end := 0, false; !end; off, end = dns.NextLabel(fqdn, off) {
		m := new(dns.Msg)
		m.SetQuestion(fqdn[off:], dns.TypeSOA)
		r, err := u.exchange(ctx, m)
		if err != nil {
			return "", fmt.Errorf("DNS server %s: %w", u.server, err)
		}
		for _, rr := range append(r.Answer, r.Ns...) {
			if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, fqdn) {
				return dns.CanonicalName(soa.Hdr.Name), nil
			}
		}
	}
	return "", fmt.Errorf("DNS server %s: it has no zone that %s is in", u.server, fqdn)
}

// exchange asks the server, signed, and reads its answer, which is signed too. An
// error says so where the server does not take the key.
func (u *Updater) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	c := &dns.Client{Net: "tcp", Timeout: exchangeTimeout, TsigSecret: map[string]string{u.key.Name: u.key.Secret}}
	m.SetTsig(u.key.Name, u.key.Algorithm, fudge, time.Now().Unix())
	r, err := ask(ctx, c, m, u.server)
	if r != nil {
		if no := refusal(r); no != nil {
			return nil, no // an answer to an unknown key is not signed
		}
	}
	return r, err
}

// ask is c.ExchangeContext, but ends with ctx.
func ask(ctx context.Context, c *dns.Client, m *dns.Msg, addr string) (*dns.Msg, error) {
	conn, err := c.DialContext(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	r, _, err := c.ExchangeWithConnContext(ctx, m, conn)
	if errors.Is(err, net.ErrClosed) {
		err = ctx.Err()
	}
	return r, err
}
