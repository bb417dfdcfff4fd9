package relay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"share/relay/account"
	"share/relay/identity/identitytest"
	"share/relay/store"
	"share/tunnel"
)

// trusting returns a relay that trusts a repository of the issuer.
func trusting(t *testing.T) (*serving, *identitytest.Issuer, *account.Accounts, account.Trust) {
	t.Helper()
	a, _ := accounts(t)
	return trustingWith(t, a)
}

// trustingWith is trusting with the accounts a.
func trustingWith(t *testing.T, a *account.Accounts) (*serving, *identitytest.Issuer, *account.Accounts, account.Trust) {
	t.Helper()
	i := identitytest.New(nil)
	t.Cleanup(i.Close)
	trust, err := a.AddTrust(t.Context(), account.Trust{Kind: account.KindGitHub, Issuer: i.URL, Subject: "repo:acme/web", Account: "ci", Names: []string{"web-pr-*"}, MaxTunnels: 1})
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, Config{Accounts: a, Issuers: i.Transport(), Domain: "share.example.com"}, nil, doorHTTP), i, a, trust
}

// job is what a token says of a job in the repository with an id.
func job(id string, changes map[string]any) map[string]any {
	claims := map[string]any{"sub": "repo:acme/web:pull_request", "aud": "https://share.example.com", "repository": "acme/web", "repository_id": id, "repository_owner_id": "1"}
	for name, v := range changes {
		claims[name] = v
	}
	return claims
}

func TestIdentity(t *testing.T) {
	s, i, a, trust := trusting(t)
	shown := i.Token(job("7", nil))
	ag, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: shown}, say("hello"))
	if err != nil || ag.Welcome.Account != "ci" {
		t.Fatalf("%+v, %v", ag, err)
	}
	if _, ok := ag.bind(tunnel.Bind{ID: 1, Name: "web-pr-1"}).(*tunnel.Bound); !ok {
		t.Error("not bound")
	}
	if no, ok := ag.bind(tunnel.Bind{ID: 2, Name: "web"}).(*tunnel.BindError); !ok || !strings.Contains(no.Message, "web-pr-*") {
		t.Errorf("another name: %+v", no)
	}
	if no, ok := ag.bind(tunnel.Bind{ID: 3, Name: "web-pr-2"}).(*tunnel.BindError); !ok || no.Code != tunnel.RejectQuota {
		t.Errorf("a tunnel more: %+v", no)
	}
	if !s.log.has("repo:acme/web:pull_request") || s.log.has(shown) {
		t.Errorf("the log wants the identity, and not its token: %s", s.log)
	}

	// Whom the trust was taken from is gone, and does not come back.
	if _, err := a.RemoveTrust(t.Context(), trust.ID); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ag.Done():
	case <-time.After(5 * time.Second):
		t.Error("the session lives 5 s later")
	}
	_, err = connect(t, s.dial(doorHTTP), tunnel.Hello{Token: i.Token(job("7", nil))}, say(""))
	wantTokenRefused(t, err, "no identity of the issuer")
}

func TestIdentityRefused(t *testing.T) {
	s, i, _, _ := trusting(t)
	now := time.Now()
	if _, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: i.Token(job("7", nil))}, say("")); err != nil {
		t.Fatal(err) // it pins the trust
	}
	for name, c := range map[string]struct{ token, want string }{
		"a repository made anew": {i.Token(job("8", nil)), `identity "repo:acme/web:pull_request": the name is trusted, but for other ids: its repository_id is 8, and not 7`},
		"another repository":     {i.Token(job("7", map[string]any{"repository": "acme/api"})), "no trust is for this identity"},
		"another audience":       {i.Token(job("7", map[string]any{"aud": "https://sts.example.com"})), "not for https://share.example.com"},
		"one that has expired":   {i.Token(job("7", map[string]any{"exp": now.Add(-time.Hour).Unix()})), "has expired"},
		"one of a fast clock":    {i.Token(job("7", map[string]any{"iat": now.Add(time.Hour).Unix()})), "one of the clocks is wrong"},
		"another issuer":         {i.Token(job("7", map[string]any{"iss": "https://other.example.com"})), `no identity of the issuer "https://other.example.com" is trusted`},
		"no issuer":              {"eyJ..", "malformed"},
		"another signature":      {i.Token(job("7", nil)) + "AAAA", "the identity token is"},
	} {
		_, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: c.token}, say(""))
		if err == nil {
			t.Errorf("%s is let in", name)
			continue
		}
		wantTokenRefused(t, err, c.want)
	}
}

// While the issuer is down, agents are asked to come back.
func TestIssuerDown(t *testing.T) {
	s, i, _, _ := trusting(t)
	i.Close()
	_, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: i.Token(job("7", nil))}, say(""))
	refused, ok := errors.AsType[*tunnel.RejectError](err)
	if !ok || refused.Code != tunnel.RejectDraining || refused.RetryAfter <= 0 || !strings.Contains(refused.Message, "the issuer "+i.URL+" cannot be reached") {
		t.Errorf("got %v", err)
	}
	if !s.log.has("connection refused") {
		t.Errorf("the log does not say why: %s", s.log)
	}
	// It counts as a handshake that has failed: else whoever comes could have the
	// issuer asked for, and the log filled, for ever.
	s.strangers.mu.Lock()
	defer s.strangers.mu.Unlock()
	if a := s.strangers.addresses[netip.MustParsePrefix("127.0.0.1/32")]; a == nil || a.failures == nil {
		t.Error("it does not count")
	}
}

// While another process takes the relay's place, which has the store by now, agents
// are sent there at once, whatever they are let in with.
func TestIdentityWhileYielding(t *testing.T) {
	a, kv := accounts(t)
	gone := &leaving{Store: kv}
	s, i, _, _ := trustingWith(t, account.New(gone))
	secret, _ := token(t, a, account.Token{Account: "ci"})
	tokens := map[string]string{"a token": secret, "an identity": i.Token(job("7", nil))}
	conns := map[string]net.Conn{} // a door that yields takes no others
	for name := range tokens {
		conns[name] = s.dial(doorHTTP)
	}
	until(t, "two connections", func() bool { return s.budget.open.Load() == 2 })
	s.setYielding(true)
	gone.left.Store(true)
	for name, shown := range tokens {
		_, err := connect(t, conns[name], tunnel.Hello{Token: shown}, say(""))
		if refused, ok := errors.AsType[*tunnel.RejectError](err); !ok || refused.Code != tunnel.RejectDraining || refused.RetryAfter != 0 {
			t.Errorf("%s: %+v, want to be sent on at once", name, err)
		}
	}
	if s.log.has("cannot be looked up") {
		t.Errorf("the log tells of a fault: %s", s.log)
	}
}

// A leaving store is another process's once left is set.
type leaving struct {
	store.Store
	left atomic.Bool
}

func (l *leaving) Get(ctx context.Context, key string) (store.Entry, error) {
	if l.left.Load() {
		return store.Entry{}, store.ErrClosed
	}
	return l.Store.Get(ctx, key)
}

func (l *leaving) Range(ctx context.Context, prefix, after string, limit int) ([]store.Entry, error) {
	if l.left.Load() {
		return nil, store.ErrClosed
	}
	return l.Store.Range(ctx, prefix, after, limit)
}

// A relay that keeps no accounts knows no trusts.
func TestIdentityWithoutAccounts(t *testing.T) {
	var list Tokens
	list.Add("listed", "from-a-file")
	s := serve(t, Config{Tokens: list}, nil, doorHTTP)
	_, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: "eyJ.eyJ.x"}, say(""))
	wantTokenRefused(t, err, "bad token")
}
