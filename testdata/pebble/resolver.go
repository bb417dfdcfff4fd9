package pebble

import (
	"context"
	"net"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// A Resolver is the DNS as tests have it: a zone elsewhere, and names of its
// own.
type Resolver struct {
	Zones  map[string]string   // the server of a zone, by its name
	CNAMEs map[string]string   // what names stand for
	TXTs   map[string][]string // texts of names
	Hosts  map[string]string   // addresses of names

	udp, tcp *dns.Server
	addr     string
	mu       sync.Mutex // held while a question is answered, and by Set
}

// Set calls change, which may change what the resolver knows.
func (r *Resolver) Set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// Client asks the resolver, once it is started.
func (r *Resolver) Client() *net.Resolver {
	var d net.Dialer
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, r.addr)
	}}
}

// Start answers at a free port of loopback until Close, and returns where.
func (r *Resolver) Start() (addr string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	pc, err := net.ListenPacket("udp", ln.Addr().String())
	if err != nil {
		ln.Close()
		return "", err
	}
	r.tcp = &dns.Server{Listener: ln, Handler: dns.HandlerFunc(r.serve)}
	r.udp = &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(r.serve)}
	for _, srv := range []*dns.Server{r.tcp, r.udp} {
		begun := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(begun) }
		go srv.ActivateAndServe() // ends with Close
		<-begun
	}
	r.addr = ln.Addr().String()
	return r.addr, nil
}

// Close ends what Start has begun.
func (r *Resolver) Close() {
	r.tcp.Shutdown()
	r.udp.Shutdown()
}

func (r *Resolver) serve(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	r.mu.Lock()
	r.resolve(m, q.Question[0])
	r.mu.Unlock()
	w.WriteMsg(m)
}

// resolve adds to m what answers a question.
func (r *Resolver) resolve(m *dns.Msg, ask dns.Question) {
	name := strings.ToLower(strings.TrimSuffix(ask.Name, "."))
	header := func(rrtype uint16) dns.RR_Header {
		return dns.RR_Header{Name: ask.Name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: 1}
	}
	for zone, server := range r.Zones {
		if dns.IsSubDomain(zone+".", name+".") {
			q := new(dns.Msg)
			q.SetQuestion(ask.Name, ask.Qtype)
			client := &dns.Client{Net: "tcp"}
			a, _, err := client.Exchange(q, server)
			if err != nil {
				m.Rcode = dns.RcodeServerFailure
				return
			}
			m.Answer, m.Rcode = append(m.Answer, a.Answer...), a.Rcode
			return
		}
	}
	if to, ok := r.CNAMEs[name]; ok {
		m.Answer = append(m.Answer, &dns.CNAME{Hdr: header(dns.TypeCNAME), Target: to + "."})
		if ask.Qtype != dns.TypeCNAME {
			r.resolve(m, dns.Question{Name: to + ".", Qtype: ask.Qtype, Qclass: ask.Qclass})
		}
		return
	}
	texts, named := r.TXTs[name]
	addr, host := r.Hosts[name]
	switch {
	case !named && !host:
		m.Rcode = dns.RcodeNameError
	case ask.Qtype == dns.TypeTXT:
		for _, text := range texts {
			m.Answer = append(m.Answer, &dns.TXT{Hdr: header(dns.TypeTXT), Txt: []string{text}})
		}
	case ask.Qtype == dns.TypeA && host:
		m.Answer = append(m.Answer, &dns.A{Hdr: header(dns.TypeA), A: net.ParseIP(addr)})
	}
}
