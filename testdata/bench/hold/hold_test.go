package hold

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"share/relay"
	"share/testdata/bench/rig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a relay in this process and returns its addresses, for visitors
// and for agents over TLS, and the authority of its certificate.
func serve(t *testing.T, cfg relay.Config) (http, https string, ca *x509.CertPool) {
	t.Helper()
	cert, key, err := rig.WriteCert(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	ca = x509.NewCertPool()
	ca.AppendCertsFromPEM(text)
	addresses := relay.Addresses{HTTP: "127.0.0.1:0", HTTPS: "127.0.0.1:0"}
	if addresses.Certificate, err = relay.LoadCertificate(cert, key); err != nil {
		t.Fatal(err)
	}
	cfg.Grace = -1
	r, err := relay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	doors, err := addresses.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.Serve(ctx, doors...) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return doors[0].Addr().String(), doors[1].Addr().String(), ca
}

// Each agent that is held has its name, and answers for it.
func TestHold(t *testing.T) {
	var tokens relay.Tokens
	for i := range 2 {
		if err := tokens.Add(fmt.Sprintf("account%d", i), fmt.Sprintf("token%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	web, agents, ca := serve(t, relay.Config{Tokens: tokens})
	for _, cfg := range []Config{
		{Relay: web, Name: "plain"},
		{Relay: agents, Name: "tls", CA: ca, Source: "127.0.0.9"},
	} {
		cfg.Count = 40
		cfg.Token = func(i int) string { return fmt.Sprintf("token%d", i%2) }
		h, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		for i := range cfg.Count {
			if got := get(t, web, h.NameOf(i)); got != "idle\n" {
				t.Fatalf("%s answers %q", h.NameOf(i), got)
			}
		}
		if h.Lost() != 0 {
			t.Errorf("%d sessions are lost", h.Lost())
		}
		h.Close()
		if h.Lost() != cfg.Count {
			t.Errorf("%d sessions of %d have ended after Close", h.Lost(), cfg.Count)
		}
	}
}

// One agent without its name fails all.
func TestRefused(t *testing.T) {
	web, _, _ := serve(t, relay.Config{})
	tests := []struct {
		cfg  Config
		want string
	}{
		{Config{Relay: web, Name: "many", Count: 101}, "limit"}, // of one account
		{Config{Relay: web, Name: "no_name", Count: 1}, "no DNS label"},
		{Config{Relay: "127.0.0.1:1", Name: "nowhere", Count: 3}, "refused"},
	}
	for _, test := range tests {
		h, err := Open(t.Context(), test.cfg)
		if err == nil {
			h.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test.cfg, err)
		}
	}
}

func get(t *testing.T, addr, name string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host, req.Close = name+".localhost", true
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
