package tunnel

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// ago makes it d ago what since says.
func ago(since *atomic.Int64, d time.Duration) { since.Store(stamp(time.Now().Add(-d))) }

// jumped is now on a machine whose time of day was set anew, by whole seconds.
func jumped(t *testing.T, now time.Time, by time.Duration) time.Time {
	t.Helper()
	const nanoseconds = 30 // bits below the seconds in the first word of a Time
	then := now
	*(*uint64)(unsafe.Pointer(&then)) += uint64(by/time.Second) << nanoseconds
	if then.Sub(now) != 0 || then.Round(0).Sub(now.Round(0)) != by {
		t.Skip("package time has another clock")
	}
	return then
}

func TestStalledLaneEnds(t *testing.T) {
	tests := []struct {
		name  string
		since func(*lane) *atomic.Int64
		want  error
	}{
		{"nothing heard", func(l *lane) *atomic.Int64 { return &l.link.heard }, errSilent},
		{"half a frame", func(l *lane) *atomic.Int64 { return &l.link.partial }, errHalf},
		{"nothing read", func(l *lane) *atomic.Int64 { return &l.link.sending }, errUnread},
		{"nothing accepted", func(l *lane) *atomic.Int64 { return &l.unopened }, errUnopened},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, relay, ended := rawAgent(t, connPair)
			p.drain()
			l := only(t, relay)
			until(t, "quiet", func() bool { return l.link.sending.Load() == 0 })
			for _, d := range []time.Duration{0, deadAfter - 20*time.Second} {
				ago(tt.since(l), d)
				if l.beat(); relay.Err() != nil {
					t.Fatalf("ended %v early: %v", d, relay.Err())
				}
			}
			// Whatever the time of day has become meanwhile.
			for _, jump := range []time.Duration{-time.Hour, time.Hour} {
				if l.beatAt(jumped(t, time.Now(), jump)); relay.Err() != nil {
					t.Fatalf("ended when the clock was set by %v: %v", jump, relay.Err())
				}
			}
			ago(tt.since(l), deadAfter)
			l.beatAt(jumped(t, time.Now(), -time.Hour))
			if err := within(t, "end of the session", ended); !errors.Is(err, tt.want) {
				t.Errorf("session ended with %v, want %v", err, tt.want)
			}
		})
	}
}

// A process that was stopped for long does not take its own silence for the
// peer's.
func TestStoppedProcessGoesOn(t *testing.T) {
	p, relay, ended := rawAgent(t, connPair)
	l := only(t, relay)
	until(t, "the first beat is due", func() bool { return l.due.Load() != 0 })
	for _, since := range []*atomic.Int64{&l.link.heard, &l.link.partial, &l.unopened} {
		ago(&l.due, deadAfter)
		ago(since, deadAfter+pingAfter)
		if l.beat(); relay.Err() != nil {
			t.Fatalf("the session ended: %v", relay.Err())
		}
		since.Store(0)
	}
	// What it has heard since it goes on is of now, and not of later.
	ago(&l.due, deadAfter)
	l.link.heard.Store(stamp(time.Now()))
	l.beat()
	if ahead := time.Duration(l.link.heard.Load() - stamp(time.Now())); ahead > 0 {
		t.Errorf("the peer was heard %v from now", ahead)
	}
	// Its peer may have gone meanwhile.
	ago(&l.due, deadAfter)
	ago(&l.link.heard, deadAfter+relayPingAfter)
	l.beat()
	if typ, _ := p.next(1); typ != typePing {
		t.Errorf("frame %d, want PING", typ)
	}
	ago(&l.link.heard, deadAfter)
	l.beat()
	if err := within(t, "end of the session", ended); !errors.Is(err, errSilent) {
		t.Errorf("session ended with %v", err)
	}
}

func TestSilentPeerIsAsked(t *testing.T) {
	p, relay, _ := rawAgent(t, connPair)
	l := only(t, relay)
	l.beat()
	ago(&l.link.heard, pingAfter)
	l.beat()
	relay.Send(&Notice{})
	// The first beat found life, the second leaves it to the agent to ask.
	if typ, _ := p.next(1); typ != typeNotice {
		t.Errorf("frame %d, want NOTICE: the agent asks first", typ)
	}
	ago(&l.link.heard, relayPingAfter)
	l.beat()
	if typ, _ := p.next(1); typ != typePing {
		t.Errorf("frame %d, want PING", typ)
	}
	relay.Send(&Notice{})
	if typ, _ := p.next(1); typ != typeNotice {
		t.Errorf("frame %d, want NOTICE: one PING is enough", typ)
	}
}

func TestPing(t *testing.T) {
	agent, relay := tcpPair(t, answer)
	for _, s := range []*Session{agent, relay} {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if err := s.Ping(ctx); err != nil {
			t.Errorf("Ping: %v", err)
		}
		cancel()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := relay.Ping(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Ping after its context: %v", err)
	}
}

// A frame of which a part has come makes the stream's Read ignore its
// deadline: only the lane's end helps.
func TestHalfFrameIsFound(t *testing.T) {
	for name, half := range map[string][]byte{
		"header": muxFrame(muxData, 0, 2, 100)[:5],
		"body":   muxBytes(2, append(frameOf(typeResponse, 96), make([]byte, 96)...))[:50],
	} {
		t.Run(name, func(t *testing.T) {
			p, relay, ended := rawAgent(t, connPair)
			x := get(t, relay)
			p.put(half)
			l := only(t, relay)
			until(t, "the half frame", func() bool { return l.link.partial.Load() != 0 })
			since := l.link.partial.Load()
			if name == "body" {
				// More of the same frame does not help.
				heard := l.link.heard.Load()
				p.put(make([]byte, 1))
				until(t, "one byte more", func() bool { return l.link.heard.Load() != heard })
				if l.link.partial.Load() != since {
					t.Error("the frame counts as begun when more of it comes")
				}
			}
			ago(&l.link.partial, deadAfter)
			l.beat()
			if err := within(t, "end of the session", ended); !errors.Is(err, errHalf) {
				t.Errorf("session ended with %v", err)
			}
			_, err := x.ReceiveResponse()
			failure(t, err, LinkLost)
		})
	}
}

func TestPeerThatNeverReadsIsFound(t *testing.T) {
	p, relay, ended := rawAgent(t, pipe)
	_ = p
	l := only(t, relay)
	until(t, "a write that hangs", func() bool { return l.link.sending.Load() != 0 })
	x := begin(t, relay)
	defer x.Close()
	wrote := make(chan error, 1)
	go func() {
		_, err := x.Write(make([]byte, 1<<20))
		wrote <- err
	}()
	ago(&l.link.sending, deadAfter)
	l.beat()
	if err := within(t, "end of the session", ended); !errors.Is(err, errUnread) {
		t.Errorf("session ended with %v", err)
	}
	within(t, "end of the write", wrote)
}

func TestPeerThatAcceptsNothingIsFound(t *testing.T) {
	p, relay, ended := rawAgent(t, connPair)
	p.drain()
	for range openBacklog {
		x, err := relay.Open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
	}
	ctx, cancel := context.WithCancel(context.Background())
	opened := make(chan error, 1)
	go func() {
		_, err := relay.Open(ctx)
		opened <- err
	}()
	l := only(t, relay)
	until(t, "an Open that waits", func() bool { return l.unopened.Load() != 0 })
	cancel()
	f := failure(t, within(t, "end of Open", opened), VisitorGone)
	if !f.NotProcessed || !errors.Is(f, context.Canceled) {
		t.Errorf("failure %+v", f)
	}
	if relay.Err() != nil {
		t.Fatalf("a slow peer cost the session: %v", relay.Err())
	}
	// Those who give up do not pile up.
	l.opening.Store(maxLive)
	_, err := relay.Open(context.Background())
	if f := failure(t, err, Overload); !f.NotProcessed {
		t.Errorf("failure %+v", f)
	}
	l.opening.Store(1)
	ago(&l.unopened, deadAfter)
	l.beat()
	if err := within(t, "end of the session", ended); !errors.Is(err, errUnopened) {
		t.Errorf("session ended with %v", err)
	}
}
