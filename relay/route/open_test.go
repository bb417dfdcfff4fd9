package route

import (
	"testing"

	"share/tunnel"
)

func TestOpen(t *testing.T) {
	handler := func(x *tunnel.Exchange) {
		x.SendResponse(&tunnel.Response{Status: 200})
		x.End(nil)
	}
	g := NewRegistry()
	agent, relay := agents(t, handler)
	x, err := g.Bind(t.Context(), Claim{Name: "x", Session: relay, Number: 3, Evict: func(tunnel.RejectCode, string) {}})
	if err != nil {
		t.Fatal(err)
	}
	open := func() (uint32, error) {
		ex, number, err := x.Open(t.Context())
		if err == nil {
			ex.SendRequest(&tunnel.Request{Method: []byte("GET"), Target: []byte("/")})
			ex.End(nil)
			_, err = ex.ReceiveResponse()
			ex.Close()
		}
		return number, err
	}
	want := func(what string, cause tunnel.Cause) {
		t.Helper()
		_, err := open()
		if f := tunnel.AsFailure(err); f == nil || f.Cause != cause || !f.NotProcessed {
			t.Errorf("%s: got %v, want %v", what, err, cause)
		}
	}
	if number, err := open(); number != 3 || err != nil {
		t.Errorf("got number %d, %v", number, err)
	}
	busy, _, err := x.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	relay.Refuse()
	want("a session that drains", tunnel.Draining)
	busy.Close()
	want("a session that drains and has nothing open", tunnel.NoAgent)
	agent.Close()
	<-relay.Done()
	want("a session that drains and has ended", tunnel.NoAgent)

	agent, relay = agents(t, handler)
	g.Bind(t.Context(), Claim{Name: "x", Session: relay, Number: 4})
	if number, err := open(); number != 4 || err != nil {
		t.Errorf("the next session: got number %d, %v", number, err)
	}
	agent.Close()
	<-relay.Done()
	want("a session that has ended", tunnel.NoAgent)
	g.Unbind(x, relay)
	want("nobody", tunnel.NoAgent)
}
