package tunnel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// Whichever end drains under load: each request is either answered whole, or
// was not processed.
func TestDrainUnderLoad(t *testing.T) {
	drains := map[string]func(agent, relay *Session) error{
		"agent": func(agent, relay *Session) error {
			go func() {
				if m, err := relay.Receive(context.Background()); err == nil {
					if _, ok := m.(*Drain); ok {
						relay.Finish(context.Background())
					}
				}
			}()
			return agent.Drain(context.Background(), Drain{})
		},
		"relay": func(agent, relay *Session) error {
			return relay.Drain(context.Background(), Drain{})
		},
	}
	for name, drain := range drains {
		t.Run(name, func(t *testing.T) {
			var processed, answered, refused atomic.Int64
			agent, relay := tcpPair(t, func(x *Exchange) {
				processed.Add(1)
				answer(x)
			})
			join(t, agent, relay)
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					for j := 0; ; j++ {
						_, err := ask(relay, fmt.Sprint("/", i, j), make([]byte, j%1000*100))
						if err == nil {
							answered.Add(1)
							continue
						}
						if f := AsFailure(err); !f.NotProcessed {
							t.Errorf("request %d/%d: %v", i, j, f)
						}
						refused.Add(1)
						return
					}
				})
			}
			until(t, "load", func() bool { return answered.Load() > 200 })
			if err := drain(agent, relay); err != nil {
				t.Errorf("drain: %v", err)
			}
			wg.Wait()
			if processed.Load() != answered.Load() || refused.Load() != 16 {
				t.Errorf("%d processed, %d answered, %d refused", processed.Load(), answered.Load(), refused.Load())
			}
			for _, s := range []*Session{agent, relay} {
				within(t, "end of a session", s.Done())
			}
		})
	}
}

// At its deadline a drain cuts what is open, and both ends know why.
func TestDrainDeadline(t *testing.T) {
	for _, end := range []string{"agent", "relay"} {
		t.Run(end, func(t *testing.T) {
			inside, left := make(chan bool, 1), make(chan *Failure, 1)
			agent, relay := tcpPair(t, func(x *Exchange) {
				aborted := make(chan *Failure, 1)
				x.OnAbort(func(f *Failure) { aborted <- f })
				x.SendResponse(&Response{Status: 200, ContentLength: -1})
				x.Write([]byte("half"))
				x.Flush()
				inside <- true
				left <- <-aborted
			})
			x := begin(t, relay)
			defer x.Close()
			within(t, "handler", inside)
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			s := map[string]*Session{"agent": agent, "relay": relay}[end]
			if err := s.Drain(ctx, Drain{DeadlineMS: 1}); !errors.Is(err, context.Canceled) {
				t.Errorf("Drain: %v", err)
			}
			if f := within(t, "OnAbort", left); f.Cause != Draining {
				t.Errorf("the handler saw %v", f)
			}
			_, err := receive(x)
			failure(t, err, Draining)
		})
	}
}

// Serve ends with its context, and the peer's with it.
func TestServeEndsWithItsContext(t *testing.T) {
	a, r := connPair(t)
	accepted := make(chan bool, 1)
	go func() {
		if _, err := ReadHello(r); err != nil {
			t.Error(err)
		}
		s, err := Accept(r, &Welcome{})
		if err != nil {
			t.Error(err)
			return
		}
		accepted <- true
		s.Serve(context.Background(), nil)
	}()
	agent, err := Connect(context.Background(), a, Hello{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- agent.Serve(ctx, answer) }()
	within(t, "Accept", accepted)
	cancel()
	if err := within(t, "Serve", ended); !errors.Is(err, ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	if agent.Addr() != "" || agent.Send(&Notice{}) == nil || agent.Ping(context.Background()) == nil {
		t.Error("a session that has ended goes on")
	}
}

// Refuse turns away what is new, and lets the rest go on.
func TestRefuse(t *testing.T) {
	inside, finish := make(chan bool, 2), make(chan bool)
	release := sync.OnceFunc(func() { close(finish) })
	defer release()
	agent, relay := tcpPair(t, func(x *Exchange) {
		inside <- true
		<-finish
		answer(x)
	})
	x := begin(t, relay)
	defer x.Close()
	within(t, "handler", inside)
	agent.Refuse()
	if !agent.Draining() || relay.Draining() {
		t.Error("Draining is not what Refuse said")
	}
	_, err := ask(relay, "/", nil)
	if f := failure(t, err, Draining); !f.NotProcessed || f.By != Relay {
		t.Errorf("failure %+v", f)
	}
	relay.Refuse()
	if _, err := relay.Open(context.Background()); failure(t, err, Draining).NotProcessed == false {
		t.Error("a refused exchange counts as processed")
	}
	release()
	if _, err := receive(x); err != nil {
		t.Errorf("the open exchange: %v", err)
	}
}
