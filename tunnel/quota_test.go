package tunnel

import (
	"context"
	"io"
	"testing"
	"time"
)

func TestNoQuota(t *testing.T) {
	if q := NewQuota(Limits{}); q != nil {
		t.Errorf("a quota of nothing: %+v", q)
	}
}

// What sessions open together counts, and what has ended does not.
func TestQuotaExchanges(t *testing.T) {
	_, first := tcpPair(t, answer)
	_, second := tcpPair(t, answer)
	q := NewQuota(Limits{Exchanges: 2})
	first.Quota, second.Quota = q, q
	a, b := begin(t, first), begin(t, second)
	for range 3 {
		_, err := first.Open(context.Background())
		if f := failure(t, err, QuotaExchanges); !f.NotProcessed {
			t.Errorf("failure %+v", f)
		}
	}
	if n := first.Live(); n != 1 {
		t.Errorf("%d exchanges are live, want 1", n)
	}
	b.Close()
	b = begin(t, first)
	if !q.Used() {
		t.Error("two exchanges are no use")
	}
	b.Close()
	a.Close()
	if q.Used() {
		t.Error("used by nobody")
	}
	// An exchange that could not be opened is none.
	second.Close()
	within(t, "end of the session", second.Done())
	if _, err := second.Open(context.Background()); err == nil || q.Used() {
		t.Errorf("a session that has ended: %v, used %v", err, q.Used())
	}
}

func TestQuotaRequests(t *testing.T) {
	_, relay := tcpPair(t, answer)
	var err error
	// Half a second later there would be room again: a machine that stalls is
	// asked thrice.
	for try, slow := 0, true; slow; try++ {
		if try == 3 {
			t.Skip("too slow to tell")
		}
		relay.Quota = NewQuota(Limits{Requests: 2})
		began := time.Now()
		for range 2 {
			begin(t, relay).Close()
		}
		var x *Exchange
		if x, err = relay.Open(context.Background()); err == nil {
			x.Close()
		}
		slow = time.Since(began) > 400*time.Millisecond
	}
	if f := failure(t, err, QuotaRequests); !f.NotProcessed || f.Cause.Status() != 429 {
		t.Errorf("failure %+v", f)
	}
	if !relay.Quota.Used() || relay.Live() != 0 {
		t.Errorf("used %v, %d live", relay.Quota.Used(), relay.Live())
	}
}

// Bytes beyond the quota wait, those of both ways together, and none is lost.
func TestQuotaBytes(t *testing.T) {
	_, relay := tcpPair(t, answer)
	const second = 400 << 10
	relay.Quota = NewQuota(Limits{Bytes: second})
	body := make([]byte, second/2)
	began := time.Now()
	for range 2 { // two seconds' worth, one of which goes at once
		x, err := relay.Open(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		x.SendRequest(&Request{Method: []byte("POST"), Target: []byte("/"), ContentLength: int64(len(body))})
		x.Write(body)
		x.End(nil)
		if _, err := x.ReceiveResponse(); err != nil {
			t.Fatal(err)
		}
		n := 0
		for err == nil {
			var p []byte
			p, err = x.Data()
			n += len(p)
		}
		if err != io.EOF || n != len(body) {
			t.Errorf("%d bytes came back, then %v; want %d", n, err, len(body))
		}
		x.Close()
	}
	if took := time.Since(began); took < 800*time.Millisecond {
		t.Errorf("two seconds' worth took %v", took)
	}
}

// An exchange that waits for its quota ends when it fails, and takes nothing.
func TestQuotaBytesAborted(t *testing.T) {
	_, relay := tcpPair(t, func(x *Exchange) {
		x.SendResponse(&Response{Status: 200, ContentLength: -1})
		for x.Err() == nil {
			x.Write(make([]byte, 16<<10))
		}
	})
	relay.Quota = NewQuota(Limits{Bytes: 1 << 10})
	x := begin(t, relay)
	defer x.Close()
	if _, err := x.ReceiveResponse(); err != nil {
		t.Fatal(err)
	}
	if x.Buffered() {
		t.Error("what may have to wait counts as at hand")
	}
	ended := make(chan error, 1)
	go func() { // ended by Abort
		for {
			if _, err := x.Data(); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		t.Fatalf("ended with %v", err)
	case <-time.After(2 * paceStep):
	}
	x.Abort(Fail(VisitorGone, io.EOF))
	began := time.Now()
	failure(t, within(t, "end of Data", ended), VisitorGone)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it ended after %v", took)
	}
}
