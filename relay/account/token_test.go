package account

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"share/relay/store"
)

// create makes a token that must be made.
func create(t testing.TB, a *Accounts, want Token) (string, Token) {
	t.Helper()
	secret, token, err := a.Create(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return secret, token
}

func TestToken(t *testing.T) {
	a := open(t)
	now := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	a.now = func() time.Time { return now }
	secret, made := create(t, a, Token{Account: "ci", Names: []string{"pr-*", "web"}, Expires: now.Add(time.Hour), MaxTunnels: 3,
		MaxExchanges: 4, RequestsPerSecond: 5, BytesPerSecond: 6 << 40})
	got, err := a.Authenticate(t.Context(), secret)
	if err != nil || got.ID != made.ID || got.Account != "ci" || got.MaxTunnels != 3 || !got.Expires.Equal(made.Expires) || !slices.Equal(got.Names, made.Names) {
		t.Fatalf("got %+v, %v; want %+v", got, err, made)
	}
	if got.MaxExchanges != 4 || got.RequestsPerSecond != 5 || got.BytesPerSecond != 6<<40 {
		t.Errorf("quotas: got %+v", got)
	}
	for name, want := range map[string]bool{"pr-1": true, "web": true, "web2": false, "x": false} {
		if got.MayBind(name) != want {
			t.Errorf("MayBind(%s): %v", name, !want)
		}
	}
	if _, other := create(t, a, Token{Account: "web"}); !other.MayBind("anything") {
		t.Error("a token without patterns is not good for all names")
	}

	now = now.Add(time.Hour)
	if _, err := a.Authenticate(t.Context(), secret); !errors.Is(err, ErrExpired) {
		t.Errorf("an hour later: %v", err)
	}
	if lives, err := a.Lives(t.Context(), made.ID); lives || err != nil {
		t.Errorf("an expired token lives: %v, %v", lives, err)
	}
	tokens, err := a.Tokens(t.Context())
	if err != nil || len(tokens) != 2 || tokens[0].ID != made.ID || tokens[1].Account != "web" {
		t.Errorf("listed %+v, %v", tokens, err)
	}
}

// A token that was made before there were quotas has none.
func TestTokenWithoutQuotas(t *testing.T) {
	a := open(t)
	secret := newSecret()
	d := digest(secret)
	id := hex.EncodeToString(d[:idBytes])
	record := fmt.Sprintf(`{"id":%q,"account":"ci","created":"2029-01-02T03:04:05Z","max_tunnels":3,"digest":%q}`, id, hex.EncodeToString(d[:]))
	if _, err := a.store.Commit(t.Context(), nil, []store.Write{{Key: tokenPrefix + id, Value: []byte(record)}}); err != nil {
		t.Fatal(err)
	}
	got, err := a.Authenticate(t.Context(), secret)
	if err != nil || got.ID != id || got.MaxTunnels != 3 || got.MaxExchanges != 0 || got.RequestsPerSecond != 0 || got.BytesPerSecond != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// The store has nothing that lets anybody in.
func TestSecretIsNotKept(t *testing.T) {
	a := open(t)
	secret, _ := create(t, a, Token{Account: "ci"})
	_, err := a.store.Snapshot(t.Context(), func(e store.Entry) error {
		if bytes.Contains(e.Value, []byte(secret[4:20])) || strings.Contains(e.Key, secret[4:20]) {
			t.Errorf("the secret is at %s", e.Key)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoToken(t *testing.T) {
	a := open(t)
	secret, made := create(t, a, Token{Account: "ci"})
	if _, err := a.Revoke(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]error{
		secret:                    ErrToken, // revoked
		newSecret():               ErrToken,
		"":                        ErrToken,
		"hunter2":                 ErrToken,
		secret[:len(secret)-1]:    ErrMistyped,
		secret + " ":              ErrMistyped,
		strings.ToUpper("shr_ab"): ErrToken,
	} {
		if _, err := a.Authenticate(t.Context(), secret); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", secret, err, want)
		}
	}
	for _, id := range []string{made.ID, "", "x", "0123456789abcdef", "../" + made.ID, strings.ToUpper(made.ID)} {
		if _, err := a.Revoke(t.Context(), id); !errors.Is(err, ErrUnknown) {
			t.Errorf("revoked %q: %v", id, err)
		}
	}
}

// A token is good for its role and for nothing else.
func TestRole(t *testing.T) {
	a := open(t)
	for _, role := range []Role{RoleAgent, RoleAdmin, RoleMetrics} {
		secret, made := create(t, a, Token{Account: "of" + string(role), Role: role})
		agent, operator := error(nil), ErrRole
		if role != RoleAgent {
			agent, operator = ErrRole, nil
		}
		if got, err := a.Authenticate(t.Context(), secret); !errors.Is(err, agent) || err == nil && got.ID != made.ID {
			t.Errorf("role %q as an agent: %+v, %v", role, got, err)
		}
		if got, err := a.AuthenticateOperator(t.Context(), secret); !errors.Is(err, operator) || err == nil && (got.ID != made.ID || got.Role != role) {
			t.Errorf("role %q as an operator: %+v, %v", role, got, err)
		}
	}
	if _, err := a.AuthenticateOperator(t.Context(), newSecret()); !errors.Is(err, ErrToken) {
		t.Errorf("a token that there is not: %v", err)
	}
}

// Two tokens of an account live at a time, so that one can follow the other.
func TestRotation(t *testing.T) {
	a := open(t)
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	a.now = func() time.Time { return now }
	old, first := create(t, a, Token{Account: "ci", Expires: now.Add(time.Hour)})
	next, _ := create(t, a, Token{Account: "ci"})
	for _, secret := range []string{old, next} {
		if _, err := a.Authenticate(t.Context(), secret); err != nil {
			t.Error(err)
		}
	}
	var refused *ConflictError
	if _, _, err := a.Create(t.Context(), Token{Account: "ci"}); !errors.As(err, &refused) || !strings.Contains(err.Error(), "revoke one first") {
		t.Errorf("a third: %v", err)
	}
	create(t, a, Token{Account: "other"})

	// One that has expired makes room, and is gone.
	now = now.Add(time.Hour)
	_, third := create(t, a, Token{Account: "ci"})
	if tokens, err := a.Tokens(t.Context()); err != nil || slices.ContainsFunc(tokens, func(x Token) bool { return x.ID == first.ID }) {
		t.Errorf("%+v, %v", tokens, err)
	}
	if _, err := a.Revoke(t.Context(), third.ID); err != nil {
		t.Error(err)
	}
	create(t, a, Token{Account: "ci"})
}

// However many ask at once.
func TestRotationAtOnce(t *testing.T) {
	a := open(t)
	var wg sync.WaitGroup
	made := make(chan string, 8)
	for range cap(made) {
		wg.Go(func() {
			if secret, _, err := a.Create(context.Background(), Token{Account: "ci"}); err == nil {
				made <- secret
			}
		})
	}
	wg.Wait()
	if len(made) != maxLive {
		t.Errorf("%d tokens, want %d", len(made), maxLive)
	}
	for range len(made) {
		if _, err := a.Authenticate(t.Context(), <-made); err != nil {
			t.Error(err)
		}
	}
}

func TestBadToken(t *testing.T) {
	a := open(t)
	past := time.Now().Add(-time.Second)
	for name, bad := range map[string]Token{
		"no label":          {},
		"a long label":      {Account: strings.Repeat("a", maxAccount+1)},
		"a space":           {Account: "a b"},
		"a control":         {Account: "a\x00"},
		"no UTF-8":          {Account: "a\xff"},
		"a bad pattern":     {Account: "a", Names: []string{"ok", "-*"}},
		"too many patterns": {Account: "a", Names: slices.Repeat([]string{"x"}, maxPatterns+1)},
		"expired":           {Account: "a", Expires: past},
		"negative":          {Account: "a", MaxTunnels: -1},
		"an unknown role":   {Account: "a", Role: "root"},
		"a role with names": {Account: "a", Role: RoleAdmin, Names: []string{"x"}},
		"and with tunnels":  {Account: "a", Role: RoleMetrics, MaxTunnels: 1},
	} {
		var refused *InvalidError
		if _, _, err := a.Create(t.Context(), bad); !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if tokens, err := a.Tokens(t.Context()); err != nil || len(tokens) != 0 {
		t.Errorf("%+v, %v", tokens, err)
	}
}

// The first token is shown until it was, and then never again.
func TestFirst(t *testing.T) {
	a := open(t)
	broken := errors.New("broken pipe")
	if err := a.First(t.Context(), func(string) error { return broken }); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	var shown []string
	show := func(s string) error { shown = append(shown, s); return nil }
	for range 2 {
		if err := a.First(t.Context(), show); err != nil {
			t.Fatal(err)
		}
	}
	if len(shown) != 1 {
		t.Fatalf("shown %d times", len(shown))
	}
	token, err := a.Authenticate(t.Context(), shown[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Revoke(t.Context(), token.ID); err != nil {
		t.Fatal(err)
	}
	if err := a.First(t.Context(), show); err != nil || len(shown) != 1 {
		t.Errorf("after all were revoked: shown %d times, %v", len(shown), err)
	}
}

// An account that has its tokens needs no first one.
func TestFirstOfMany(t *testing.T) {
	a := open(t)
	for range maxLive {
		create(t, a, Token{Account: firstAccount})
	}
	for range 2 {
		if err := a.First(t.Context(), func(string) error { t.Error("shown"); return nil }); err != nil {
			t.Fatal(err)
		}
	}
}
