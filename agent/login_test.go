package agent

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"share/tunnel"
	"share/tunnel/cmdline"
)

// welcoming answers each connection to a relay with what answer says of its Hello.
func welcoming(t *testing.T, answer func(*tunnel.Hello) (*tunnel.Welcome, *tunnel.RejectError)) Config {
	t.Helper()
	at := mustRelay(t, "http://"+listen(t, func(conn net.Conn) {
		defer conn.Close()
		h, err := tunnel.ReadHello(conn)
		if err != nil {
			return
		}
		if w, no := answer(h); no != nil {
			tunnel.Reject(conn, no)
		} else {
			w.Write(conn, h.Kind)
		}
	}))
	return Config{Relay: at, Token: "pasted", Logins: map[RelayURL]string{at: "kept"}}
}

// What is asked shows no token that there is, and an older relay offers nothing.
func TestLoginOffer(t *testing.T) {
	want := tunnel.Login{Issuer: "https://login.example.com", ClientID: "share", Scopes: []string{"openid"}}
	var reject *tunnel.RejectError
	welcome := &tunnel.Welcome{Login: &want}
	cfg := welcoming(t, func(h *tunnel.Hello) (*tunnel.Welcome, *tunnel.RejectError) {
		if h.Kind != tunnel.KindLogin || h.Token != "" {
			t.Errorf("hello %+v", h)
		}
		return welcome, reject
	})
	offer, warning, err := LoginOffer(t.Context(), cfg)
	if err != nil || warning != "" || offer == nil || offer.Issuer != want.Issuer || offer.ClientID != want.ClientID {
		t.Errorf("%+v, %q, %v", offer, warning, err)
	}
	welcome = &tunnel.Welcome{}
	if offer, _, err := LoginOffer(t.Context(), cfg); offer != nil || err != nil {
		t.Errorf("a relay without: %+v, %v", offer, err)
	}
	reject = &tunnel.RejectError{Code: tunnel.RejectProtocol, Message: "unknown kind of connection 4"}
	if offer, _, err := LoginOffer(t.Context(), cfg); offer != nil || err != nil {
		t.Errorf("an older relay: %+v, %v", offer, err)
	}
	reject = &tunnel.RejectError{Code: tunnel.RejectInsecure, Message: "a token must not travel in plain"}
	_, _, err = LoginOffer(t.Context(), cfg)
	if e, ok := errors.AsType[*cmdline.Error](err); !ok || e.Code != cmdline.ExitRefused {
		t.Errorf("one that refuses: %v", err)
	}
}

func TestLogIn(t *testing.T) {
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for _, tt := range []struct {
		name    string
		shown   string
		welcome *tunnel.Welcome
		reject  *tunnel.RejectError
		code    int
		want    string // the account, or of the error
	}{
		{"a grant", "eyJ.eyJ.x", &tunnel.Welcome{Account: "ann\x1b", Token: "shr_x", Expires: end}, nil, 0, "ann"},
		{"no token", "eyJ.eyJ.x", &tunnel.Welcome{Account: "ann"}, nil, cmdline.ExitFailed, "gave a token of 0 bytes, which is none"},
		{"a token of two lines", "eyJ.eyJ.x", &tunnel.Welcome{Token: "a\nb"}, nil, cmdline.ExitFailed, "gave a token of 3 bytes, which is none"},
		{"refused", "eyJ.eyJ.x", nil, &tunnel.RejectError{Code: tunnel.RejectToken, Message: "shown before"}, cmdline.ExitToken, "relay refused: shown before"},
		{"not now", "eyJ.eyJ.x", nil, &tunnel.RejectError{Code: tunnel.RejectDraining, Message: "later", RetryAfter: time.Second}, cmdline.ExitUnreached, "cannot be asked"},
		{"too long", strings.Repeat("x", maxIDToken+1), nil, nil, cmdline.ExitFailed, "has 7169 bytes, and a relay takes 7168"},
		{"as long as may be", strings.Repeat("x", maxIDToken), &tunnel.Welcome{Account: "ann", Token: "shr_x", Expires: end}, nil, 0, "ann"},
	} {
		cfg := welcoming(t, func(h *tunnel.Hello) (*tunnel.Welcome, *tunnel.RejectError) {
			if h.Kind != tunnel.KindLogin || h.Token != tt.shown {
				t.Errorf("%s: hello %+v", tt.name, h)
			}
			return tt.welcome, tt.reject
		})
		grant, err := LogIn(t.Context(), cfg, tt.shown)
		got, code := grant.Account, 0
		if e, ok := errors.AsType[*cmdline.Error](err); ok {
			got, code = e.Message, e.Code
		} else if grant.Token != "shr_x" || !grant.Expires.Equal(end) {
			t.Errorf("%s: %+v", tt.name, grant)
		}
		if code != tt.code || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got code %d, %q, want %d, %q", tt.name, code, got, tt.code, tt.want)
		}
	}
}
