package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

func TestExchange(t *testing.T) {
	conns := map[string]func(testing.TB) (net.Conn, net.Conn){
		"pipe": func(testing.TB) (net.Conn, net.Conn) { return net.Pipe() },
		"tcp":  connPair,
	}
	for name, connect := range conns {
		t.Run(name, func(t *testing.T) {
			a, r := connect(t)
			_, relay := pair(t, a, r, answer)
			for _, n := range []int{0, 1, 100, 5000, 20_000, 300_000, 3_000_000} {
				want := bytes.Repeat([]byte{byte(n)}, n)
				got, err := ask(relay, fmt.Sprint("/", n), want)
				if err != nil {
					t.Fatalf("%d bytes: %v", n, err)
				}
				if !bytes.Equal(got, want) {
					t.Fatalf("%d bytes came back as %d others", n, len(got))
				}
			}
		})
	}
}

func TestExchangesAtOnce(t *testing.T) {
	_, relay := tcpPair(t, answer)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for j := range 50 {
				body := bytes.Repeat([]byte{byte(i), byte(j)}, 1+i*j)
				got, err := ask(relay, fmt.Sprint(i, j), body)
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("exchange %d/%d: %d bytes, %v", i, j, len(got), err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := relay.Live(); n != 0 {
		t.Errorf("%d exchanges are still live", n)
	}
}

func TestOnlyEndEndsAMessage(t *testing.T) {
	body := []byte("half of it")
	seen := make(chan bool)
	see := sync.OnceFunc(func() { close(seen) })
	handlers := map[string]struct {
		handler func(*Exchange)
		want    Cause
	}{
		"abort after the head": {func(x *Exchange) {
			x.SendResponse(&Response{Status: 200, ContentLength: -1})
			x.Write(body)
			x.Abort(&Failure{Cause: TargetIncomplete})
		}, TargetIncomplete},
		"handler forgets END": {func(x *Exchange) {
			x.SendResponse(&Response{Status: 200, ContentLength: -1})
			x.Write(body)
			x.Flush()
		}, Internal},
		"body shorter than its length": {func(x *Exchange) {
			x.SendResponse(&Response{Status: 200, ContentLength: 100})
			x.Write(body)
			x.Flush()
			if err := x.End(nil); err == nil {
				t.Error("End of a short body is accepted")
			}
		}, Internal},
		"lane closed": {func(x *Exchange) {
			x.SendResponse(&Response{Status: 200, ContentLength: -1})
			x.Write(body)
			x.Flush()
			<-seen
			x.lane.link.Conn.Close()
		}, LinkLost},
	}
	for name, tt := range handlers {
		t.Run(name, func(t *testing.T) {
			_, relay := tcpPair(t, tt.handler)
			if name == "lane closed" {
				defer see()
			}
			x := get(t, relay)
			if _, err := x.ReceiveResponse(); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(body))
			if _, err := io.ReadFull(readerOf(x), got); err != nil {
				t.Fatal(err)
			}
			if name == "lane closed" {
				see()
			}
			_, err := x.Data()
			failure(t, err, tt.want)
			if !bytes.Equal(got, body) {
				t.Errorf("before the failure came %q, want %q", got, body)
			}
		})
	}
}

func TestUnsentHeadIsReplaced(t *testing.T) {
	_, relay := tcpPair(t, func(x *Exchange) {
		x.SendResponse(&Response{Status: 200, ContentLength: -1})
		x.Write([]byte("never seen"))
		if x.HeadSent() {
			t.Error("HeadSent before Flush")
		}
		x.SendResponse(&Response{Status: 502, ContentLength: 3, Flags: ResponseAgent})
		x.Write([]byte("bad"))
		x.End(nil)
	})
	x := get(t, relay)
	r, err := x.ReceiveResponse()
	if err != nil || r.Status != 502 {
		t.Fatalf("response %+v, %v", r, err)
	}
	got, err := io.ReadAll(readerOf(x))
	if string(got) != "bad" || err != nil {
		t.Errorf("body %q, %v", got, err)
	}
}

func TestVisitorGoneReachesTheAgent(t *testing.T) {
	gone, inside := make(chan *Failure, 1), make(chan bool)
	_, relay := tcpPair(t, func(x *Exchange) {
		x.OnAbort(func(f *Failure) { gone <- f })
		_, err := x.Data()
		if err != io.EOF {
			t.Errorf("request's end: %v", err)
		}
		close(inside)
		<-x.lane.mux.CloseChan()
	})
	x := get(t, relay)
	within(t, "handler", inside)
	x.Abort(&Failure{Cause: VisitorGone})
	if f := within(t, "the agent's word", gone); f.Cause != VisitorGone {
		t.Errorf("cause %v", f.Cause)
	}
	if _, err := x.ReceiveResponse(); err == nil {
		t.Error("a response after Abort")
	}
	relay.Close()
}

func TestEarlyAnswerStopsTheUpload(t *testing.T) {
	_, relay := tcpPair(t, func(x *Exchange) {
		x.SendResponse(&Response{Status: 413})
		x.End(nil)
	})
	x, err := relay.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	x.SendRequest(&Request{Method: []byte("POST"), Target: []byte("/"), ContentLength: 1 << 30})
	wrote := make(chan error, 1)
	go func() {
		buf := make([]byte, 64<<10)
		for {
			if _, err := x.Write(buf); err != nil {
				wrote <- err
				return
			}
		}
	}()
	r, err := x.ReceiveResponse()
	if err != nil || r.Status != 413 {
		t.Fatalf("response %+v, %v", r, err)
	}
	if _, err := x.Data(); err != io.EOF {
		t.Fatalf("end of the response: %v", err)
	}
	if err := within(t, "end of the upload", wrote); !errors.Is(err, ErrStopped) {
		t.Errorf("upload ended with %v, want ErrStopped", err)
	}
	x.Close()
	// The stream was not kept, the lane was.
	if x := get(t, relay); x == nil {
		t.Error("no exchange after an early answer")
	} else if _, err := x.ReceiveResponse(); err != nil {
		t.Error(err)
	}
}

func TestUpgradeIsAByteStream(t *testing.T) {
	_, relay := tcpPair(t, func(x *Exchange) {
		x.SendResponse(&Response{Status: 101, Flags: ResponseUpgrade})
		for {
			p, err := x.Data()
			if err == io.EOF {
				x.Write([]byte("bye"))
				x.End(nil)
				return
			}
			if err != nil {
				return
			}
			x.Write(p)
			x.Flush()
		}
	})
	x, err := relay.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	x.SendRequest(&Request{Method: []byte("GET"), Target: []byte("/"), Flags: RequestUpgrade})
	x.Flush()
	r, err := x.ReceiveResponse()
	if err != nil || r.Interim() || r.Status != 101 {
		t.Fatalf("response %+v, %v", r, err)
	}
	x.Write([]byte("hello"))
	x.Flush()
	p, err := x.Data()
	if string(p) != "hello" || err != nil {
		t.Fatalf("echo %q, %v", p, err)
	}
	x.End(nil)
	got, err := io.ReadAll(readerOf(x))
	if string(got) != "bye" || err != nil {
		t.Errorf("after FIN: %q, %v", got, err)
	}
}

func TestDrain(t *testing.T) {
	inside, finish := make(chan bool, 2), make(chan bool)
	release := sync.OnceFunc(func() { close(finish) })
	defer release()
	agent, relay := tcpPair(t, func(x *Exchange) {
		inside <- true
		<-finish
		answer(x)
	})
	x := begin(t, relay)
	within(t, "handler", inside)
	drained := make(chan error, 1)
	go func() { drained <- agent.Drain(context.Background(), Drain{}) }()
	if m, err := relay.Receive(context.Background()); err != nil {
		t.Fatal(err)
	} else if _, ok := m.(*Drain); !ok {
		t.Fatalf("message %T, want *Drain", m)
	}
	late := begin(t, relay)
	_, err := late.ReceiveResponse()
	if f := failure(t, err, Draining); !f.NotProcessed {
		t.Error("a refused request is not marked as not processed")
	}
	late.Close()
	finished := make(chan error, 1)
	go func() { finished <- relay.Finish(context.Background()) }()
	release()
	if r, err := x.ReceiveResponse(); err != nil || r.Status != 200 {
		t.Errorf("open exchange: %v", err)
	}
	x.Close()
	if err := within(t, "Finish", finished); err != nil {
		t.Errorf("Finish: %v", err)
	}
	if err := within(t, "Drain", drained); err != nil {
		t.Errorf("Drain: %v", err)
	}
}

func TestReject(t *testing.T) {
	a, r := connPair(t)
	want := &RejectError{Code: RejectToken, Message: "unknown token", RetryAfter: 3 * time.Second}
	go func() {
		defer r.Close()
		ReadHello(r)
		Reject(r, want)
	}()
	_, err := Connect(context.Background(), a, Hello{}, &Bind{Name: "x"})
	got, ok := errors.AsType[*RejectError](err)
	if !ok || *got != *want {
		t.Errorf("error %#v, want %#v", err, want)
	}
}

func TestNotARelay(t *testing.T) {
	a, r := connPair(t)
	go func() {
		defer r.Close()
		io.WriteString(r, "HTTP/1.1 400 Bad Request\r\n\r\n")
	}()
	if _, err := Connect(context.Background(), a, Hello{}); !errors.Is(err, ErrNotRelay) {
		t.Errorf("error %v, want ErrNotRelay", err)
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	a, r := net.Pipe()
	hello := make(chan bool)
	go func() {
		// A peer that accepts the session and then reads no more.
		ReadHello(a)
		close(hello)
	}()
	_ = r
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-hello
		cancel()
	}()
	if _, err := Connect(ctx, r, Hello{}); err == nil {
		t.Error("Connect to a silent relay succeeded")
	}
	a.Close()
}
