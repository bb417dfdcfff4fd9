package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// join adds a lane to a session and returns the agent's connection, and how
// the lane ended at both ends.
func join(t testing.TB, agent, relay *Session) (conn net.Conn, joined, accepted <-chan error) {
	t.Helper()
	return joinAs(t, agent, relay, Hello{})
}

func joinAs(t testing.TB, agent, relay *Session, hello Hello) (conn net.Conn, joined, accepted <-chan error) {
	t.Helper()
	lanes := relay.Lanes()
	a, r := connPair(t)
	ends := [2]chan error{make(chan error, 1), make(chan error, 1)}
	go func() {
		h, err := ReadHello(r)
		if err != nil || h.Kind != KindLane || h.Session != relay.Welcome.Session || h.LaneSecret != relay.Welcome.LaneSecret {
			t.Errorf("hello %+v, %v", h, err)
		}
		ends[1] <- relay.Accept(r, h)
	}()
	go func() { ends[0] <- agent.Join(context.Background(), a, hello) }()
	until(t, "a lane more", func() bool {
		return relay.Lanes() > lanes && agent.Lanes() > lanes || len(ends[0]) > 0 && len(ends[1]) > 0
	})
	return a, ends[0], ends[1]
}

// An agent hears when large bodies fill all its lanes.
func TestCrowded(t *testing.T) {
	agent, relay := tcpPair(t, func(x *Exchange) {
		x.SendResponse(&Response{Status: 200, ContentLength: -1})
		x.Write(make([]byte, firstWindow+1))
		<-fill(x)
	})
	bulk := func() {
		x := get(t, relay)
		if _, err := x.ReceiveResponse(); err != nil {
			t.Fatal(err)
		}
		for x.in.received <= bulkAfter {
			if _, err := x.Data(); err != nil {
				t.Fatal(err)
			}
		}
	}
	bulk()
	within(t, "word of a crowd", agent.Crowded())
	join(t, agent, relay)
	agent.crowd()
	select {
	case <-agent.Crowded():
		t.Fatal("crowded, with a lane to spare")
	default:
	}
	bulk() // on the other
	within(t, "word of the second crowd", agent.Crowded())
	// What is small passes where there is room.
	join(t, agent, relay)
	if x := get(t, relay); x.lane.bulk.Load() != 0 {
		t.Error("an exchange is opened beside large bodies, where another lane is free")
	}
}

func TestLanes(t *testing.T) {
	agent, relay := tcpPair(t, answer)
	var joined []<-chan error
	for range 3 {
		_, j, a := join(t, agent, relay)
		joined = append(joined, j, a)
	}
	// Exchanges spread over all.
	lanes := make(map[*lane]int)
	var open []*Exchange
	for range 8 {
		x := begin(t, relay)
		lanes[x.lane]++
		open = append(open, x)
	}
	if len(lanes) != 4 {
		t.Errorf("8 exchanges are on %d lanes, want 4", len(lanes))
	}
	for l, n := range lanes {
		if n != 2 {
			t.Errorf("lane %p has %d exchanges, want 2", l, n)
		}
	}
	for _, x := range open {
		if _, err := receive(x); err != nil {
			t.Error(err)
		}
		x.Close()
	}
	// Messages and pings find a lane.
	relay.Send(&Notice{Message: "x"})
	if m, err := agent.Receive(context.Background()); err != nil || m.(*Notice).Message != "x" {
		t.Errorf("message %+v, %v", m, err)
	}
	agent.Close()
	for _, end := range joined {
		if err := within(t, "end of a lane", end); err == nil {
			t.Error("no cause")
		}
	}
	within(t, "end of the session", relay.Done())
	if _, err := relay.Open(context.Background()); err == nil {
		t.Error("an exchange without a lane")
	}
}

// A small exchange avoids the lane that carries a large one.
func TestBulkIsAvoided(t *testing.T) {
	agent, relay := tcpPair(t, answer)
	join(t, agent, relay)
	bulk := open(t, relay, &Request{ContentLength: -1})
	if _, err := bulk.Write(make([]byte, bulkAfter+1)); err != nil {
		t.Fatal(err)
	}
	for range bulkWeight / 2 {
		x := begin(t, relay)
		defer x.Close()
		if x.lane == bulk.lane {
			t.Fatal("a small exchange beside a large one, with a lane free")
		}
	}
	bulk.Close()
	if n := bulk.lane.bulk.Load(); n != 0 {
		t.Errorf("the lane still counts %d large exchanges", n)
	}
	x := begin(t, relay)
	defer x.Close()
	if x.lane != bulk.lane {
		t.Error("the lane is avoided for ever")
	}
}

// A lane that joined on demand takes small exchanges only while a large one is
// on the other, or many are.
func TestLaneOnDemand(t *testing.T) {
	agent, relay := tcpPair(t, answer)
	first := only(t, relay)
	joinAs(t, agent, relay, Hello{OnDemand: true})
	for range 100 {
		x := begin(t, relay)
		defer x.Close()
		if x.lane != first {
			t.Fatal("an exchange on the lane on demand, which nothing demands")
		}
	}
	bulk := open(t, relay, &Request{ContentLength: -1})
	if _, err := bulk.Write(make([]byte, bulkAfter+1)); err != nil {
		t.Fatal(err)
	}
	if bulk.lane != first {
		t.Fatal("the large exchange is on the other lane")
	}
	beside := begin(t, relay)
	defer beside.Close()
	if beside.lane == first {
		t.Error("a small exchange beside a large one, with the lane on demand free")
	}
	bulk.Close()
	after := begin(t, relay)
	defer after.Close()
	if after.lane != first {
		t.Error("the lane on demand is taken for ever")
	}
}

// A lane dies alone: its exchanges end with a cause, the others go on.
func TestLaneDiesAlone(t *testing.T) {
	agent, relay := tcpPair(t, func(x *Exchange) {
		x.SendResponse(&Response{Status: 200, ContentLength: -1})
		x.Flush()
		if _, err := io.ReadAll(readerOf(x)); err == nil {
			x.End(nil)
		}
	})
	conn, joined, accepted := join(t, agent, relay)
	var xs []*Exchange
	for range 6 {
		x := open(t, relay, &Request{ContentLength: -1})
		defer x.Close()
		x.Flush()
		if _, err := x.ReceiveResponse(); err != nil {
			t.Fatal(err)
		}
		xs = append(xs, x)
	}
	first := only(t, relay)
	conn.Close()
	for name, end := range map[string]<-chan error{"Join": joined, "Accept": accepted} {
		if err := within(t, name, end); err == nil || errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	lost := 0
	for _, x := range xs {
		if x.lane == first {
			if err := x.End(nil); err != nil {
				t.Errorf("End on the other lane: %v", err)
			}
			if _, err := x.Data(); err != io.EOF {
				t.Errorf("Data on the other lane: %v", err)
			}
			continue
		}
		lost++
		_, err := x.Data()
		failure(t, err, LinkLost)
	}
	if lost != 3 {
		t.Errorf("%d exchanges are lost, want 3", lost)
	}
	if agent.Err() != nil || relay.Err() != nil {
		t.Fatalf("sessions ended: %v, %v", agent.Err(), relay.Err())
	}
	// Another lane takes its place.
	join(t, agent, relay)
	if n := relay.Lanes(); n != 2 {
		t.Errorf("%d lanes, want 2", n)
	}
}

// Where a lane has died that is still in the list, another is taken.
func TestDeadLaneIsNotPicked(t *testing.T) {
	agent, relay := tcpPair(t, answer)
	join(t, agent, relay)
	relay.mu.Lock()
	dead := relay.lanes[0]
	relay.mu.Unlock()
	dead.mux.Close()
	until(t, "end of the lane", func() bool { return relay.Lanes() == 1 })
	relay.mu.Lock()
	relay.lanes = []*lane{dead, relay.lanes[0]}
	relay.mu.Unlock()
	for i := range 10 {
		if l := relay.pick(); l == nil || l == dead {
			t.Fatalf("pick %d: %p", i, l)
		}
	}
	relay.mu.Lock()
	relay.lanes = relay.lanes[1:]
	relay.mu.Unlock()
}

// Whoever waits for a stream of a lane that then dies gets one of another.
func TestOpenOutlivesItsLane(t *testing.T) {
	p, relay, _ := rawAgent(t, connPair)
	p.drain() // and accept nothing
	dying := only(t, relay)
	agent := newSession(true, relay.Welcome)
	agent.handler = answer
	a, r := connPair(t)
	var wg sync.WaitGroup
	t.Cleanup(func() { agent.Close(); wg.Wait() })
	wg.Go(func() {
		if h, err := ReadHello(r); err == nil {
			relay.Accept(r, h)
		}
	})
	wg.Go(func() { agent.Join(context.Background(), a, Hello{}) })
	until(t, "the other lane", func() bool { return relay.Lanes() == 2 })
	type opened struct {
		x   *Exchange
		err error
	}
	const n = 3 * openBacklog
	all := make(chan opened, n)
	for range n {
		go func() {
			x, err := relay.Open(context.Background())
			all <- opened{x, err}
		}()
	}
	until(t, "those who wait", func() bool {
		waiting := int(dying.opening.Load())
		return waiting > 0 && len(all)+waiting == n
	})
	dying.close(errors.New("cut"))
	for range n {
		o := within(t, "an exchange", all)
		if o.err != nil {
			t.Errorf("with a lane left: %v", o.err)
			continue
		}
		defer o.x.Close()
	}
}

func TestTooManyLanes(t *testing.T) {
	agent, relay := tcpPair(t, answer)
	for range maxLanes - 1 {
		join(t, agent, relay)
	}
	_, joined, accepted := join(t, agent, relay)
	for name, end := range map[string]<-chan error{"Join": joined, "Accept": accepted} {
		if err := within(t, name, end); err == nil {
			t.Errorf("%s: no error for one lane too many", name)
		}
	}
	if n := relay.Lanes(); n != maxLanes {
		t.Errorf("%d lanes, want %d", n, maxLanes)
	}
}

// A lane that joins while the session closes does not keep it from ending.
func TestJoinRacesWithClose(t *testing.T) {
	for range 30 {
		agent, relay := tcpPair(t, answer)
		a, r := connPair(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			if h, err := ReadHello(r); err == nil {
				relay.Accept(r, h)
			}
			r.Close()
		})
		wg.Go(func() { agent.Join(context.Background(), a, Hello{}) })
		wg.Go(agent.Close)
		wg.Go(relay.Close)
		wg.Wait()
		within(t, "end of the agent's session", agent.Done())
		within(t, "end of the relay's session", relay.Done())
	}
}
