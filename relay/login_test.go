package relay

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"share/relay/account"
	"share/relay/identity/identitytest"
	"share/tunnel"
)

// peopled returns a relay at which people log in by the issuer.
func peopled(t *testing.T) (*serving, *identitytest.Issuer, *account.Accounts) {
	t.Helper()
	i := identitytest.New(nil)
	t.Cleanup(i.Close)
	a, _ := accounts(t)
	login := &Login{Issuer: i.URL, ClientID: "share-cli", Allow: account.Allow{"groups=dev"}, Lasts: time.Hour}
	return serve(t, Config{Accounts: a, Login: login, Issuers: i.Transport(), Domain: "share.example.com"}, nil, doorHTTP), i, a
}

// logIn shows a relay a token, as an agent does.
func logIn(t *testing.T, s *serving, shown string) (*tunnel.Welcome, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return tunnel.LogIn(ctx, s.dial(doorHTTP), tunnel.Hello{Token: shown})
}

// dev is what a token says of a person in the group, with changes.
func dev(changes map[string]any) map[string]any {
	claims := map[string]any{"sub": "ann", "aud": "share-cli", "preferred_username": "ann", "groups": []string{"ops", "dev"}}
	for name, v := range changes {
		claims[name] = v
	}
	return claims
}

func TestLogIn(t *testing.T) {
	s, i, a := peopled(t)
	offer, err := logIn(t, s, "")
	if err != nil || offer.Login == nil || offer.Token != "" || offer.Account != "" {
		t.Fatalf("%+v, %v", offer, err)
	}
	if l := offer.Login; l.Issuer != i.URL || l.ClientID != "share-cli" || l.Secret != "" || strings.Join(l.Scopes, " ") != "openid email profile" {
		t.Errorf("offer %+v", l)
	}
	shown := i.Token(dev(nil))
	w, err := logIn(t, s, shown)
	if err != nil || !strings.HasPrefix(w.Account, "ann~") || time.Until(w.Expires) > time.Hour || time.Until(w.Expires) < 59*time.Minute {
		t.Fatalf("%+v, %v", w, err)
	}
	ag, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: w.Token}, say("hello"))
	if err != nil || ag.Welcome.Account != w.Account {
		t.Fatalf("%+v, %v", ag, err)
	}
	seen, err := tunnel.Look(t.Context(), s.dial(doorHTTP), tunnel.Hello{Token: w.Token})
	if err != nil || !seen.Expires.Equal(w.Expires) {
		t.Errorf("a look tells %+v, %v", seen, err)
	}
	if !s.log.has("person logged in") || s.log.has(shown) || s.log.has(w.Token) {
		t.Errorf("the log wants the person, and no token: %s", s.log)
	}

	// What was shown once shows nothing any more, here or as an agent's.
	_, err = logIn(t, s, shown)
	wantTokenRefused(t, err, "was shown before")
	_, err = connect(t, s.dial(doorHTTP), tunnel.Hello{Token: shown}, say(""))
	wantTokenRefused(t, err, "no identity of the issuer")
	if tokens, err := a.Tokens(t.Context()); err != nil || len(tokens) != 1 || !tokens[0].Login {
		t.Errorf("tokens %+v, %v", tokens, err)
	}
	if _, err := a.Revoke(t.Context(), seenToken(t, a)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ag.Done():
	case <-time.After(5 * time.Second):
		t.Error("the session lives 5 s after its token was revoked")
	}
}

// seenToken is the ID of the only token.
func seenToken(t *testing.T, a *account.Accounts) string {
	t.Helper()
	tokens, err := a.Tokens(t.Context())
	if err != nil || len(tokens) != 1 {
		t.Fatalf("%+v, %v", tokens, err)
	}
	return tokens[0].ID
}

func TestLogInRefused(t *testing.T) {
	s, i, a := peopled(t)
	stranger := identitytest.New(nil)
	defer stranger.Close()
	for name, c := range map[string]struct{ token, want string }{
		"one whom nobody allowed": {i.Token(dev(map[string]any{"groups": []string{"ops"}})), "knows who you are, but the relay's owner has not said that you may log in"},
		"another client's":        {i.Token(dev(map[string]any{"aud": "web"})), "and not for \"share-cli\""},
		"a job's":                 {i.Token(job("7", nil)), "and not for \"share-cli\""},
		"another issuer's":        {stranger.Token(dev(nil)), "is not signed with a key that"},
		"an old one":              {i.Token(dev(map[string]any{"iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(time.Hour).Unix()})), "was issued 1h0m"},
		"one of the relay's":      {"shr_x", "malformed"},
		"nonsense":                {"eyJ..", "malformed"},
	} {
		_, err := logIn(t, s, c.token)
		if err == nil {
			t.Errorf("%s is taken", name)
			continue
		}
		wantTokenRefused(t, err, c.want)
	}
	if tokens, err := a.Tokens(t.Context()); err != nil || len(tokens) != 0 {
		t.Errorf("tokens %+v, %v", tokens, err)
	}
}

// While the issuer is down, whoever logs in is asked to come back.
func TestLogInIssuerDown(t *testing.T) {
	s, i, _ := peopled(t)
	i.Close()
	_, err := logIn(t, s, i.Token(dev(nil)))
	if no, ok := errors.AsType[*tunnel.RejectError](err); !ok || no.Code != tunnel.RejectDraining || no.RetryAfter <= 0 {
		t.Errorf("got %v", err)
	}
}

// A relay that has nobody log in says so, and takes no ID token.
func TestLogInUnset(t *testing.T) {
	a, _ := accounts(t)
	for name, cfg := range map[string]Config{"tokens": {Accounts: a}, "open": {}} {
		s := serve(t, cfg, nil, doorHTTP)
		if w, err := logIn(t, s, ""); err != nil || w.Login != nil || w.Account != "" || w.Token != "" {
			t.Errorf("%s: %+v, %v", name, w, err)
		}
		_, err := logIn(t, s, "eyJ.eyJ.x")
		wantTokenRefused(t, err, "nobody can log in here")
	}
}

// What is a secret is not taken, or given, where others read along.
func TestLogInOverheard(t *testing.T) {
	s, i, _ := peopled(t)
	near, far := net.Pipe()
	go func() { // ends with the connection
		s.serveAgent(t.Context(), far, false, func() {})
	}()
	_, err := tunnel.LogIn(t.Context(), near, tunnel.Hello{Token: i.Token(dev(nil))})
	if no, ok := errors.AsType[*tunnel.RejectError](err); !ok || no.Code != tunnel.RejectInsecure {
		t.Errorf("got %v", err)
	}
}

func TestLoginCheck(t *testing.T) {
	good := Login{Issuer: "https://login.example.com/realms/x", ClientID: "share-cli", Allow: account.Allow{"groups=dev"}}
	if err := (&Config{Login: &good}).Check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Login){
		"the issuer is a URL":              func(l *Login) { l.Issuer = "http://login.example.com" },
		"agents, has 1 to 255":             func(l *Login) { l.ClientID = "" },
		"client-secret has at most 255":    func(l *Login) { l.Secret = "a b" },
		"asks for at most 20 scopes":       func(l *Login) { l.Scopes = []string{"openid", "a b"} },
		"the scope openid has to be":       func(l *Login) { l.Scopes = []string{"email"} },
		"who may log in is said by":        func(l *Login) { l.Allow = nil },
		"lets everybody in: name what the": func(l *Login) { l.Allow = account.Allow{"sub=*"} },
	} {
		bad := good
		change(&bad)
		if err := (&Config{Login: &bad}).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := New(Config{Login: &good}); err == nil {
		t.Error("a relay that keeps no tokens is to give some")
	}
}
