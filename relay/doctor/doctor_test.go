package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"share/tunnel/cmdline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is a machine and a relay that are as they should be, until a test
// changes something.
type world struct {
	*Doctor
	names map[string]string // what a host resolves to; * is for all others
	leaf  *x509.Certificate
	below *x509.Certificate // for names below the domain; if nil, leaf
	mute  bool              // there is none for them
	page  string
	date  time.Time
	serve string            // where the relay listens
	down  map[string]string // why an address cannot be connected to
	file  bool              // the certificate is that of a file
}

func newWorld(t *testing.T) *world {
	t.Helper()
	u, err := url.Parse("https://share.example.com")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	w := &world{
		names: map[string]string{"share.example.com": "203.0.113.9,2001:db8::9", "*": "2001:db8::9,203.0.113.9"},
		leaf: &x509.Certificate{
			SerialNumber: big.NewInt(1), DNSNames: []string{"share.example.com", "*.share.example.com"},
			NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(60 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		},
		page: relayPage + "\n",
		down: map[string]string{},
	}
	data := t.TempDir()
	if err := os.Chmod(data, 0o700); err != nil {
		t.Fatal(err)
	}
	w.Doctor = &Doctor{
		Public: u, Redirect: "80", Data: data,
		Operate:    func(context.Context) error { return nil },
		CheckStore: func() error { return nil },
		Machine: Machine{
			Lookup: func(_ context.Context, host string) (addrs []netip.Addr, err error) {
				texts, ok := w.names[host]
				if !ok {
					texts = w.names["*"]
				}
				if texts == "" {
					return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
				}
				for text := range strings.SplitSeq(texts, ",") {
					a, err := netip.ParseAddr(text)
					if err != nil {
						return nil, errors.New(text)
					}
					addrs = append(addrs, a)
				}
				return addrs, nil
			},
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				if why := w.down[address]; why != "" {
					return nil, errors.New(why)
				}
				return new(net.Dialer).DialContext(ctx, network, w.serve)
			},
			Addresses: func() ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("2001:db8::9")}, nil
			},
			Now:         time.Now,
			Synchronous: func() (time.Duration, bool, bool) { return 3 * time.Millisecond, true, true },
			Descriptors: func() (uint64, error) { return 65536, nil },
			Free:        func(string) (uint64, error) { return 5 << 30, nil },
		},
	}
	return w
}

// run serves the relay and looks at it.
func (w *world) run(t *testing.T) []cmdline.Result {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(c *x509.Certificate) (*x509.Certificate, *tls.Certificate) {
		der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return leaf, &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	leaf, pair := issue(w.leaf)
	below, belowPair := leaf, pair
	if w.below != nil {
		below, belowPair = issue(w.below)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !w.date.IsZero() {
			rw.Header().Set("Date", w.date.UTC().Format(http.TimeFormat))
		}
		io.WriteString(rw, w.page)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	if w.Public.Scheme == "https" {
		srv.TLS = &tls.Config{
			Certificates: []tls.Certificate{*pair},
			GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				switch {
				case hello.ServerName == w.Public.Hostname():
					return pair, nil
				case w.mute:
					return nil, errors.New("nobody holds the name")
				}
				return belowPair, nil
			},
		}
		srv.StartTLS()
	} else {
		srv.Start()
	}
	defer srv.Close()
	w.serve = srv.Listener.Addr().String()
	if w.Machine.Roots == nil {
		w.Machine.Roots = x509.NewCertPool()
		w.Machine.Roots.AddCert(leaf)
		w.Machine.Roots.AddCert(below)
	}
	if w.file {
		w.File = []*x509.Certificate{leaf}
	}
	return w.Doctor.Run(t.Context())
}

func find(results []cmdline.Result, check cmdline.Check) cmdline.Result {
	for _, r := range results {
		if r.Check == check {
			return r
		}
	}
	return cmdline.Result{}
}

func TestHealthy(t *testing.T) {
	w := newWorld(t)
	results := w.run(t)
	for _, r := range results {
		if r.State != cmdline.StateOK || r.Cure != "" || r.Detail == "" {
			t.Errorf("%+v", r)
		}
	}
	if len(results) != 13 {
		t.Errorf("%d checks", len(results))
	}
}

// TestChecks changes one thing at a time.
func TestChecks(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	tests := []struct {
		name   string
		change func(*world)
		check  cmdline.Check
		state  cmdline.State
		detail string
		cure   string
	}{
		{"no record", func(w *world) { w.names["share.example.com"] = "" }, "dns", cmdline.StateFailed, "share.example.com does not resolve", "share.example.com. A 203.0.113.9"},
		{"no record at home", func(w *world) {
			w.names["share.example.com"] = ""
			w.Machine.Addresses = func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("10.0.0.5")}, nil }
		}, "dns", cmdline.StateFailed, "does not resolve", "A and AAAA with the addresses of this machine"},
		{"no record, so no port", func(w *world) { w.names["share.example.com"] = "" }, "port 443", cmdline.StateSkipped, "no address", ""},
		{"no record, so no certificate", func(w *world) { w.names["share.example.com"] = "" }, "certificate", cmdline.StateSkipped, "nothing answers", ""},
		{"a resolver that is broken", func(w *world) { w.names["share.example.com"] = "server misbehaving" }, "dns", cmdline.StateFailed, "server misbehaving", "/etc/resolv.conf"},
		{"a hosts file", func(w *world) { w.names["share.example.com"] = "127.0.1.1" }, "dns", cmdline.StateFailed, "127.0.1.1 here", "/etc/hosts"},
		{"an address for a domain", func(w *world) { w.Public.Host = "203.0.113.9" }, "dns", cmdline.StateFailed, "is an address", "--domain"},
		{"localhost", func(w *world) { w.Public.Host = "localhost" }, "dns", cmdline.StateSkipped, "this machine", ""},
		{"no wildcard", func(w *world) { w.names["*"] = "" }, "wildcard", cmdline.StateFailed, "no record for *", "*.share.example.com. CNAME share.example.com."},
		{"a wildcard elsewhere", func(w *world) { w.names["*"] = "198.51.100.1" }, "wildcard", cmdline.StateFailed, "is 198.51.100.1, and share.example.com is 203.0.113.9, 2001:db8::9", "CNAME"},
		{"a wildcard that cannot be looked up", func(w *world) { w.names["*"] = "server misbehaving" }, "wildcard", cmdline.StateFailed, "server misbehaving", "servers answer"},
		{"NAT", func(w *world) {
			w.Machine.Addresses = func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("10.0.0.5")}, nil }
		}, "address", cmdline.StateSkipped, "none of this machine's (10.0.0.5)", ""},
		{"a front", func(w *world) {
			w.Front = true
			w.Machine.Addresses = func() ([]netip.Addr, error) { return nil, nil }
		}, "address", cmdline.StateSkipped, "there is a front", ""},
		{"one address elsewhere", func(w *world) {
			w.Machine.Addresses = func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("203.0.113.9")}, nil }
		}, "address", cmdline.StateFailed, "2001:db8::9 is not", "out of the zone"},
		{"a closed port", func(w *world) { w.down["203.0.113.9:443"] = "connection refused" }, "port 443", cmdline.StateFailed, "203.0.113.9: connection refused", "let it through the firewall"},
		{"a closed port for redirects", func(w *world) { w.down["[2001:db8::9]:80"] = "no route" }, "port 80", cmdline.StateFailed, "2001:db8::9: no route", "port 80"},
		{"a closed port for agents", func(w *world) {
			w.Agents = "7443"
			w.down["203.0.113.9:7443"] = "connection refused"
		}, "port 7443", cmdline.StateFailed, "connection refused", "port 7443"},
		{"any port", func(w *world) { w.Public.Host = "share.example.com:0" }, "port 0", cmdline.StateSkipped, "name one", ""},
		{"another server", func(w *world) { w.page = "It works!" }, "answer", cmdline.StateFailed, "203.0.113.9 answers 200 OK, and not as a relay", "stop what listens there"},
		{"nobody", func(w *world) {
			w.down["203.0.113.9:443"], w.down["[2001:db8::9]:443"] = "connection refused", "connection refused"
		}, "answer", cmdline.StateSkipped, "nothing answers", ""},
		{"no wildcard certificate", func(w *world) { w.leaf.DNSNames = w.leaf.DNSNames[:1] }, "certificate", cmdline.StateFailed, "does not cover *.share.example.com, but share.example.com", "*.share.example.com"},
		{"another's certificate", func(w *world) { w.leaf.DNSNames = []string{"x.test"} }, "certificate", cmdline.StateFailed, "does not cover share.example.com, but x.test", "share.example.com"},
		{"an old certificate", func(w *world) { w.leaf.NotAfter = now.Add(-time.Hour) }, "certificate", cmdline.StateFailed, "has expired", "renew"},
		{"a certificate of tomorrow", func(w *world) { w.leaf.NotBefore = now.Add(day) }, "certificate", cmdline.StateFailed, "this machine's clock says", "set the clock"},
		{"a certificate about to end", func(w *world) { w.leaf.NotBefore, w.leaf.NotAfter = now.Add(-80*day), now.Add(5*day+time.Hour) }, "certificate", cmdline.StateFailed, "expires in 5 days", "renew"},
		{"a young certificate of six days", func(w *world) { w.leaf.NotAfter = now.Add(5*day + time.Hour) }, "certificate", cmdline.StateOK, "expires in 5 days", ""},
		{"a CA of one's own", func(w *world) { w.Machine.Roots = x509.NewCertPool() }, "certificate", cmdline.StateFailed, "not trusted here", "--relay-ca"},
		{"a certificate for the domain and one for names", func(w *world) {
			below := *w.leaf
			w.leaf.DNSNames, below.DNSNames, w.below = w.leaf.DNSNames[:1], below.DNSNames[1:], &below
			w.below.NotAfter = now.Add(40*day + time.Hour)
		}, "certificate", cmdline.StateOK, "expires in 40 days; it covers share.example.com and *.share.example.com", ""},
		{"names with an old certificate of their own", func(w *world) {
			below := *w.leaf
			below.NotAfter, w.below = now.Add(-time.Hour), &below
		}, "certificate", cmdline.StateFailed, "has expired", "renew"},
		{"names without a certificate", func(w *world) { w.mute = true }, "certificate", cmdline.StateFailed, "asked for share-doctor-", "the relay's log"},
		{"names that get their own", func(w *world) {
			w.leaf.DNSNames = w.leaf.DNSNames[:1]
			w.mute, w.CA, w.Demand = true, true, true
		}, "certificate", cmdline.StateOK, "it covers share.example.com, as names have their own", ""},
		{"a CA that gives no other", func(w *world) {
			w.leaf.NotBefore, w.leaf.NotAfter = now.Add(-80*day), now.Add(5*day+time.Hour)
			w.CA = true
		}, "certificate", cmdline.StateFailed, "expires in 5 days", "why the CA has given no other"},
		{"a file before the first start", func(w *world) { w.names["share.example.com"], w.file = "", true }, "certificate", cmdline.StateOK, "covers share.example.com and *.share.example.com", ""},
		{"a bad file before the first start", func(w *world) {
			w.names["share.example.com"], w.file = "", true
			w.leaf.DNSNames = w.leaf.DNSNames[:1]
		}, "certificate", cmdline.StateFailed, "does not cover *.share.example.com", "*.share.example.com"},
		{"plain HTTP", func(w *world) { w.Public.Scheme = "http" }, "certificate", cmdline.StateSkipped, "plain HTTP", ""},
		{"a wrong clock", func(w *world) { w.date = now.Add(-time.Hour) }, "clock", cmdline.StateFailed, "differs by 1h0m", "NTP"},
		{"a free clock", func(w *world) { w.Machine.Synchronous = func() (time.Duration, bool, bool) { return 0, false, true } }, "clock", cmdline.StateSkipped, "nothing keeps it right", ""},
		{"a clock that nobody knows", func(w *world) { w.Machine.Synchronous = func() (time.Duration, bool, bool) { return 0, false, false } }, "clock", cmdline.StateSkipped, "no other clock", ""},
		{"few descriptors", func(w *world) { w.Machine.Descriptors = func() (uint64, error) { return 1024, nil } }, "descriptors", cmdline.StateFailed, "may have 1024", "LimitNOFILE=65536"},
		{"descriptors that cannot be told", func(w *world) { w.Machine.Descriptors = func() (uint64, error) { return 0, errors.ErrUnsupported } }, "descriptors", cmdline.StateSkipped, "unsupported", ""},
		{"no relay", func(w *world) { w.Operate = func(context.Context) error { return errors.New("no relay runs there") } }, "socket", cmdline.StateFailed, "no relay runs there", "start share relay"},
		{"another user", func(w *world) { w.Operate = func(context.Context) error { return fs.ErrPermission } }, "socket", cmdline.StateFailed, "permission denied", "as the relay's user"},
		{"nothing kept", func(w *world) { w.Data = "" }, "socket", cmdline.StateSkipped, "takes no commands", ""},
		{"nothing kept, so no folder", func(w *world) { w.Data = "" }, "folder", cmdline.StateSkipped, "keeps nothing", ""},
		{"nothing kept, so no database", func(w *world) { w.Data = "" }, "database", cmdline.StateSkipped, "keeps nothing", ""},
		{"no folder yet", func(w *world) { w.Data = filepath.Join(w.Data, "x") }, "folder", cmdline.StateSkipped, "when the relay first starts", ""},
		{"a full disk", func(w *world) { w.Machine.Free = func(string) (uint64, error) { return 20 << 20, nil } }, "disk", cmdline.StateFailed, "20 MiB free: want 512 MiB", "make room"},
		{"no folder to have room", func(w *world) { w.Machine.Free = func(string) (uint64, error) { return 0, fs.ErrNotExist } }, "disk", cmdline.StateSkipped, "when the relay first starts", ""},
		{"a database of a stopped relay", func(w *world) { w.Operate = func(context.Context) error { return fs.ErrNotExist } }, "database", cmdline.StateOK, "it is whole", ""},
		{"a corrupt database", stopped(errors.New("page 3 is used twice")), "database", cmdline.StateFailed, "page 3", "share relay restore"},
		{"no database", stopped(fs.ErrNotExist), "database", cmdline.StateSkipped, "none yet", ""},
		{"a busy database", stopped(fmt.Errorf("data: %w", ErrBusy)), "database", cmdline.StateSkipped, "has it open", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.change(w)
			r := find(w.run(t), tt.check)
			if r.State != tt.state || !strings.Contains(r.Detail, tt.detail) || !strings.Contains(r.Cure, tt.cure) || (r.Cure != "") != (r.State == cmdline.StateFailed) {
				t.Errorf("got %+v, want %s: %s; cure: %s", r, tt.state, tt.detail, tt.cure)
			}
		})
	}
}

// stopped is a relay that does not run, whose database has something.
func stopped(err error) func(*world) {
	return func(w *world) {
		w.Operate = func(context.Context) error { return errors.New("no relay runs there") }
		w.CheckStore = func() error { return err }
	}
}

func TestFolder(t *testing.T) {
	w := newWorld(t)
	if runtime.GOOS != "windows" {
		if err := os.Chmod(w.Data, 0o755); err != nil {
			t.Fatal(err)
		}
		if r := w.checkFolder(); r.State != cmdline.StateFailed || r.Cure != "chmod 700 "+w.Data {
			t.Errorf("open to others: %+v", r)
		}
	}
	w.Data = filepath.Join(w.Data, "file")
	if err := os.WriteFile(w.Data, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := w.checkFolder(); r.State != cmdline.StateFailed || !strings.Contains(r.Detail, "no folder") {
		t.Errorf("a file: %+v", r)
	}
}

// This machine can be looked at.
func TestLocal(t *testing.T) {
	m := Local()
	if _, err := m.Addresses(); err != nil {
		t.Error(err)
	}
	if runtime.GOOS == "linux" {
		if n, err := m.Descriptors(); n == 0 || err != nil {
			t.Errorf("%d descriptors, %v", n, err)
		}
		if n, err := m.Free(t.TempDir()); n == 0 || err != nil {
			t.Errorf("%d bytes free, %v", n, err)
		}
	}
	if _, err := m.Free(filepath.Join(t.TempDir(), "x")); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("no folder: %v", err)
	}
	m.Synchronous() // whatever it says
}
