package domain

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"share/relay/account"
)

// A domain agrees by a CNAME to the name, whatever stands behind the name or
// before it; and to that one alone.
func TestVerifyByCNAME(t *testing.T) {
	tests := []struct {
		about  string
		cnames map[string]string // app.acme.test's and of others
		want   string            // in the reason, none if it agrees
	}{
		{"to the name", map[string]string{"app.acme.test": "web.share.test"}, ""},
		{"to a name that stands for the domain", map[string]string{"app.acme.test": "web.share.test", "web.share.test": "share.test"}, ""},
		{"to another name", map[string]string{"app.acme.test": "api.share.test"}, "its CNAME is api.share.test"},
		{"by another", map[string]string{"app.acme.test": "at.acme.test", "at.acme.test": "web.share.test"}, ""},
		{"to another name that stands for the domain", map[string]string{"app.acme.test": "other.share.test", "other.share.test": "share.test", "web.share.test": "share.test"}, "its CNAME is other.share.test"},
		{"to the domain", map[string]string{"app.acme.test": "share.test"}, "its CNAME is share.test"},
		{"not at all", map[string]string{"at.acme.test": "web.share.test"}, "there is no such name"},
	}
	for _, tt := range tests {
		d, resolver := open(t)
		resolver.Set(func() {
			resolver.CNAMEs = tt.cnames
			resolver.Hosts = map[string]string{"share.test": "192.0.2.1"}
		})
		s, err := d.Add(t.Context(), "app.acme.test", "web")
		if err != nil || s.Verified.IsZero() != (tt.want != "") || !strings.Contains(s.Reason, tt.want) {
			t.Errorf("%s: got %+v, %v; want %q", tt.about, s, err, tt.want)
		}
	}
}

// A resolver that lies or fails makes nobody agree, and cannot say that an owner
// does not.
func TestBadResolver(t *testing.T) {
	cname := func(owner, target string) dns.RR {
		return &dns.CNAME{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeCNAME, Class: dns.ClassINET}, Target: target}
	}
	tests := []struct {
		about  string
		answer func(m *dns.Msg)
		sure   bool
	}{
		{"fails", func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }, false},
		{"refuses", func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }, false},
		{"goes round", func(m *dns.Msg) {
			m.Answer = []dns.RR{cname("app.acme.test.", "a.test."), cname("a.test.", "b.test."), cname("b.test.", "a.test.")}
		}, true},
		{"tells of another", func(m *dns.Msg) { m.Answer = []dns.RR{cname("other.test.", "web.share.test.")} }, true},
		{"answers another question", func(m *dns.Msg) {
			m.Question[0].Name = "other.test."
			m.Answer = []dns.RR{cname("app.acme.test.", "web.share.test.")}
		}, false},
	}
	for _, tt := range tests {
		d, _ := open(t)
		d.cfg.Resolver = at(t, tt.answer)
		how, reason, sure := d.agreed(t.Context(), account.Domain{Domain: "app.acme.test", Name: "web", Token: "x"})
		if how != "" || reason == "" || sure != tt.sure {
			t.Errorf("%s: it agrees by %q, %q, sure %t", tt.about, how, reason, sure)
		}
	}
}

// at returns a resolver that asks a server which answers A questions as answer
// says, and knows nothing else.
func at(t *testing.T, answer func(m *dns.Msg)) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, ended := make(chan struct{}), make(chan struct{})
	srv := &dns.Server{PacketConn: pc, NotifyStartedFunc: func() { close(begun) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.RecursionAvailable = true
		if q.Question[0].Qtype == dns.TypeA {
			answer(m)
		}
		w.WriteMsg(m)
	})}
	go func() {
		defer close(ended)
		srv.ActivateAndServe()
	}()
	<-begun
	t.Cleanup(func() {
		srv.Shutdown()
		<-ended
	})
	var d net.Dialer
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, pc.LocalAddr().String())
	}}
}

// failing returns a resolver that has one answer to all.
func failing(t *testing.T, rcode int) *net.Resolver {
	return at(t, func(m *dns.Msg) { m.Rcode = rcode })
}
