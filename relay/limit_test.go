package relay

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"share/relay/account"
	"share/relay/store"
	"share/tunnel"
)

// accounts returns the accounts of an empty store, and the store.
func accounts(t *testing.T) (*account.Accounts, store.Store) {
	t.Helper()
	s, err := store.OpenBolt(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return account.New(s), s
}

// token makes a token and returns its secret and ID.
func token(t *testing.T, a *account.Accounts, want account.Token) (secret, id string) {
	t.Helper()
	secret, made, err := a.Create(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return secret, made.ID
}

// wantTokenRefused checks that err is a refusal of the token that says want.
func wantTokenRefused(t *testing.T, err error, want string) {
	t.Helper()
	refused, ok := errors.AsType[*tunnel.RejectError](err)
	if !ok || refused.Code != tunnel.RejectToken || !strings.Contains(refused.Message, want) {
		t.Errorf("got %v, want a refusal that says %q", err, want)
	}
}

func TestTokensOfAccounts(t *testing.T) {
	a, _ := accounts(t)
	var list Tokens
	list.Add("listed", "from-a-file")
	s := serve(t, Config{Accounts: a, Tokens: list}, nil, doorHTTP)
	secret, _ := token(t, a, account.Token{Account: "ci"})
	for secret, want := range map[string]string{secret: "ci", "from-a-file": "listed"} {
		got, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: secret}, say(""))
		if err != nil || got.Welcome.Account != want {
			t.Errorf("got %+v, %v, want account %s", got, err, want)
		}
	}
	for secret, want := range map[string]string{"": "no token", "hunter2": "bad token", secret[:20]: "mistyped or cut"} {
		_, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: secret}, say(""))
		wantTokenRefused(t, err, want)
	}
	if s.log.has(secret) || s.log.has("from-a-file") {
		t.Errorf("a token is in the log: %s", s.log)
	}
}

// A session whose token was revoked ends, and no other does.
func TestRevokedSessionEnds(t *testing.T) {
	a, _ := accounts(t)
	s := serve(t, Config{Accounts: a}, nil, doorHTTP)
	secret, id := token(t, a, account.Token{Account: "ci"})
	other, _ := token(t, a, account.Token{Account: "ci"})
	gone, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: secret}, say(""))
	if err != nil {
		t.Fatal(err)
	}
	stays, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: other}, say(""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Revoke(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone.Done():
	case <-time.After(5 * time.Second):
		t.Error("the session lives 5 s later")
	}
	alive, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := stays.Ping(alive); err != nil {
		t.Errorf("the other session: %v", err)
	}
	_, err = connect(t, s.dial(doorHTTP), tunnel.Hello{Token: secret}, say(""))
	wantTokenRefused(t, err, "bad token")
}

func TestExpiredSessionEnds(t *testing.T) {
	a, _ := accounts(t)
	s := serve(t, Config{Accounts: a}, nil, doorHTTP)
	var secret string
	var got *agent
	var err error
	// On a machine that stalls a token may have expired before it is used.
	for _, lasts := range []time.Duration{1500 * time.Millisecond, 5 * time.Second, 15 * time.Second} {
		secret, _ = token(t, a, account.Token{Account: "ci", Expires: time.Now().Add(lasts)})
		if got, err = connect(t, s.dial(doorHTTP), tunnel.Hello{Token: secret}, say("")); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	await(t, got.Done(), "the session's end")
	_, err = connect(t, s.dial(doorHTTP), tunnel.Hello{Token: secret}, say(""))
	wantTokenRefused(t, err, "expired")
}

func TestTokenForSomeNames(t *testing.T) {
	a, _ := accounts(t)
	s := serve(t, Config{Accounts: a}, nil, doorHTTP)
	secret, _ := token(t, a, account.Token{Account: "ci", Names: []string{"pr-*"}})
	ag, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: secret}, say(""))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := ag.bind(tunnel.Bind{ID: 1, Name: "pr-7"}).(*tunnel.Bound); !ok {
		t.Error("pr-7 is not bound")
	}
	for id, b := range []tunnel.Bind{{Name: "web"}, {Seed: "a folder"}} {
		b.ID = uint32(id)
		no, ok := ag.bind(b).(*tunnel.BindError)
		if !ok || no.Code != tunnel.RejectName || !strings.Contains(no.Message, "pr-*") {
			t.Errorf("%+v: %+v", b, no)
		}
	}
}

// What a token has open is counted over all its sessions, and given back.
func TestTokenForSomeTunnels(t *testing.T) {
	a, _ := accounts(t)
	s := serve(t, Config{Accounts: a}, nil, doorHTTP)
	secret, _ := token(t, a, account.Token{Account: "ci", MaxTunnels: 2})
	var agents []*agent
	for range 2 {
		ag, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: secret}, say(""))
		if err != nil {
			t.Fatal(err)
		}
		agents = append(agents, ag)
	}
	bound := func(ag *agent, name string) *tunnel.Bound {
		b, _ := ag.bind(tunnel.Bind{ID: 1, Name: name}).(*tunnel.Bound)
		return b
	}
	b := bound(agents[0], "a")
	// A name that is refused counts for nothing, and the same name once.
	if no, ok := agents[1].bind(tunnel.Bind{ID: 1, Name: "-"}).(*tunnel.BindError); !ok || no.Code != tunnel.RejectName {
		t.Errorf("a bad name: %+v", no)
	}
	if b == nil || bound(agents[1], "b") == nil || bound(agents[1], "b") == nil {
		t.Fatal("two are not bound")
	}
	if no, ok := agents[1].bind(tunnel.Bind{ID: 1, Name: "c"}).(*tunnel.BindError); !ok || no.Code != tunnel.RejectQuota || !strings.Contains(no.Message, "2 tunnels at a time") {
		t.Errorf("a third: %+v", no)
	}
	// An agent that comes back while its old session seems to live has its name.
	again, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: secret}, say(""))
	if err != nil {
		t.Fatal(err)
	}
	if bound(again, "b") == nil {
		t.Error("a session that took its own name over is refused")
	}
	if err := agents[0].Send(&tunnel.Unbind{Tunnel: b.Tunnel}); err != nil {
		t.Fatal(err)
	}
	until(t, "room for one after UNBIND", func() bool { return bound(agents[1], "c") != nil })
	again.Close()
	agents[1].Close()
	until(t, "room for two after the sessions", func() bool {
		s.tunnels.mu.Lock()
		defer s.tunnels.mu.Unlock()
		return len(s.tunnels.open) == 0
	})
	if bound(agents[0], "d") == nil || bound(agents[0], "e") == nil || bound(agents[0], "f") != nil {
		t.Error("not two, and no more")
	}
}

// A broken is a store that cannot be read.
type broken struct{ store.Store }

func (broken) Get(context.Context, string) (store.Entry, error) {
	return store.Entry{}, errors.New("input/output error")
}

// While tokens cannot be looked up, agents are asked to come back; those that
// are in stay.
func TestStoreFails(t *testing.T) {
	a, kv := accounts(t)
	secret, _ := token(t, a, account.Token{Account: "ci"})
	s := serve(t, Config{Accounts: account.New(broken{kv})}, nil, doorHTTP)
	_, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: secret}, say(""))
	refused, ok := errors.AsType[*tunnel.RejectError](err)
	if !ok || refused.RetryAfter <= 0 || strings.Contains(refused.Message, "input/output") {
		t.Errorf("got %+v, want a refusal for now without the cause", err)
	}
	until(t, "the cause in the log", func() bool { return s.log.has("input/output error") })
}

// An agent that comes while the store is lent, and stays so, hears of it as long as
// it listens, and is not left waiting here.
func TestStoreIsLent(t *testing.T) {
	lender, err := store.OpenLender(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lender.Close(); err != nil {
			t.Error(err)
		}
	})
	a := account.New(lender)
	s := serve(t, Config{Accounts: a}, nil, doorHTTP)
	secret, _ := token(t, a, account.Token{Account: "ci"})
	if err := lender.Lend(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = connect(t, s.dial(doorHTTP), tunnel.Hello{Token: secret}, say(""))
	if refused, ok := errors.AsType[*tunnel.RejectError](err); !ok || refused.Code != tunnel.RejectDraining || refused.RetryAfter != lookupPause {
		t.Errorf("got %v, want a refusal for now", err)
	}
	until(t, "nobody is waiting", func() bool { return s.budget.open.Load() == 0 })
	if err := lender.Recall(); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: secret}, say("")); err != nil {
		t.Errorf("once it is back: %v", err)
	}
}
