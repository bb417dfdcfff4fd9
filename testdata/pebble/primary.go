package pebble

import (
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// A Primary is a DNS server over TCP for one zone, whose TXT records are changed
// by who has its key (RFC 2136).
type Primary struct {
	Zone                   string // with a dot at its end
	Key, Secret, Algorithm string
	Servers                []string // its name servers, with a dot at the end of each
	Wrong                  uint16   // what it says is wrong with each key (RFC 8945 3); if 0, what is

	srv *dns.Server

	mu    sync.Mutex
	texts map[string][]string // guarded by mu; by name
	count int                 // guarded by mu; of updates
}

// Start answers at a free port of loopback until Close, and returns where.
func (p *Primary) Start() (addr string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	begun := make(chan struct{})
	p.texts = make(map[string][]string)
	p.srv = &dns.Server{
		Listener: ln, Handler: dns.HandlerFunc(p.serve), TsigSecret: map[string]string{p.Key: p.Secret},
		MsgAcceptFunc:     func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept },
		NotifyStartedFunc: func() { close(begun) },
	}
	go p.srv.ActivateAndServe() // ends with Close
	<-begun
	return ln.Addr().String(), nil
}

// Close ends what Start has begun.
func (p *Primary) Close() { p.srv.Shutdown() }

// Texts returns the texts of a name that are there now, and how many updates
// there have been.
func (p *Primary) Texts(name string) (texts []string, updates int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.texts[name]), p.count
}

func (p *Primary) serve(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	signed := q.IsTsig() != nil && w.TsigStatus() == nil
	if wrong := p.wrong(w, q); wrong != dns.RcodeSuccess {
		t := q.IsTsig()
		m.Rcode = dns.RcodeNotAuth
		m.SetTsig(t.Hdr.Name, t.Algorithm, 300, time.Now().Unix())
		m.IsTsig().Error = wrong
		w.WriteMsg(m)
		return
	}
	p.mu.Lock()
	switch {
	case len(q.Question) != 1 || !dns.IsSubDomain(p.Zone, q.Question[0].Name):
		m.Rcode = dns.RcodeRefused
	case q.Opcode == dns.OpcodeUpdate && !signed:
		m.Rcode = dns.RcodeNotAuth
	case q.Opcode == dns.OpcodeUpdate:
		p.count++
		for _, rr := range q.Ns {
			t, ok := rr.(*dns.TXT)
			if !ok {
				continue
			}
			if t.Hdr.Class == dns.ClassNONE {
				p.texts[t.Hdr.Name] = slices.DeleteFunc(p.texts[t.Hdr.Name], func(text string) bool { return text == t.Txt[0] })
			} else {
				p.texts[t.Hdr.Name] = append(p.texts[t.Hdr.Name], t.Txt[0])
			}
		}
	default:
		ask := q.Question[0]
		for _, text := range p.texts[ask.Name] {
			if ask.Qtype == dns.TypeTXT {
				m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: ask.Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 1}, Txt: []string{text}})
			}
		}
		for _, ns := range p.Servers {
			if ask.Qtype == dns.TypeNS && ask.Name == p.Zone {
				m.Answer = append(m.Answer, &dns.NS{Hdr: dns.RR_Header{Name: ask.Name, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 1}, Ns: ns})
			}
		}
		if len(m.Answer) == 0 {
			m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: p.Zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 1}, Ns: "ns." + p.Zone, Mbox: "ops." + p.Zone}}
		}
	}
	p.mu.Unlock()
	if signed {
		m.SetTsig(p.Key, p.Algorithm, 300, time.Now().Unix())
	}
	w.WriteMsg(m)
}

// wrong says what is wrong with the key of a message, RcodeSuccess if nothing is.
func (p *Primary) wrong(w dns.ResponseWriter, q *dns.Msg) uint16 {
	switch {
	case q.IsTsig() == nil:
		return dns.RcodeSuccess
	case p.Wrong != dns.RcodeSuccess:
		return p.Wrong
	case errors.Is(w.TsigStatus(), dns.ErrSecret):
		return dns.RcodeBadKey
	case w.TsigStatus() != nil:
		return dns.RcodeBadSig
	}
	return dns.RcodeSuccess
}
