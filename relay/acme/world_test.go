package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"share/relay/dns"
	"share/testdata/pebble"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// lines gathers a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) has(text string) bool { return strings.Contains(l.String(), text) }

// startCA starts a CA that lasts as long as the test.
func startCA(t *testing.T, cfg pebble.Config) *pebble.CA {
	t.Helper()
	ca, err := pebble.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ca.Close() })
	return ca
}

// startDNS starts a relay's DNS server for share.test, and returns it and where
// it answers.
func startDNS(t *testing.T) (*dns.Server, string) {
	t.Helper()
	s, err := dns.New(dns.Config{Domain: "share.test"})
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

// A kept is Certificates that are kept until stop, or the test's end.
type kept struct {
	*Certificates
	t    *testing.T
	log  *lines
	stop func()
}

// keep keeps the certificates of share.test in dir, from ca.
func keep(t *testing.T, ca *pebble.CA, dir string, records Records, wanted func(string) bool, edits ...func(*Certificates)) *kept {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Identity.PEM)
	k := &kept{t: t, log: &lines{}}
	var err error
	k.Certificates, err = New(Config{Domain: "share.test", Email: "ops@share.test", Directory: ca.URL, Roots: roots, Records: records,
		Logger: slog.New(slog.NewTextHandler(k.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Open(dir); err != nil {
		t.Fatal(err)
	}
	k.pause = func(int) time.Duration { return 10 * time.Millisecond }
	for _, edit := range edits {
		edit(k.Certificates)
	}
	k.Want(func(host string) Want {
		if wanted != nil && wanted(host) {
			return Obtain
		}
		return Nothing
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.Run(ctx)
	}()
	k.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(k.stop)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(k.log)
		}
	})
	return k
}

// leaf returns the certificate that a host is shown, nil if it is none.
func (k *kept) leaf(host string) *x509.Certificate {
	pair, _ := k.Certificate(hello(host))
	if pair == nil {
		return nil
	}
	return pair.Leaf
}

// await waits until a host is shown a certificate that is not old.
func (k *kept) await(host string, old *x509.Certificate) *x509.Certificate {
	k.t.Helper()
	var leaf *x509.Certificate
	until(k.t, "a certificate for "+host, func() bool {
		leaf = k.leaf(host)
		return leaf != nil && !leaf.Equal(old)
	})
	return leaf
}

// hello is a handshake's first message.
func hello(host string, protocols ...string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{ServerName: host, SupportedProtos: protocols}
}

// until waits until is holds.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// trusted fails the test unless the CA has signed what a host is shown, for that
// host.
func trusted(t *testing.T, ca *pebble.CA, k *kept, host string) {
	t.Helper()
	pair, err := k.Certificate(hello(host))
	if err != nil {
		t.Fatalf("%s: %v", host, err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Root)
	for _, der := range pair.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		between.AddCert(c)
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: between}); err != nil {
		t.Errorf("%s: %v", host, err)
	}
}
