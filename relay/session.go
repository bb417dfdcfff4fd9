package relay

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"share/relay/account"
	"share/relay/route"
	"share/tunnel"
)

// evictGrace is how long an evicted agent may take to let its exchanges end.
const evictGrace = 10 * time.Second

// A session is an agent's, with the tunnels it has bound.
type session struct {
	*tunnel.Session
	client  string          // the agent's address
	token   account.Token   // what it was let in with; of an open relay, or another list, the account alone
	secret  *[32]byte       // the digest of one of Config.Tokens that it was let in with, nil if it was another
	tunnels []*route.Tunnel // owned by Relay.converse; nil where one was given back
	binds   *rate.Limiter   // of BINDs; those beyond it wait
	waiting atomic.Int64    // messages that are not yet answered
	evicted sync.Once
}

// Attach serves an agent of the same process over conn, which it owns, until
// the session or ctx ends. It needs no token.
func (r *Relay) Attach(ctx context.Context, conn net.Conn) {
	select {
	case <-r.ready:
		if s := r.meetAgent(ctx, conn, true, func() {}); s != nil {
			r.converse(ctx, s)
		}
	case <-ctx.Done():
		conn.Close()
	}
}

// meetAgent takes a connection that begins with a preface; it owns conn. It
// returns the session that is due to converse, nil if there is none: a lane,
// a look and a login are served here. secret says that nobody else can read along; met
// is called once the agent has said who it is.
func (r *Relay) meetAgent(ctx context.Context, conn net.Conn, secret bool, met func()) *session {
	greeting := conn
	stop := context.AfterFunc(ctx, func() { greeting.Close() })
	defer stop()
	if err := r.noRoom(conn); err != nil {
		r.reject(conn, err)
		return nil
	}
	hello, err := tunnel.ReadHello(conn)
	met()
	var token account.Token
	welcome := &tunnel.Welcome{}
	switch {
	case err != nil:
	case hello.Kind == tunnel.KindLogin:
		welcome, err = r.logIn(ctx, conn, hello, secret)
	default:
		token, err = r.authorise(ctx, conn, hello, secret)
		welcome.Account, welcome.Expires = token.Account, token.Expires
	}
	if err == nil && (hello.Kind == tunnel.KindSession || hello.Kind == tunnel.KindLane) && r.isYielding() {
		err = errYielding()
	}
	if c, ok := conn.(*unreadConn); ok && len(c.first) == 0 {
		conn = c.Conn // the preface took what was read before
	}
	if err != nil {
		r.reject(conn, err)
		return nil
	}
	welcome.Relay = r.id
	switch hello.Kind {
	case tunnel.KindProbe, tunnel.KindLogin:
		// An error is the loss of who asks.
		_ = welcome.Write(conn, hello.Kind)
		conn.Close()
	case tunnel.KindLane:
		stop()
		r.join(conn, hello, token.Account)
	default:
		client := conn.RemoteAddr().String()
		s, err := tunnel.Accept(conn, welcome)
		stop() // the session ends with ctx by itself, and says why
		if err != nil {
			r.refused(err)
			r.log.Info("agent rejected", "client", conn.RemoteAddr().String(), "error", err.Error())
			return nil
		}
		s.Budget = &r.windows
		agent := &session{Session: s, token: token, client: client, binds: rate.NewLimiter(bindRate, bindBurst)}
		if token.ID == "" && !r.cfg.open() {
			digest := sha256.Sum256([]byte(hello.Token))
			agent.secret = &digest
		}
		return r.register(agent)
	}
	return nil
}

// join adds a lane to a session of the same account.
func (r *Relay) join(conn net.Conn, hello *tunnel.Hello, account string) {
	r.mu.Lock()
	s := r.sessions[hello.Session]
	r.mu.Unlock()
	if s == nil || s.token.Account != account || subtle.ConstantTimeCompare([]byte(s.Welcome.LaneSecret), []byte(hello.LaneSecret)) != 1 {
		r.reject(conn, &tunnel.RejectError{Code: tunnel.RejectSession, Message: "there is no such session"})
		return
	}
	if err := s.Accept(conn, hello); err != nil {
		r.log.Debug("lane ended", "account", account, "reason", err.Error())
	}
}

// converse serves a session until it ends.
func (r *Relay) converse(ctx context.Context, s *session) {
	talk, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	s.Notify(func() {
		if s.waiting.Add(1) == 1 {
			wg.Go(func() { r.answer(talk, s, &wg) })
		}
	})
	err := s.Serve(ctx, nil)
	stop()
	wg.Wait()
	r.mu.Lock()
	delete(r.sessions, s.Welcome.Session)
	r.stalls += s.Stalls()
	r.mu.Unlock()
	r.release(s)
	r.quotas.release(&s.token)
	r.log.Info("agent gone", "account", s.token.Account, "client", s.client, "reason", err.Error())
}

// release gives all names of a session back.
func (r *Relay) release(s *session) {
	for i := range s.tunnels {
		r.giveBack(s, i)
	}
}

// giveBack ends the session's hold of its tunnel i, if it has not before.
func (r *Relay) giveBack(s *session, i int) {
	if t := s.tunnels[i]; t != nil {
		s.tunnels[i] = nil
		r.names.Unbind(t, s.Session)
		r.tunnels.release(&s.token, t.Name)
	}
}

// register makes a session known, and returns nil if it is not taken any more.
func (r *Relay) register(s *session) *session {
	r.mu.Lock()
	over := r.draining || s.secret != nil && !r.listed.Load().has(*s.secret, s.token.Account)
	if !over {
		r.sessions[s.Welcome.Session] = s
	}
	r.mu.Unlock()
	if over {
		s.Close()
		return nil
	}
	s.Quota = r.quotas.take(&s.token)
	r.log.Info("agent connected", "account", s.token.Account, "client", s.client)
	return s
}

// answer answers an agent's messages until none is waiting, or the session or
// ctx ends.
func (r *Relay) answer(ctx context.Context, s *session, wg *sync.WaitGroup) {
	for more := true; more; more = s.waiting.Add(-1) > 0 {
		m, err := s.Receive(ctx)
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *tunnel.Bind:
			if err = s.binds.Wait(ctx); err == nil {
				err = s.Send(r.bind(ctx, s, m))
			}
		case *tunnel.Unbind:
			r.unbind(s, m)
		case *tunnel.Drain:
			if s.Draining() {
				continue
			}
			s.Refuse()
			if s.Live() == 0 {
				r.release(s)
			}
			// It ends with the session, if not before.
			wg.Go(func() { _ = s.Finish(ctx) })
		case *tunnel.TargetHealth:
			r.log.Debug("target", "account", s.token.Account, "tunnel", m.Tunnel, "up", m.Up, "cause", m.Cause.String())
		}
		if err != nil {
			return
		}
	}
}

// bind gives the agent the name it asks for, or says why not.
func (r *Relay) bind(ctx context.Context, s *session, m *tunnel.Bind) tunnel.Message {
	no := &tunnel.BindError{ID: m.ID, Code: tunnel.RejectName}
	number := uint32(len(s.tunnels) + 1)
	switch {
	case m.Kind != "http":
		no.Message = "this relay knows no tunnels of kind " + quote(m.Kind)
	case len(m.Holder) > maxHolder || len(m.Seed) > maxHolder:
		no.Message = "holder or seed is too long"
	case number > maxTunnels:
		no.Code, no.Message = tunnel.RejectQuota, "the session has too many tunnels"
	default:
		name, url, refusal := r.wish(s, m)
		if refusal != "" {
			no.Message = refusal
			break
		}
		counted := ""
		t, err := r.names.Bind(ctx, route.Claim{
			Account: s.token.Account, Name: name, Seed: m.Seed, Holder: m.Holder, Takeover: m.Takeover,
			Session: s.Session, Number: number,
			Allowed: func(name string) error {
				err := r.admitName(s, name)
				if err == nil {
					counted = name
				}
				return err
			},
			Evict: func(code tunnel.RejectCode, reason string) { r.evict(s, number, code, reason) },
		})
		if err == nil {
			s.tunnels = append(s.tunnels, t)
			if url == "" {
				url = r.tunnelURL(t.Name)
			}
			r.log.Info("bound", "account", s.token.Account, "name", t.Name, "url", url)
			return &tunnel.Bound{ID: m.ID, Tunnel: number, Name: t.Name, URL: url}
		}
		if counted != "" {
			r.tunnels.release(&s.token, counted)
		}
		if refused, ok := errors.AsType[*tunnel.BindError](err); ok {
			*no = *refused
			no.ID = m.ID
		} else if r.isYielding() {
			no.Code, no.Message = tunnel.RejectDraining, errReplaced.Error()
		} else if ctx.Err() == nil {
			r.log.Error("a name cannot be bound", "account", s.token.Account, "error", err.Error())
			no.Code, no.Message, no.RetryAfterMS = tunnel.RejectDraining, "names cannot be bound now", lookupPause.Milliseconds()
		}
	}
	r.log.Info("name refused", "account", s.token.Account, "name", m.Name[:min(len(m.Name), maxShown)], "reason", no.Message)
	return no
}

// wish is the name that an agent asks for and, if it asks for a domain, the URL
// of that; or why it cannot have them.
func (r *Relay) wish(s *session, m *tunnel.Bind) (name, url, refusal string) {
	if m.Domain == "" {
		return m.Name, "", ""
	}
	shown := m.Domain[:min(len(m.Domain), maxShown)]
	if r.domains == nil {
		return "", "", "this relay keeps no domains: it has no accounts"
	}
	d, ok := r.domains.Find(m.Domain)
	switch {
	case !ok || d.Account != s.token.Account:
		// Whose it is, is not told.
		return "", "", "the domain " + shown + " is not the account's: the relay's operator adds it with share relay domain add"
	case d.Verified.IsZero():
		return "", "", "the domain " + shown + " is not verified: share relay domain ls says why"
	case m.Name != "" && m.Name != d.Name:
		return "", "", "the domain " + shown + " leads to the name " + d.Name
	}
	return d.Name, r.domainURL(d.Domain), ""
}

const (
	// maxHolder bounds what stands for an agent.
	maxHolder = 256

	// maxTunnels bounds the tunnels of one session.
	maxTunnels = 100

	// bindRate and bindBurst bound the BINDs of one session: each may have to
	// be written down.
	bindRate  = 10 // a second
	bindBurst = 2 * maxTunnels
)

// unbind gives a name back.
func (r *Relay) unbind(s *session, m *tunnel.Unbind) {
	if m.Tunnel == 0 || int(m.Tunnel) > len(s.tunnels) {
		return
	}
	r.giveBack(s, int(m.Tunnel)-1)
}

// evict tells an agent why it has lost its name, and ends the session soon.
func (r *Relay) evict(s *session, number uint32, code tunnel.RejectCode, reason string) {
	s.evicted.Do(func() {
		// An error is the session's end.
		_ = s.Send(&tunnel.Unbind{Tunnel: number, Code: code, Message: reason})
		r.wg.Go(func() {
			select {
			case <-s.Done():
			case <-time.After(evictGrace):
				s.Fail(errors.New("evicted"))
			case <-r.cut:
			}
		})
	})
}

// maxShown bounds what is shown of what an agent sent.
const maxShown = 64

// quote shows what an agent sent on one short line.
func quote(s string) string { return quoteAtMost(s, maxShown) }

func quoteAtMost(s string, most int) string {
	return strconv.Quote(s[:min(len(s), most)])
}
