package agent

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"share/agent/target"
	"share/tunnel/cmdline"
)

func TestNewRefuses(t *testing.T) {
	near, far := mustRelay(t, "http://127.0.0.1:7070"), mustRelay(t, "https://share.example.com")
	web := targetAt(t, "8080")
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"nothing", Config{}, "no relay"},
		{"no target", Config{Relay: near}, "target"},
		{"no token", Config{Relay: far, Target: web}, "token"},
		{"token of two lines", Config{Relay: near, Target: web, Token: secret + "\n" + secret}, "malformed"},
		{"token with a space", Config{Relay: near, Target: web, Token: secret + " x"}, "malformed"},
		{"long token", Config{Relay: near, Target: web, Token: strings.Repeat(secret, 1000)}, "malformed"},
		{"plain beyond loopback", Config{Relay: mustRelay(t, "http://10.0.0.7:80"), Target: web, Token: secret}, "unencrypted"},
		{"name with a dot", Config{Relay: near, Target: web, Name: "a.b"}, "DNS label"},
		{"name too long", Config{Relay: near, Target: web, Name: strings.Repeat("a", 64)}, "DNS label"},
		{"name in upper case", Config{Relay: near, Target: web, Name: "Web"}, "DNS label"},
		{"name in unicode", Config{Relay: near, Target: web, Name: "wéb"}, "DNS label"},
		{"name with a hyphen at its end", Config{Relay: near, Target: web, Name: "web-"}, "DNS label"},
		{"two kinds of name", Config{Relay: near, Target: web, Name: "web", Random: true}, "random"},
		{"too many lanes", Config{Relay: near, Target: web, Lanes: 9}, "lanes"},
		{"token and identity", Config{Relay: far, Target: web, Token: secret, Identity: &Identity{}}, "a token and an identity"},
		{"bad target", Config{Relay: near, Target: target.Config{Address: web.Address, Hold: -1}}, "negative"},
	}
	for _, tt := range tests {
		_, err := New(tt.cfg)
		e, ok := errors.AsType[*cmdline.Error](err)
		if !ok || e.Code != cmdline.ExitUsage || !strings.Contains(e.Message, tt.want) || strings.Contains(e.Message, "\n") {
			t.Errorf("%s: %s; want code 2 and one line with %q", tt.name, describe(err), tt.want)
		}
		if ok && strings.Contains(e.Message+e.Hint, secret) {
			t.Errorf("%s: %q shows the token", tt.name, e.Message)
		}
	}
	hook := func(context.Context) (net.Conn, error) { return nil, net.ErrClosed }
	for _, cfg := range []Config{
		{Relay: near, Target: web},
		{Relay: far, Target: web, Token: secret},
		{Relay: mustRelay(t, "http://10.0.0.7:80"), Target: web, Token: secret, Insecure: true},
		{Relay: far, Target: web, Identity: &Identity{}},
		{Dial: hook, Target: web},
	} {
		if _, err := New(cfg); err != nil {
			t.Errorf("%s: %s", cfg.Relay, describe(err))
		}
	}
}
