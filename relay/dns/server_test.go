package dns

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// serve runs a server at a free port until the test ends, and returns where.
func serve(t *testing.T, cfg Config) (*Server, string) {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, s.Addr().String()
}

func TestServe(t *testing.T) {
	s, addr := serve(t, Config{Domain: "share.test", Addresses: addresses()})
	if err := s.Present(t.Context(), "_acme-challenge.share.test.", "value"); err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"udp", "tcp"} {
		c := &dns.Client{Net: network}
		m, _, err := c.ExchangeContext(t.Context(), question("_acme-challenge.share.test.", dns.TypeTXT), addr)
		if err != nil || said(m.Answer) != "TXT value" {
			t.Errorf("over %s: %v, %v", network, m, err)
		}
		m, _, err = c.ExchangeContext(t.Context(), question("example.com.", dns.TypeA), addr)
		if err != nil || m.Rcode != dns.RcodeRefused {
			t.Errorf("another's over %s: %v, %v", network, m, err)
		}
	}
	if err := s.Remove(t.Context(), "_acme-challenge.share.test.", "value"); err != nil {
		t.Fatal(err)
	}
	m, _, err := new(dns.Client).ExchangeContext(t.Context(), question("_acme-challenge.share.test.", dns.TypeTXT), addr)
	if err != nil || len(m.Answer) > 0 {
		t.Errorf("after Remove: %v, %v", m, err)
	}
}

// await fails the test unless something comes in time.
func await[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	const patience = 30 * time.Second
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: nothing after %v", what, patience)
	}
	return v
}

// A flood from one address brings it fewer bytes than it sends, and who comes
// over TCP is served meanwhile.
func TestFlood(t *testing.T) {
	_, addr := serve(t, Config{Domain: "share.test", Addresses: addresses()})
	nc, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	q, err := question("web.share.test.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	const questions = 20 * answerBurst
	got := make(chan int, 1)
	go func() { // ended by nc's deadline, or its end
		n, b := 0, make([]byte, maxUDP)
		for {
			k, err := nc.Read(b)
			if err != nil {
				got <- n
				return
			}
			n += k
		}
	}()
	for range questions {
		if _, err := nc.Write(q); err != nil {
			t.Fatal(err)
		}
	}
	m, _, err := (&dns.Client{Net: "tcp"}).ExchangeContext(t.Context(), question("web.share.test.", dns.TypeA), addr)
	if err != nil || len(m.Answer) != 2 {
		t.Errorf("over TCP: %v, %v", m, err)
	}
	nc.SetReadDeadline(time.Now().Add(time.Second))
	if n := <-got; n == 0 || n > questions*len(q) {
		t.Errorf("%d bytes of questions brought %d of answers", questions*len(q), n)
	}
}

// An address that asks too often is told so, whatever it asks.
func TestRate(t *testing.T) {
	tests := []struct {
		about string
		edit  func(*dns.Msg)
	}{
		{"a question", func(*dns.Msg) {}},
		{"a zone of another", func(q *dns.Msg) { q.Question[0].Name = "other.test." }},
		{"an update", func(q *dns.Msg) { q.Opcode = dns.OpcodeUpdate }},
		{"two questions", func(q *dns.Msg) { q.Question = append(q.Question, q.Question[0]) }},
		{"what is cut", func(q *dns.Msg) { q.SetEdns0(4096, false) }},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			_, addr := serve(t, Config{Domain: "share.test", Addresses: addresses()})
			nc, err := net.Dial("udp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			q := question("web.share.test.", dns.TypeA)
			tt.edit(q)
			b, err := q.Pack()
			if err != nil {
				t.Fatal(err)
			}
			if q.IsEdns0() != nil {
				b = b[:len(b)-1]
			}
			buf := make([]byte, maxUDP)
			for range 20 * answerBurst {
				if _, err := nc.Write(b); err != nil {
					t.Fatal(err)
				}
				nc.SetReadDeadline(time.Now().Add(10 * time.Second))
				n, err := nc.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				m := new(dns.Msg)
				if err := m.Unpack(buf[:n]); err != nil {
					t.Fatal(err)
				}
				if m.Truncated {
					return
				}
			}
			t.Errorf("%d questions are all answered", 20*answerBurst)
		})
	}
}

// What is no question is not answered, or as one that cannot be understood; the
// server goes on.
func TestGarbage(t *testing.T) {
	_, addr := serve(t, Config{Domain: "share.test", Addresses: addresses()})
	for _, network := range []string{"udp", "tcp"} {
		nc, err := net.Dial(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		nc.Write([]byte(strings.Repeat("\xff", 100)))
		nc.Close()
	}
	// An answer is not answered: two servers would go on for ever.
	nc, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	answer := question("share.test.", dns.TypeA)
	answer.Response = true
	b, err := answer.Pack()
	if err != nil {
		t.Fatal(err)
	}
	nc.Write(b)
	q := question("share.test.", dns.TypeA)
	b, _ = q.Pack()
	nc.Write(b)
	nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, maxUDP)
	n, err := nc.Read(buf)
	m := new(dns.Msg)
	if err != nil || m.Unpack(buf[:n]) != nil || m.Id != q.Id {
		t.Errorf("the first answer is %v, %v", m, err)
	}
}

func TestListenInUse(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		var taken net.Addr
		if network == "tcp" {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			taken = ln.Addr()
		} else {
			pc, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			taken = pc.LocalAddr()
		}
		s, err := New(Config{Domain: "share.test"})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(taken.String()); err == nil {
			t.Errorf("a port that is taken over %s is listened at", network)
		}
	}
}

func TestNew(t *testing.T) {
	for _, domain := range []string{"", "a..b", strings.Repeat("x", 64) + ".test", strings.Repeat("x.", maxDomain)} {
		if _, err := New(Config{Domain: domain}); err == nil {
			t.Errorf("domain %.70q is taken", domain)
		}
	}
	many := addresses()
	for len(many) <= maxAddresses {
		many = append(many, many[0])
	}
	if _, err := New(Config{Domain: "share.test", Addresses: many}); err == nil {
		t.Error("there is no bound on addresses")
	}
}
