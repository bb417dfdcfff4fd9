package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// challengeLabel is below which a CA looks for its value (RFC 8555 8.4).
	challengeLabel = "_acme-challenge."

	// maxValues bounds the values of a domain at a time, maxValue each: a CA
	// wants one for each name of a certificate.
	maxValues = 8
	maxValue  = 255

	// addressTTL is how long resolvers keep addresses and servers, in seconds;
	// valueTTL how long values, or that there is none.
	addressTTL = 300
	valueTTL   = 1
)

// A zone is what the server answers from.
type zone struct {
	apex      string // in canonical form, as all names here
	challenge string
	ns        string // the server's own name
	addresses []netip.Addr
	serial    uint32

	mu     sync.Mutex
	values []string // guarded by mu; of the challenge
}

func newZone(domain string, addresses []netip.Addr) *zone {
	domain = dns.CanonicalName(domain)
	z := &zone{apex: domain, challenge: challengeLabel + domain, ns: "ns." + domain, addresses: addresses, serial: uint32(time.Now().Unix())}
	if len(addresses) == 0 {
		z.apex, z.ns = z.challenge, domain
	}
	return z
}

// answer answers a question. What it returns is not yet cut to a size.
func (z *zone) answer(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	if o := q.IsEdns0(); o != nil {
		m.SetEdns0(maxUDP, false)
		if o.Version() != 0 { // RFC 6891 6.1.3
			m.Rcode = dns.RcodeBadVers
			return m
		}
	}
	switch {
	case q.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
		return m
	case len(q.Question) != 1:
		m.Question, m.Rcode = nil, dns.RcodeFormatError
		return m
	}
	ask := q.Question[0]
	name := dns.CanonicalName(ask.Name)
	if !dns.IsSubDomain(z.apex, name) || ask.Qclass != dns.ClassINET || whole(ask.Qtype) {
		m.Rcode = dns.RcodeRefused
		return m
	}
	m.Authoritative = true
	m.Answer = z.records(name, ask)
	switch {
	case len(m.Answer) == 0:
		m.Ns = []dns.RR{z.soa(z.apex)}
		if z.apex == z.challenge && name != z.apex {
			m.Rcode = dns.RcodeNameError
		}
	case ask.Qtype == dns.TypeNS && len(z.addresses) > 0:
		m.Extra = append(z.addressesOf(z.ns, dns.TypeA), append(z.addressesOf(z.ns, dns.TypeAAAA), m.Extra...)...)
	}
	return m
}

// whole reports whether a type asks for all there is: such answers are large,
// and wanted by few but those who aim them at others (RFC 8482).
func whole(qtype uint16) bool {
	return qtype == dns.TypeANY || qtype == dns.TypeAXFR || qtype == dns.TypeIXFR
}

// records gives what is asked for. Its owner is written as it was asked for.
func (z *zone) records(name string, ask dns.Question) []dns.RR {
	switch {
	case ask.Qtype == dns.TypeTXT && name == z.challenge:
		return z.texts(ask.Name)
	case ask.Qtype == dns.TypeSOA && name == z.apex:
		return []dns.RR{z.soa(ask.Name)}
	case ask.Qtype == dns.TypeNS && name == z.apex:
		return []dns.RR{&dns.NS{Hdr: header(ask.Name, dns.TypeNS, addressTTL), Ns: z.ns}}
	case name[0] != '_': // such names are no hosts (RFC 8552)
		return z.addressesOf(ask.Name, ask.Qtype)
	}
	return nil
}

func header(name string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

func (z *zone) soa(owner string) dns.RR {
	return &dns.SOA{Hdr: header(owner, dns.TypeSOA, valueTTL), Ns: z.ns, Mbox: "hostmaster." + strings.TrimPrefix(z.apex, challengeLabel),
		Serial: z.serial, Refresh: 3600, Retry: 600, Expire: 604800, Minttl: valueTTL}
}

func (z *zone) addressesOf(owner string, qtype uint16) (all []dns.RR) {
	for _, a := range z.addresses {
		switch {
		case qtype == dns.TypeA && a.Is4():
			all = append(all, &dns.A{Hdr: header(owner, qtype, addressTTL), A: a.AsSlice()})
		case qtype == dns.TypeAAAA && a.Is6():
			all = append(all, &dns.AAAA{Hdr: header(owner, qtype, addressTTL), AAAA: a.AsSlice()})
		}
	}
	return all
}

func (z *zone) texts(owner string) (all []dns.RR) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, v := range z.values {
		all = append(all, &dns.TXT{Hdr: header(owner, dns.TypeTXT, valueTTL), Txt: []string{v}})
	}
	return all
}

func (z *zone) present(fqdn, value string) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	switch {
	case dns.CanonicalName(fqdn) != z.challenge:
		return fmt.Errorf("%s is not in the zone %s", fqdn, z.challenge)
	case len(value) > maxValue:
		return fmt.Errorf("a value of %d bytes exceeds %d", len(value), maxValue)
	case slices.Contains(z.values, value):
		return nil
	case len(z.values) == maxValues:
		return fmt.Errorf("there are %d values at %s, which is the limit", maxValues, fqdn)
	}
	z.values = append(z.values, value)
	return nil
}

func (z *zone) remove(fqdn, value string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if dns.CanonicalName(fqdn) == z.challenge {
		z.values = slices.DeleteFunc(z.values, func(v string) bool { return v == value })
	}
}
