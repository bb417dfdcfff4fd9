package dns

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// addresses are those of a whole zone in tests.
func addresses() []netip.Addr {
	return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::1")}
}

// question asks for one type of a name.
func question(name string, qtype uint16) *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	return q
}

// said gives the records of an answer, each as type and value.
func said(all []dns.RR) string {
	var words []string
	for _, rr := range all {
		switch rr := rr.(type) {
		case *dns.A:
			words = append(words, "A "+rr.A.String())
		case *dns.AAAA:
			words = append(words, "AAAA "+rr.AAAA.String())
		case *dns.NS:
			words = append(words, "NS "+rr.Ns)
		case *dns.SOA:
			words = append(words, "SOA "+rr.Hdr.Name)
		case *dns.TXT:
			words = append(words, "TXT "+strings.Join(rr.Txt, ""))
		}
	}
	return strings.Join(words, ", ")
}

func TestAnswers(t *testing.T) {
	whole, part := newZone("Share.test", addresses()), newZone("share.test", nil)
	for _, z := range []*zone{whole, part} {
		for _, value := range []string{"one", "two", "one"} {
			if err := z.present("_acme-challenge.SHARE.test.", value); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		about  string
		zone   *zone
		name   string
		qtype  uint16
		rcode  int
		answer string
		ns     string
	}{
		{"the domain", whole, "share.test.", dns.TypeA, dns.RcodeSuccess, "A 192.0.2.1, A 192.0.2.2", ""},
		{"a name below, in mixed case", whole, "wEb.SHARE.test.", dns.TypeAAAA, dns.RcodeSuccess, "AAAA 2001:db8::1", ""},
		{"a name far below", whole, "a.b.c.share.test.", dns.TypeA, dns.RcodeSuccess, "A 192.0.2.1, A 192.0.2.2", ""},
		{"what a name has not", whole, "web.share.test.", dns.TypeMX, dns.RcodeSuccess, "", "SOA share.test."},
		{"who may issue", whole, "share.test.", dns.TypeCAA, dns.RcodeSuccess, "", "SOA share.test."},
		{"the values", whole, "_acme-challenge.share.test.", dns.TypeTXT, dns.RcodeSuccess, "TXT one, TXT two", ""},
		{"no host", whole, "_acme-challenge.share.test.", dns.TypeA, dns.RcodeSuccess, "", "SOA share.test."},
		{"values elsewhere", whole, "_acme-challenge.web.share.test.", dns.TypeTXT, dns.RcodeSuccess, "", "SOA share.test."},
		{"its servers", whole, "share.test.", dns.TypeNS, dns.RcodeSuccess, "NS ns.share.test.", ""},
		{"its authority", whole, "share.test.", dns.TypeSOA, dns.RcodeSuccess, "SOA share.test.", ""},
		{"another zone", whole, "test.", dns.TypeNS, dns.RcodeRefused, "", ""},
		{"a zone that ends alike", whole, "myshare.test.", dns.TypeA, dns.RcodeRefused, "", ""},
		{"the root", whole, ".", dns.TypeNS, dns.RcodeRefused, "", ""},
		{"all there is", whole, "share.test.", dns.TypeANY, dns.RcodeRefused, "", ""},
		{"the whole zone", whole, "share.test.", dns.TypeAXFR, dns.RcodeRefused, "", ""},
		{"what is new", whole, "share.test.", dns.TypeIXFR, dns.RcodeRefused, "", ""},

		{"the values alone", part, "_acme-challenge.share.test.", dns.TypeTXT, dns.RcodeSuccess, "TXT one, TXT two", ""},
		{"the authority of the values", part, "_acme-challenge.share.test.", dns.TypeSOA, dns.RcodeSuccess, "SOA _acme-challenge.share.test.", ""},
		{"the server of the values", part, "_acme-challenge.share.test.", dns.TypeNS, dns.RcodeSuccess, "NS share.test.", ""},
		{"below the values", part, "x._acme-challenge.share.test.", dns.TypeA, dns.RcodeNameError, "", "SOA _acme-challenge.share.test."},
		{"a domain that is another server's", part, "share.test.", dns.TypeA, dns.RcodeRefused, "", ""},
	}
	for _, tt := range tests {
		q := question(tt.name, tt.qtype)
		m := tt.zone.answer(q)
		if m.Rcode != tt.rcode || said(m.Answer) != tt.answer || said(m.Ns) != tt.ns {
			t.Errorf("%s: got %s [%s] [%s], want %s [%s] [%s]", tt.about, dns.RcodeToString[m.Rcode], said(m.Answer), said(m.Ns), dns.RcodeToString[tt.rcode], tt.answer, tt.ns)
		}
		if m.Id != q.Id || !m.Response || m.RecursionAvailable || m.Authoritative != (tt.rcode != dns.RcodeRefused) || m.Question[0] != q.Question[0] {
			t.Errorf("%s: the head is %+v", tt.about, m.MsgHdr)
		}
	}
	if m := whole.answer(question("share.test.", dns.TypeNS)); said(m.Extra) != "A 192.0.2.1, A 192.0.2.2, AAAA 2001:db8::1" {
		t.Errorf("beside its server: %s", said(m.Extra))
	}
	whole.remove("_acme-challenge.share.test.", "one")
	if got := said(whole.answer(question("_acme-challenge.share.test.", dns.TypeTXT)).Answer); got != "TXT two" {
		t.Errorf("once a value is taken away: %s", got)
	}
}

func TestOddQuestions(t *testing.T) {
	z := newZone("share.test", addresses())
	tests := []struct {
		about string
		edit  func(*dns.Msg)
		want  int
	}{
		{"an update", func(q *dns.Msg) { q.Opcode = dns.OpcodeUpdate }, dns.RcodeNotImplemented},
		{"a notice", func(q *dns.Msg) { q.Opcode = dns.OpcodeNotify }, dns.RcodeNotImplemented},
		{"nothing", func(q *dns.Msg) { q.Question = nil }, dns.RcodeFormatError},
		{"two things", func(q *dns.Msg) { q.Question = append(q.Question, q.Question[0]) }, dns.RcodeFormatError},
		{"another class", func(q *dns.Msg) { q.Question[0].Qclass = dns.ClassCHAOS }, dns.RcodeRefused},
		{"a version to come", func(q *dns.Msg) { q.SetEdns0(4096, true); q.IsEdns0().SetVersion(1) }, dns.RcodeBadVers},
		{"as usual", func(q *dns.Msg) { q.SetEdns0(4096, true) }, dns.RcodeSuccess},
	}
	for _, tt := range tests {
		q := question("share.test.", dns.TypeA)
		tt.edit(q)
		m := z.answer(q)
		if m.Rcode != tt.want {
			t.Errorf("%s: got %s, want %s", tt.about, dns.RcodeToString[m.Rcode], dns.RcodeToString[tt.want])
		}
		if _, err := m.Pack(); err != nil {
			t.Errorf("%s: %v", tt.about, err)
		}
		if (m.IsEdns0() != nil) != (q.IsEdns0() != nil) {
			t.Errorf("%s: EDNS in the answer alone, or not at all", tt.about)
		}
	}
}

func TestPresentBounds(t *testing.T) {
	z := newZone("share.test", nil)
	const at = "_acme-challenge.share.test."
	if err := z.present("_acme-challenge.other.test.", "x"); err == nil {
		t.Error("a value of another domain is taken")
	}
	if err := z.present(at, strings.Repeat("x", maxValue+1)); err == nil {
		t.Error("a value that is too long is taken")
	}
	for i := range maxValues {
		if err := z.present(at, strings.Repeat("x", maxValue-i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.present(at, "one more"); err == nil {
		t.Error("there is no bound on values")
	}
	// As many as there can be still go over UDP, if not in one answer.
	q := question(at, dns.TypeTXT)
	q.SetEdns0(4096, false)
	m := z.answer(q)
	m.Truncate(sizeOf(q))
	if b, err := m.Pack(); err != nil || len(b) > maxUDP || !m.Truncated {
		t.Errorf("%d bytes, %v, truncated %t", len(b), err, m.Truncated)
	}
}

// FuzzAnswer asks whatever can be said, and wants an answer that is no larger
// than may be, offers nothing more, and has records of the zone alone.
func FuzzAnswer(f *testing.F) {
	for _, q := range []*dns.Msg{
		question("share.test.", dns.TypeA), question("_acme-challenge.share.test.", dns.TypeTXT),
		question("other.test.", dns.TypeANY), question("web.share.test.", dns.TypeAXFR),
	} {
		b, err := q.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	z := newZone("share.test", addresses())
	if err := z.present("_acme-challenge.share.test.", "value"); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		q := new(dns.Msg)
		if q.Unpack(b) != nil {
			return
		}
		m := z.answer(q)
		m.Truncate(sizeOf(q))
		out, err := m.Pack()
		if err != nil {
			t.Fatalf("%v is answered with what cannot be sent: %v", q, err)
		}
		got := new(dns.Msg)
		if err := got.Unpack(out); err != nil {
			t.Fatal(err)
		}
		if len(out) > maxUDP || !got.Response || got.RecursionAvailable || got.Id != q.Id {
			t.Errorf("%d bytes: %v", len(out), got.MsgHdr)
		}
		for _, rr := range slices.Concat(got.Answer, got.Ns) {
			if !dns.IsSubDomain("share.test.", dns.CanonicalName(rr.Header().Name)) {
				t.Errorf("a record of another zone: %v", rr)
			}
		}
		if got.Rcode != dns.RcodeSuccess && len(got.Answer) > 0 {
			t.Errorf("a refusal with an answer: %v", got)
		}
	})
}
