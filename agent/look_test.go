package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"share/tunnel"
	"share/tunnel/cmdline"
)

func TestLook(t *testing.T) {
	relay := newFakeRelay(t)
	relay.admit = func(h *tunnel.Hello) *tunnel.RejectError {
		switch h.Token {
		case "good":
			return nil
		case "later":
			return &tunnel.RejectError{Code: tunnel.RejectDraining, Message: "tokens cannot be looked up now", RetryAfter: time.Second}
		}
		return &tunnel.RejectError{Code: tunnel.RejectToken, Message: "bad token"}
	}
	at := mustRelay(t, "http://"+relay.addr)
	away := mustRelay(t, "http://"+closedAddr(t))
	for _, tt := range []struct {
		name string
		cfg  Config
		code int
		want string // the account, or of the error
	}{
		{"a token", Config{Relay: at, Token: "good"}, 0, "test"},
		{"that of a login", Config{Relay: at, Token: "bad", Logins: map[RelayURL]string{at: "good", away: "bad"}}, 0, "test"},
		{"a bad token", Config{Relay: at, Token: "bad"}, cmdline.ExitToken, "bad token"},
		{"that of another relay", Config{Relay: at, Logins: map[RelayURL]string{away: "good"}}, cmdline.ExitToken, "bad token"},
		{"malformed", Config{Relay: at, Token: "a b"}, cmdline.ExitUsage, "malformed"},
		{"malformed, of a login", Config{Relay: at, Logins: map[RelayURL]string{at: "a b"}}, cmdline.ExitUsage, "malformed"},
		{"not now", Config{Relay: at, Token: "later"}, cmdline.ExitUnreached, "tokens cannot be looked up now"},
		{"away", Config{Relay: away, Token: "good"}, cmdline.ExitUnreached, "nothing listens"},
		{"no relay", Config{Token: "good"}, cmdline.ExitUsage, "no relay"},
	} {
		sight, err := Look(context.Background(), tt.cfg)
		got, code := sight.Account, 0
		if e, ok := errors.AsType[*cmdline.Error](err); ok {
			got, code = e.Message, e.Code
		}
		if code != tt.code || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got code %d, %q, %v, want %d, %q", tt.name, code, got, err, tt.code, tt.want)
		}
	}
	relay.mu.Lock()
	defer relay.mu.Unlock()
	if len(relay.sessions) > 0 {
		t.Error("a look has opened a session")
	}
}

// The token of a login goes to its relay alone, and its refusal says how to log in.
func TestLogins(t *testing.T) {
	const secret = "s3cret"
	token := func(relay *fakeRelay) string {
		relay.mu.Lock()
		defer relay.mu.Unlock()
		return relay.hellos[0].Token
	}
	_, one, two, _, _ := both(t, func(cfg *Config) { cfg.Logins = map[RelayURL]string{cfg.Relay: secret} })
	if got, other := token(one), token(two); got != secret || other != "" {
		t.Errorf("got tokens %q and %q", got, other)
	}

	relay := newFakeRelay(t)
	relay.admit = func(*tunnel.Hello) *tunnel.RejectError {
		return &tunnel.RejectError{Code: tunnel.RejectToken, Message: "bad token"}
	}
	at := mustRelay(t, "http://"+relay.addr)
	r := start(t, Config{Relay: at, Logins: map[RelayURL]string{at: secret}, Target: newTarget(t, hello)})
	err := r.wait()
	if e, ok := errors.AsType[*cmdline.Error](err); !ok || e.Code != cmdline.ExitToken || e.Hint != "log in again: share login "+at.String() {
		t.Errorf("got %#v", err)
	}
}
