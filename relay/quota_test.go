package relay

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"share/relay/account"
	"share/tunnel"
)

// quotaAgent connects an agent with a token and binds name.
func quotaAgent(t *testing.T, s *serving, secret, name string, handler func(*tunnel.Exchange)) *agent {
	t.Helper()
	a, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: secret}, handler)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := a.bind(tunnel.Bind{ID: 1, Name: name}).(*tunnel.Bound); !ok {
		t.Fatalf("%s is not bound", name)
	}
	return a
}

// wantQuota checks that an answer is a refusal for the quota.
func wantQuota(t *testing.T, resp *http.Response, status int) {
	t.Helper()
	if resp.StatusCode != status || resp.Header.Get("Share-Error") != "quota" || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("got %d %q, Retry-After %q; want %d quota, 1",
			resp.StatusCode, resp.Header.Get("Share-Error"), resp.Header.Get("Retry-After"), status)
	}
}

// The exchanges of all sessions of a token count together, those of another do
// not.
func TestQuotaOfExchanges(t *testing.T) {
	a, _ := accounts(t)
	s := serve(t, Config{Accounts: a}, nil, doorHTTP)
	secret, _ := token(t, a, account.Token{Account: "ci", MaxExchanges: 2})
	free, _ := token(t, a, account.Token{Account: "web"})
	entered, gate := make(chan bool, 2), make(chan bool)
	release := sync.OnceFunc(func() { close(gate) })
	defer release() // a test that fails does not wait either
	held := func(x *tunnel.Exchange) {
		entered <- true
		<-gate
		say("held")(x)
	}
	quotaAgent(t, s, secret, "a", held)
	quotaAgent(t, s, secret, "b", held)
	quotaAgent(t, s, free, "c", say("free"))
	var bodies []<-chan string
	for _, host := range []string{"a.localhost", "b.localhost"} {
		bodies = append(bodies, later(s.dial(doorHTTP), host))
		await(t, entered, "an exchange")
	}
	resp, _ := get(t, s.dial(doorHTTP), "a.localhost")
	wantQuota(t, resp, 503)
	until(t, "a line that says why", func() bool { return s.log.line("the token is for 2 open exchanges") })
	if resp, body := get(t, s.dial(doorHTTP), "c.localhost"); body != "free" {
		t.Errorf("another token: %d %q", resp.StatusCode, body)
	}
	release()
	for _, answer := range bodies {
		if body := await(t, answer, "an exchange that was open"); body != "held" {
			t.Errorf("an exchange that was open ended with %q", body)
		}
	}
	until(t, "room", func() bool {
		resp, _ := get(t, s.dial(doorHTTP), "a.localhost")
		return resp.StatusCode == 200
	})
}

// An agent that comes back has used up what it had.
func TestQuotaOfRequests(t *testing.T) {
	a, _ := accounts(t)
	s := serve(t, Config{Accounts: a}, nil, doorHTTP)
	secret, id := token(t, a, account.Token{Account: "ci", RequestsPerSecond: 3})
	ag := quotaAgent(t, s, secret, "a", say("ok"))
	nc := s.dial(doorHTTP)
	refused := func() (n int) {
		for range 20 {
			if resp, _ := get(t, nc, "a.localhost"); resp.StatusCode != 200 {
				wantQuota(t, resp, 429)
				n++
			}
		}
		return n
	}
	began := time.Now()
	n := refused()
	if most := 3 + int(time.Since(began)/(time.Second/3)); n < 20-most-1 {
		t.Errorf("%d of 20 requests were refused, want %d", n, 20-most)
	}
	ag.Close()
	until(t, "the end of the session", func() bool { return s.log.has("agent gone") })
	s.quotas.sweep()
	quotaAgent(t, s, secret, "a", say("ok"))
	began = time.Now()
	if n, most := refused(), int(time.Since(began)/(time.Second/3)); n < 20-most-2 {
		t.Errorf("%d of 20 requests were refused when the agent was back, want %d", n, 20-most)
	}
	until(t, "the end of a quota that is unused", func() bool {
		s.mu.Lock()
		for _, open := range s.sessions {
			go open.Close() // ends with the session
		}
		s.mu.Unlock()
		s.quotas.sweep()
		s.quotas.mu.Lock()
		defer s.quotas.mu.Unlock()
		return s.quotas.held[id] == nil
	})
}
