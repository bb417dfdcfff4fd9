package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"share/tunnel"
	"share/tunnel/cmdline"
)

// environment makes a getenv of pairs.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestFindIdentity(t *testing.T) {
	const ask, secret = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
	for _, tt := range []struct {
		env  []string
		want string // its name
	}{
		{nil, ""},
		{[]string{ask, "https://x"}, ""},
		{[]string{secret, "hush"}, ""},
		{[]string{"SHARE_ID_TOKEN", " "}, ""},
		{[]string{ask, "https://x", secret, "hush"}, "GitHub Actions"},
		{[]string{ask, "https://x", secret, "hush", "GITHUB_REPOSITORY", "acme/web"}, "GitHub Actions of acme/web"},
		{[]string{ask, "https://x", secret, "hush", "SHARE_ID_TOKEN", "eyJ"}, "SHARE_ID_TOKEN"},
	} {
		got := ""
		if i := FindIdentity(environment(tt.env...)); i != nil {
			got = i.String()
		}
		if got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.env, got, tt.want)
		}
	}
}

func TestObtain(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string // the token, or in the error
		final  bool   // a retry does not help
	}{
		"a token": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"value":"%s|%s|%s"}`, r.Header.Get("Authorization")[7:], r.URL.Query().Get("audience"), r.URL.Query().Get("api"))
		}, "hush|https://share.example.com|2.0", false},
		"no permission": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, "403", true},
		"too often":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, "429", false},
		"an error":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "500", false},
		"a redirect":    {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }, "302", false},
		"no JSON":       {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }, "no JSON", true},
		"no value":      {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) }, "a token of 0 bytes", true},
		"two lines":     {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"value":"a\nb"}`) }, "a token of 3 bytes", true},
		"too long a one": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"value":"%s"}`, strings.Repeat("x", maxToken+1))
		}, "a token of 4097 bytes", true},
		"without end": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"value":"%s"}`, strings.Repeat("x", maxIdentity))
		}, "no JSON", true},
	} {
		srv := httptest.NewServer(c.answer)
		i := FindIdentity(environment("ACTIONS_ID_TOKEN_REQUEST_URL", srv.URL+"/token?api=2.0", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "hush"))
		got, err := i.obtain(t.Context(), nil, "https://share.example.com")
		if err != nil {
			got = err.Error()
		}
		_, final := errors.AsType[*cmdline.Error](err)
		if !strings.Contains(got, c.want) || final != c.final || err != nil && strings.Contains(got, "hush") {
			t.Errorf("%s: %q, final %v; want %q, %v", name, got, final, c.want, c.final)
		}
		srv.Close()
		if _, err := i.obtain(t.Context(), nil, "x"); err == nil || strings.Contains(err.Error(), srv.URL) {
			t.Errorf("a server that is down: %v", err)
		}
	}
}

func TestObtainGiven(t *testing.T) {
	i := FindIdentity(environment("SHARE_ID_TOKEN", "eyJ.eyJ.x\n"))
	if got, err := i.obtain(t.Context(), nil, "x"); got != "eyJ.eyJ.x" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	i = FindIdentity(environment("SHARE_ID_TOKEN", "a b"))
	if got, err := i.obtain(t.Context(), nil, "x"); err == nil || strings.Contains(err.Error(), "a b") {
		t.Errorf("got %q, %v", got, err)
	}
	i = FindIdentity(environment("ACTIONS_ID_TOKEN_REQUEST_URL", "no URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "hush"))
	if got, err := i.obtain(t.Context(), nil, "x"); err == nil {
		t.Errorf("got %q", got)
	}
}

// The proxy is asked for, but for this machine.
func TestObtainByProxy(t *testing.T) {
	asked := make(chan string, 1)
	proxy := func(u *url.URL) (*url.URL, error) {
		asked <- u.Host
		return nil, errors.New("no way")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	i := FindIdentity(environment("ACTIONS_ID_TOKEN_REQUEST_URL", "https://ci.example.com/x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "hush"))
	if _, err := i.obtain(ctx, proxy, "x"); err == nil || !strings.Contains(err.Error(), "no way") || <-asked != "ci.example.com" {
		t.Errorf("got %v", err)
	}
}

// Each connection to the relay shows a token of its own.
func TestRunIdentity(t *testing.T) {
	var n atomic.Int64
	ci := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"value":"%s#%d"}`, r.URL.Query().Get("audience"), n.Add(1))
	}))
	defer ci.Close()
	relay := newFakeRelay(t)
	r := start(t, Config{
		Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello), Lanes: 2,
		Identity: FindIdentity(environment("ACTIONS_ID_TOKEN_REQUEST_URL", ci.URL+"/?x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "hush", "GITHUB_REPOSITORY", "acme/web")),
	})
	if e := r.event(EventConnecting); e.Identity != "GitHub Actions of acme/web" {
		t.Errorf("connecting as %q", e.Identity)
	}
	r.event(EventReady)
	until(t, "the lane joins", func() bool { return relay.latest().Lanes() == 2 })
	r.cancel()
	if err := r.wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	relay.mu.Lock()
	defer relay.mu.Unlock()
	for i, h := range relay.hellos {
		if want := fmt.Sprintf("http://%s#%d", relay.addr, i+1); h.Token != want {
			t.Errorf("token %q, want %q", h.Token, want)
		}
	}
}

// A relay that does not trust the identity is who can help.
func TestRunIdentityRefused(t *testing.T) {
	relay := newFakeRelay(t)
	relay.admit = func(*tunnel.Hello) *tunnel.RejectError {
		return &tunnel.RejectError{Code: tunnel.RejectToken, Message: "no trust is for this identity"}
	}
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello), Identity: FindIdentity(environment("SHARE_ID_TOKEN", "eyJ.eyJ.x"))})
	r.wantError(cmdline.ExitToken, "no trust is for this identity")
	if e, ok := errors.AsType[*cmdline.Error](r.err); !ok || !strings.Contains(e.Hint, "share relay trust") {
		t.Errorf("hint %q", e.Hint)
	}
}
