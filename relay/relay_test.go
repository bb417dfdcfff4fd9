package relay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"share/relay/edge"
	"share/relay/route"
	"share/tunnel"
)

func TestNew(t *testing.T) {
	for _, domain := range []string{".share.test", "share.test.", "a:80", "http://share.test", "a b"} {
		if _, err := New(Config{Domain: domain}); err == nil {
			t.Errorf("domain %q is accepted", domain)
		}
	}
	for _, public := range []string{"ftp://share.test", "share.test", "https:///", "//share.test"} {
		u, err := url.Parse(public)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{PublicURL: u}); err == nil {
			t.Errorf("public URL %q is accepted", public)
		}
	}
}

func TestLookup(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "Public.test:8443"}
	lan := []netip.Addr{netip.MustParseAddr("192.168.1.2"), netip.MustParseAddr("fd00::2")}
	tests := []struct {
		cfg  Config
		host string
		want string // "x", "home" or ""
	}{
		{Config{}, "x.localhost", "x"},
		{Config{}, "y.localhost", ""},
		{Config{}, "a.x.localhost", ""},
		{Config{}, ".localhost", ""},
		{Config{}, "xlocalhost", ""},
		{Config{}, "localhost", "home"},
		{Config{}, "127.0.0.1", "home"},
		{Config{}, "::1", "home"},
		{Config{}, "192.0.2.1", ""},
		{Config{}, "", ""},
		{Config{Domain: "Share.Test"}, "x.share.test", "x"},
		{Config{Domain: "Share.Test"}, "share.test", "home"},
		{Config{Domain: "Share.Test"}, "x.localhost", ""},
		{Config{Domain: "Share.Test"}, "127.0.0.1", ""},
		{Config{PublicURL: public}, "x.public.test", "x"},
		{Config{PublicURL: public, Domain: "in.test"}, "x.in.test", "x"},
		{Config{PublicURL: public, Domain: "in.test"}, "x.public.test", ""},
		{Config{Sole: true}, "x.localhost", "x"},
		{Config{Sole: true}, "localhost", "x"},
		{Config{Sole: true}, "127.0.0.1", "x"},
		{Config{Sole: true}, "::1", "x"},
		{Config{Sole: true}, "y.localhost", ""},
		{Config{Sole: true}, "example.com", ""},
		{Config{Sole: true}, "192.168.1.2", ""},
		{Config{Sole: true, Addresses: lan}, "192.168.1.2", "x"},
		{Config{Sole: true, Addresses: lan}, "fd00::2", "x"},
		{Config{Sole: true, Addresses: lan}, "192.168.1.3", ""},
		{Config{Sole: true, Addresses: lan}, "x.localhost", "x"},
	}
	for _, tt := range tests {
		r, err := New(tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		x, err := r.names.Bind(t.Context(), route.Claim{Name: "x", Session: new(tunnel.Session)})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]edge.Place{"x": {Tunnel: x}, "home": {Home: true}}[tt.want]
		if got := r.lookup([]byte(tt.host)); got != want {
			t.Errorf("%+v: %q leads to %+v, want %q", tt.cfg, tt.host, got, tt.want)
		}
	}
}

func TestTunnelURL(t *testing.T) {
	door := func(kind, addr string) Door {
		a, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		d := Door{Listener: fakeListener{addr: a}, Kind: kind, AgentsOnly: kind == doorAgents, Redirect: kind == doorRedirect}
		if kind == doorHTTPS || kind == doorAgents {
			d.Certificate = new(Certificate)
		}
		return d
	}
	front := &url.URL{Scheme: "https", Host: "share.test:8443", Path: "/ignored", User: url.User("ignored")}
	lan := []netip.Addr{netip.MustParseAddr("192.168.1.2"), netip.MustParseAddr("fd00::2")}
	tests := []struct {
		cfg   Config
		doors []Door
		want  string
	}{
		{Config{}, []Door{door(doorHTTP, "127.0.0.1:7070")}, "http://x.localhost:7070"},
		{Config{Domain: "share.test"}, []Door{door(doorHTTP, ":80")}, "http://x.share.test"},
		{Config{Domain: "share.test"}, []Door{door(doorHTTP, ":80"), door(doorHTTPS, ":443")}, "https://x.share.test"},
		{Config{Domain: "share.test"}, []Door{door(doorHTTPS, ":8443"), door(doorHTTP, ":80")}, "https://x.share.test:8443"},
		{Config{Domain: "share.test"}, []Door{door(doorHTTP, ":443"), door(doorAgents, ":444")}, "http://x.share.test:443"},
		{Config{Domain: "share.test"}, []Door{door(doorRedirect, ":80"), door(doorHTTP, ":8080")}, "http://x.share.test:8080"},
		{Config{Domain: "in.test", PublicURL: front}, []Door{door(doorHTTP, ":80")}, "https://x.share.test:8443"},
		{Config{Sole: true, Addresses: lan}, []Door{door(doorHTTP, "127.0.0.1:7070")}, "http://192.168.1.2:7070"},
		{Config{Sole: true, Addresses: lan[1:]}, []Door{door(doorHTTP, "127.0.0.1:7070")}, "http://[fd00::2]:7070"},
	}
	for _, tt := range tests {
		r, err := New(tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		r.public = r.publicURL(tt.doors)
		if got := r.tunnelURL("x"); got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.cfg, got, tt.want)
		}
	}
}

func TestAgentAddress(t *testing.T) {
	plain := Door{Listener: fakeListener{addr: &net.TCPAddr{Port: 80}}, Kind: doorHTTP}
	redirect := Door{Listener: fakeListener{addr: &net.TCPAddr{Port: 81}}, Kind: doorRedirect, Redirect: true}
	secure := Door{Listener: fakeListener{addr: &net.TCPAddr{Port: 443}}, Kind: doorHTTPS, Certificate: new(Certificate)}
	agents := Door{Listener: fakeListener{addr: &net.TCPAddr{Port: 4443}}, Kind: doorAgents, AgentsOnly: true, Certificate: new(Certificate)}
	tests := []struct {
		cfg   Config
		doors []Door
		want  string
	}{
		{Config{Domain: "share.test"}, []Door{plain, secure}, "share.test"},
		{Config{Domain: "share.test"}, []Door{plain, agents}, "share.test:4443"},
		{Config{Domain: "share.test"}, []Door{redirect, plain}, "http://share.test"},
		{Config{Domain: "share.test", PublicURL: &url.URL{Scheme: "https", Host: "front.test"}}, []Door{plain}, ""},
		{Config{}, []Door{secure}, ""},
	}
	for _, tt := range tests {
		r, err := New(tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.AgentAddress(tt.doors); got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.cfg, got, tt.want)
		}
	}
}

// Where hosts are, for those who ask a door that redirects.
func TestElsewhere(t *testing.T) {
	tests := []struct{ domain, public, host, want string }{
		{"share.test", "https://share.test", "share.test", "https://share.test"},
		{"share.test", "https://share.test", "x.share.test", "https://x.share.test"},
		{"share.test", "https://share.test:8443", "x.share.test", "https://x.share.test:8443"},
		{"share.test", "https://share.test:8443", "share.test", "https://share.test:8443"},
		{"share.test", "https://share.test", "a.x.share.test", ""},
		{"share.test", "https://share.test", ".share.test", ""},
		{"share.test", "https://share.test", "-x.share.test", ""},
		{"share.test", "https://share.test", "x%2f.share.test", ""},
		{"share.test", "https://share.test", "xshare.test", ""},
		{"share.test", "https://share.test", "share.test.evil.test", ""},
		{"share.test", "https://share.test", "evil.test", ""},
		{"share.test", "https://share.test", "127.0.0.1", ""},
		{"in.test", "https://Public.test", "x.in.test", "https://x.Public.test"},
		{"in.test", "https://Public.test", "x.public.test", "https://x.Public.test"},
		{"in.test", "https://Public.test", "public.test", "https://Public.test"},
	}
	for _, tt := range tests {
		public, err := url.Parse(tt.public)
		if err != nil {
			t.Fatal(err)
		}
		r, err := New(Config{Domain: tt.domain, PublicURL: public})
		if err != nil {
			t.Fatal(err)
		}
		r.public = r.publicURL(nil)
		if got := r.elsewhere([]byte(tt.host)); got != tt.want {
			t.Errorf("%s of %s: got %q, want %q", tt.host, tt.public, got, tt.want)
		}
	}
}

// A front that ends TLS, and whose word for that is not taken, is warned of.
func TestFrontIsNotBelieved(t *testing.T) {
	front := &url.URL{Scheme: "https", Host: "share.test"}
	believed := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	tests := []struct {
		cfg         Config
		certificate Certificates
		want        bool
	}{
		{Config{PublicURL: front}, nil, true},
		{Config{PublicURL: front, TrustedProxies: believed}, nil, false},
		{Config{PublicURL: front}, newCertificate(t, "share.test", "*.share.test"), false},
		{Config{PublicURL: &url.URL{Scheme: "http", Host: "share.test"}}, nil, false},
		{Config{}, nil, false},
	}
	for _, tt := range tests {
		log := &lines{}
		tt.cfg.Logger = newLogger(log)
		r, err := New(tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		r.public, r.certificate = r.publicURL(nil), tt.certificate
		r.warn(nil)
		if got := log.has("--trusted-proxies"); got != tt.want {
			t.Errorf("%+v: warned %v, want %v", tt.cfg, got, tt.want)
		}
	}
}

func TestHome(t *testing.T) {
	s := serve(t, Config{Domain: "share.test"}, nil, doorHTTP)
	resp, body := get(t, s.dial(doorHTTP), "share.test")
	_, port, _ := net.SplitHostPort(s.addrs[doorHTTP])
	if resp.StatusCode != 200 || !strings.Contains(body, "http://NAME.share.test:"+port) {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
}

// A relay for one agent takes it in-process, and no other.
func TestSole(t *testing.T) {
	s := serve(t, Config{Sole: true}, nil, doorHTTP)
	if resp, _ := get(t, s.dial(doorHTTP), "localhost"); resp.StatusCode != 404 {
		t.Errorf("without an agent: %d", resp.StatusCode)
	}
	ours, theirs := net.Pipe()
	attached := make(chan bool)
	go func() {
		s.Attach(context.Background(), theirs)
		close(attached)
	}()
	a, err := connect(t, ours, tunnel.Hello{}, say("sole"), &tunnel.Bind{ID: 1, Kind: "http", Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	a.receive()
	for _, host := range []string{"localhost", "127.0.0.1:1", "[::1]:1", "x.localhost"} {
		if _, body := get(t, s.dial(doorHTTP), host); body != "sole" {
			t.Errorf("%s answers %q", host, body)
		}
	}
	if _, err := connect(t, s.dial(doorHTTP), tunnel.Hello{}, say("")); !errors.Is(err, tunnel.ErrNotRelay) {
		t.Errorf("another agent: %v", err)
	}
	a.Close()
	await(t, attached, "the end of Attach")

	// Before Serve, Attach waits; its context ends it.
	r, err := New(Config{Sole: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ours, theirs = net.Pipe()
	r.Attach(ctx, theirs)
	if _, err := ours.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
}

// A fakeListener fails as it is told to.
type fakeListener struct {
	addr   net.Addr
	errors chan error
}

func (l fakeListener) Accept() (net.Conn, error) { return nil, <-l.errors }
func (l fakeListener) Close() error              { return nil }
func (l fakeListener) Addr() net.Addr            { return l.addr }

// temporary is an error of Accept that passes.
type temporary struct{}

func (temporary) Error() string   { return "too many open files" }
func (temporary) Timeout() bool   { return false }
func (temporary) Temporary() bool { return true }

func TestAcceptFails(t *testing.T) {
	log := &lines{}
	r, err := New(Config{Logger: newLogger(log)})
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	l := fakeListener{&net.TCPAddr{}, make(chan error, 4)}
	for range 3 {
		l.errors <- temporary{}
	}
	l.errors <- broken
	if err := r.Serve(t.Context(), Door{Listener: l, Kind: doorHTTP}); !errors.Is(err, broken) {
		t.Errorf("Serve returned %v", err)
	}
	if n := strings.Count(log.String(), "cannot accept"); n != 1 {
		t.Errorf("%d lines about one trouble: %s", n, log)
	}
}
