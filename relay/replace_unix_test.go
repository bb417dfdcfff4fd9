//go:build unix

package relay

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"share/relay/account"
	"share/relay/admin"
	"share/relay/handover"
	"share/relay/store"
	"share/tunnel"
)

// A generation is a relay that a process would run, and what it was made of.
type generation struct {
	*serving
	dir  string
	data *Data
	addr string // of its door
}

// generate starts a relay with the data folder dir, in the place of the one that
// runs there if there is one.
func generate(t *testing.T, dir string, replace bool) *generation {
	t.Helper()
	sockets := new(Sockets)
	cfg := Config{Sockets: sockets}
	addresses := Addresses{HTTP: "127.0.0.1:0", Sockets: sockets}
	g := &generation{dir: dir}
	var err error
	if replace {
		if cfg.Before, err = Precede(t.Context(), dir, sockets); err != nil {
			t.Fatal(err)
		}
	}
	doors, err := addresses.Listen()
	if err != nil {
		t.Fatal(err)
	}
	if replace {
		g.data, err = cfg.Before.OpenData(t.Context(), dir, sockets)
	} else {
		g.data, err = sockets.OpenData(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.data.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := cfg.Tokens.Add("test", "token"); err != nil {
		t.Fatal(err)
	}
	cfg.Accounts, cfg.Admin, cfg.Socket, cfg.Store = g.data.Accounts, g.data.Admin, g.data.Socket, g.data.Store
	g.addr = doors[0].Addr().String()
	g.serving = serveAt(t, cfg, doors...)
	return g
}

// bind connects an agent that binds name.
func (g *generation) bind(t *testing.T, name, holder string, handler func(*tunnel.Exchange)) (*agent, tunnel.Message) {
	t.Helper()
	a, err := connect(t, g.dial(doorHTTP), tunnel.Hello{Token: "token"}, handler, &tunnel.Bind{ID: 1, Kind: "http", Name: name, Holder: holder})
	if err != nil {
		return nil, nil
	}
	return a, a.receive()
}

// What a relay does whose place another takes: the agents are sent there, the
// visitors of names that are held wait for them there, and what was under way goes
// on where it is.
func TestReplace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := generate(t, dir, false)
	b := newBusy()
	ag, m := first.bind(t, "x", "one", func(x *tunnel.Exchange) {
		if string(x.Request().Target) == "/begun" {
			b.handle(x)
		} else {
			say("first")(x)
		}
	})
	if _, ok := m.(*tunnel.Bound); !ok {
		t.Fatalf("not bound: %+v", m)
	}
	begun := first.visit("/begun")
	await(t, b.entered, "a request")
	idle := visitor(t, first.addr)
	idle.want(t, "first", true)
	silent := visitor(t, first.addr) // says nothing yet
	until(t, "the silent one", func() bool { return first.strange() == 1 })

	second := generate(t, dir, true)
	if second.addr != first.addr {
		t.Errorf("the second listens at %s, the first at %s", second.addr, first.addr)
	}
	if _, ok := ag.receive().(*tunnel.Drain); !ok {
		t.Error("the agent is not told")
	}
	// A visitor comes before the agent has.
	early := visitor(t, second.addr)
	early.ask(t)
	if _, m := second.bind(t, "x", "two", say("another")); !refusedAs(m, tunnel.RejectTaken) {
		t.Errorf("another agent, while the first is expected: %+v", m)
	}
	if _, m := second.bind(t, "x", "one", say("second")); m == nil {
		t.Fatal("the agent is not bound again")
	} else if _, ok := m.(*tunnel.Bound); !ok {
		t.Fatalf("the agent is not bound again: %+v", m)
	}
	early.wantAnswer(t, "second", true)

	// The first still has the connections that it had.
	for name, v := range map[string]*visiting{"idle": idle, "silent": silent} {
		v.ask(t)
		if resp, body := v.answer(t); body != "first" || !resp.Close {
			t.Errorf("%s: %q, last %v", name, body, resp.Close)
		}
	}
	select {
	case err := <-first.ended:
		t.Fatalf("the first ended with %v while a request is open", err)
	default:
	}
	operator := admin.NewClient(SocketPath(dir))
	if names, err := operator.Names(t.Context()); err != nil || len(names) != 1 || names[0].Agent == "" {
		t.Errorf("operators are told %+v, %v", names, err)
	}
	b.finish <- true
	resp, err := http.ReadResponse(begun.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "begun" || err != nil {
		t.Errorf("what was under way: %q, %v", body, err)
	}
	begun.Close()
	if err := await(t, first.ended, "the first's end"); err != nil {
		t.Error(err)
	}
	if !first.log.line("replaced", "pid") || !second.log.line("took the relay over", "names=1") {
		t.Errorf("the logs do not say so:\n%s\n%s", first.log, second.log)
	}

	// The third has what the second has written.
	if err := operator.ReserveName(t.Context(), "kept", "web"); err != nil {
		t.Fatal(err)
	}
	third := generate(t, dir, true)
	names, err := operator.Names(t.Context())
	if err != nil || len(names) != 2 || !names[0].Reserved {
		t.Errorf("operators of the third are told %+v, %v", names, err)
	}
	if err := await(t, second.ended, "the second's end"); err != nil {
		t.Error(err)
	}
	if _, m := third.bind(t, "x", "one", say("third")); m == nil {
		t.Error("not bound at the third")
	}
}

func refusedAs(m tunnel.Message, code tunnel.RejectCode) bool {
	e, ok := m.(*tunnel.BindError)
	return ok && e.Code == code
}

// A visiting is a connection that is kept for one request after the other.
type visiting struct {
	net.Conn
	r *bufio.Reader
}

func visitor(t *testing.T, addr string) *visiting {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return &visiting{nc, bufio.NewReader(nc)}
}

func (v *visiting) ask(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(v, "POST / HTTP/1.1\r\nHost: x.localhost\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
}

func (v *visiting) answer(t *testing.T) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(v.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func (v *visiting) want(t *testing.T, body string, keeps bool) {
	t.Helper()
	v.ask(t)
	v.wantAnswer(t, body, keeps)
}

func (v *visiting) wantAnswer(t *testing.T, want string, keeps bool) {
	t.Helper()
	if resp, body := v.answer(t); body != want || resp.Close == keeps {
		t.Errorf("got %q, last %v; want %q", body, resp.Close, want)
	}
}

// Whatever goes wrong with the new process, the old one serves as before and has
// its store back.
func TestReplaceFails(t *testing.T) {
	tests := []struct {
		name string
		want string // in the old one's log
		fail func(t *testing.T, dir string, sockets *Sockets, p *Predecessor)
	}{
		{"before it listens", "the port is taken", func(_ *testing.T, _ string, _ *Sockets, p *Predecessor) {
			p.Leave(errors.New("the port is taken"))
		}},
		{"it dies", "has ended", func(_ *testing.T, _ string, _ *Sockets, p *Predecessor) {
			p.conn.Close()
		}},
		{"it dies with the store", "has ended", func(t *testing.T, dir string, sockets *Sockets, p *Predecessor) {
			data, err := p.OpenData(t.Context(), dir, sockets)
			if err != nil {
				t.Fatal(err)
			}
			p.conn.Close()
			data.Close()
		}},
		{"it cannot read the store", "read names", func(t *testing.T, dir string, sockets *Sockets, p *Predecessor) {
			data, err := p.OpenData(t.Context(), dir, sockets)
			if err != nil {
				t.Fatal(err)
			}
			data.Close()
			p.Leave(errors.New("read names: broken"))
		}},
		{"it finds the store locked", ErrInUse.Error(), func(t *testing.T, dir string, sockets *Sockets, p *Predecessor) {
			if err := p.conn.Send(t.Context(), handover.Message{Step: handover.Listening}); err != nil {
				t.Fatal(err)
			}
			if _, err := p.conn.Receive(t.Context(), handover.Lent); err != nil {
				t.Fatal(err)
			}
			other, err := OpenData(filepath.Join(dir, "..", "other"))
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			_, err = OpenData(filepath.Join(dir, "..", "other"))
			p.Leave(err)
		}},
		{"it is of another version", "version 9", func(*testing.T, string, *Sockets, *Predecessor) {}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			old := generate(t, dir, false)
			if _, m := old.bind(t, "x", "one", say("old")); m == nil {
				t.Fatal("not bound")
			}
			kept := visitor(t, old.addr)
			kept.want(t, "old", true)
			if tt.name == "it is of another version" {
				conn, err := handover.Ask(t.Context(), SocketPath(dir))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if err := conn.Send(t.Context(), handover.Message{Step: handover.Want, Version: 9, PID: os.Getpid()}); err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Receive(t.Context(), handover.Offer); err == nil {
					t.Error("it is offered something")
				}
			} else {
				sockets := new(Sockets)
				p, err := Precede(t.Context(), dir, sockets)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := Precede(t.Context(), dir, new(Sockets)); err == nil {
					t.Error("two processes replace it at a time")
				}
				tt.fail(t, dir, sockets, p)
				sockets.CloseRest()
				for _, s := range sockets.taken {
					s.close()
				}
			}
			until(t, "the log", func() bool { return old.log.line("not replaced", tt.want) })
			kept.want(t, "old", true)
			visitor(t, old.addr).want(t, "old", true)
			operator := admin.NewClient(SocketPath(dir))
			if err := operator.ReserveName(t.Context(), "kept", "web"); err != nil {
				t.Errorf("the store is not back: %v", err)
			}
			if _, m := old.bind(t, "new", "one", say("old")); m == nil {
				t.Error("no agent is taken any more")
			} else if _, ok := m.(*tunnel.Bound); !ok {
				t.Errorf("no name is given any more: %+v", m)
			}
		})
	}
}

// An agent whose token is revoked is gone soon, also where it was let in by a process
// that another has replaced since, and where an exchange lasts.
func TestRevokedInReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := generate(t, dir, false)
	secret, id := token(t, first.data.Accounts, account.Token{Account: "ci"})
	other, _ := token(t, first.data.Accounts, account.Token{Account: "other"})
	b := newBusy()
	var agents []*agent
	for name, secret := range map[string]string{"x": secret, "y": other} {
		ag, err := connect(t, first.dial(doorHTTP), tunnel.Hello{Token: secret}, b.handle)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := ag.bind(tunnel.Bind{ID: 1, Name: name, Holder: name}).(*tunnel.Bound); !ok {
			t.Fatalf("%s is not bound", name)
		}
		agents = append(agents, ag)
		v := first.dial(doorHTTP)
		io.WriteString(v, "GET /begun HTTP/1.1\r\nHost: "+name+".localhost\r\n\r\n")
		await(t, b.entered, "a request")
	}
	gone, stays := agents[0], agents[1]
	if gone.Welcome.Account != "ci" {
		gone, stays = stays, gone
	}
	second := generate(t, dir, true)
	if _, err := second.data.Accounts.Revoke(t.Context(), id); err != nil {
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
}

// A relay that is stopped while another is about to replace it stops.
func TestReplaceStopped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	old := generate(t, dir, false)
	sockets := new(Sockets)
	p, err := Precede(t.Context(), dir, sockets)
	if err != nil {
		t.Fatal(err)
	}
	data, err := p.OpenData(t.Context(), dir, sockets)
	if err != nil {
		t.Fatal(err)
	}
	old.stop()
	until(t, "the relay wants its store back", func() bool { return old.log.has("cannot be taken back yet") })
	if _, err := p.ready(t.Context()); err == nil {
		t.Error("the place of a relay that stops is given away")
	}
	data.Close()
	p.Leave(nil)
	sockets.CloseRest()
	if err := await(t, old.ended, "Serve"); err != nil {
		t.Error(err)
	}
}

// A relay that has been told to stop, and still lets requests end, says so to who
// would take its place.
func TestReplaceEnding(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	old := generate(t, dir, false)
	b := newBusy()
	if _, m := old.bind(t, "x", "one", b.handle); m == nil {
		t.Fatal("not bound")
	}
	v := old.visit("/begun")
	await(t, b.entered, "a request")
	old.stop()
	until(t, "it drains", func() bool { return old.log.has("draining") })
	if _, err := Precede(t.Context(), dir, new(Sockets)); !errors.Is(err, handover.ErrEnding) {
		t.Errorf("got %v", err)
	}
	close(b.finish)
	v.Close()
	if err := await(t, old.ended, "its end"); err != nil {
		t.Error(err)
	}
}

// A relay without a data folder is not replaced, nor one with whose end that of its
// successor would come.
func TestReplaceNothing(t *testing.T) {
	for want, r := range map[error]*Relay{
		errNoData: {},
		errFirst:  {cfg: Config{Store: new(store.Lender)}, first: true},
	} {
		err := r.replaceBy(t.Context(), nil)(func() (*handover.Conn, error) { return nil, errors.New("accepted") })
		if err == nil || err.Error() != want.Error() {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}
