package tunnel

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"time"
)

// Connect opens an agent's session over conn, which the session owns from here
// on, also on failure. The first messages, a Bind among them, are on their
// way before the relay has answered. A refusal is a *RejectError, a peer that
// is no relay ErrNotRelay.
func Connect(ctx context.Context, conn net.Conn, hello Hello, first ...Message) (*Session, error) {
	hello.Kind = KindSession
	s := newSession(true, nil)
	l, w, err := s.greet(ctx, conn, &hello, first)
	if err != nil {
		return nil, err
	}
	s.Welcome = w
	s.lanes = []*lane{l}
	return s, nil
}

// Join adds a lane to an agent's session over conn, which it owns, also on
// failure, and returns when the lane has ended, with the cause.
func (s *Session) Join(ctx context.Context, conn net.Conn, hello Hello) error {
	hello.Kind = KindLane
	hello.Session, hello.LaneSecret = s.Welcome.Session, s.Welcome.LaneSecret
	l, _, err := s.greet(ctx, conn, &hello, nil)
	if err != nil {
		return err
	}
	return s.run(l)
}

// Look asks a relay whom it takes an agent for, over conn, which it closes: there
// is no session. A refusal is a *RejectError, a peer that is no relay ErrNotRelay.
func Look(ctx context.Context, conn net.Conn, hello Hello) (*Welcome, error) {
	return query(ctx, conn, KindProbe, hello)
}

// LogIn asks a relay how a person logs in, or with the token of the issuer that it
// has named, for a token of its own. It does so as Look does.
func LogIn(ctx context.Context, conn net.Conn, hello Hello) (*Welcome, error) {
	return query(ctx, conn, KindLogin, hello)
}

// query exchanges prefaces over conn, which it closes.
func query(ctx context.Context, conn net.Conn, kind Kind, hello Hello) (*Welcome, error) {
	defer conn.Close()
	// A connection that takes no deadline fails at its first use.
	_ = conn.SetDeadline(time.Now().Add(prefaceTimeout))
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	hello.Kind = kind
	p, err := appendHello(&hello)
	if err == nil {
		_, err = conn.Write(p)
	}
	if err != nil {
		return nil, fmt.Errorf("write preface: %w", err)
	}
	return readWelcome(conn)
}

// greet exchanges prefaces over conn and returns the lane that follows.
func (s *Session) greet(ctx context.Context, conn net.Conn, hello *Hello, first []Message) (*lane, *Welcome, error) {
	g := &greeting{Conn: conn, done: make(chan struct{})}
	// A connection that takes no deadline fails at its first use.
	_ = conn.SetDeadline(time.Now().Add(prefaceTimeout))
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	p, err := appendHello(hello)
	if err == nil {
		_, err = conn.Write(p)
	}
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("write preface: %w", err)
	}
	l, err := newLane(s, g)
	if err != nil {
		return nil, nil, err
	}
	if err := l.openControl(); err == nil {
		for _, m := range first {
			if err := l.control.message(m); err != nil {
				l.close(err)
			}
		}
	}
	w, err := g.wait(ctx)
	if err != nil {
		l.close(err)
		l.wg.Wait()
		return nil, nil, err
	}
	if l.control == nil {
		l.close(ErrClosed)
		return nil, nil, fmt.Errorf("open control stream: %w", ErrClosed)
	}
	return l, w, nil
}

// Accept answers an agent's Hello and opens the relay's end of the session
// over conn, which the session owns from here on, also on failure. It fills in
// the Welcome's session and secret.
func Accept(conn net.Conn, w *Welcome) (*Session, error) {
	w.Session, w.LaneSecret = rand.Text(), rand.Text()
	w.Lanes = maxLanes
	s := newSession(false, w)
	l, err := s.welcome(conn, KindSession)
	if err != nil {
		return nil, err
	}
	s.lanes = []*lane{l}
	return s, nil
}

// Accept answers the Hello of a lane that joins the session, whose secret the
// caller has checked. It owns conn, also on failure, and returns when the lane
// has ended, with the cause.
func (s *Session) Accept(conn net.Conn, hello *Hello) error {
	l, err := s.welcome(conn, KindLane)
	if err != nil {
		return err
	}
	l.onDemand = hello.OnDemand
	return s.run(l)
}

func (s *Session) welcome(conn net.Conn, kind Kind) (*lane, error) {
	if err := writeWelcome(conn, kind, s.Welcome); err != nil {
		conn.Close()
		return nil, err
	}
	l, err := newLane(s, conn)
	if err != nil {
		return nil, err
	}
	if err := l.openControl(); err != nil {
		l.close(err)
		return nil, err
	}
	return l, nil
}
