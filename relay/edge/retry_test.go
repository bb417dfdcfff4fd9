package edge

import (
	"bytes"
	"io"
	"strconv"
	"sync/atomic"
	"testing"

	"share/tunnel"
)

// refuser is a stub whose agent takes none of the first refusals requests, and
// echoes the rest. It reads so much of a body first, -1 for all.
func refuser(t *testing.T, refusals int64, read int, f tunnel.Failure) (s *stub, calls *atomic.Int64) {
	calls = new(atomic.Int64)
	s = newStub(t, func(x *tunnel.Exchange) {
		if calls.Add(1) <= refusals {
			if read < 0 {
				io.Copy(io.Discard, x)
			} else {
				io.CopyN(io.Discard, x, int64(read))
			}
			again := f
			x.Abort(&again)
			return
		}
		body, err := io.ReadAll(x)
		if err != nil {
			x.Abort(tunnel.AsFailure(err))
			return
		}
		respond(x, 200, string(body))
	}, nil)
	return s, calls
}

// What an agent has not processed is sent again, if every byte is still held.
func TestRetry(t *testing.T) {
	t.Parallel()
	draining := tunnel.Failure{Cause: tunnel.Draining, NotProcessed: true}
	tests := []struct {
		name     string
		refusals int64
		failure  tunnel.Failure
		body     int
		status   int
		cause    string
		calls    int64
	}{
		{"no body", 1, draining, 0, 200, "", 2},
		{"twice", 2, draining, 0, 200, "", 3},
		{"too often", 3, draining, 0, 503, "draining", 3},
		{"a body that is held", 2, draining, holdBytes, 200, "", 3},
		{"a body above what is held", 1, draining, holdBytes + 1, 503, "draining", 1},
		{"processed", 1, tunnel.Failure{Cause: tunnel.TargetClosed}, 10, 502, "target_closed", 1},
		{"processed, without a body", 1, tunnel.Failure{Cause: tunnel.TargetClosed}, 0, 502, "target_closed", 1},
	}
	for _, tt := range tests {
		for _, read := range []int{0, -1} {
			if read == 0 && tt.body > holdBytes {
				continue // how much was read of it then, is left open
			}
			s, calls := refuser(t, tt.refusals, read, tt.failure)
			body := bytes.Repeat([]byte("b"), tt.body)
			v := s.visit()
			v.send("POST / HTTP/1.1\nHost: x.test\nContent-Length: " + strconv.Itoa(tt.body) + "\n\n" + string(body))
			a := v.receive("POST")
			a.want(t, tt.status, tt.cause)
			if a.StatusCode == 200 && a.body != string(body) {
				t.Errorf("%s: %d bytes came back of %d", tt.name, len(a.body), tt.body)
			}
			if n := calls.Load(); n != tt.calls {
				t.Errorf("%s: %d tries, want %d", tt.name, n, tt.calls)
			}
			calls.Store(0)
			a = ask2(t, s.client2(), "POST", "http://x.test/", bytes.NewReader(body))
			a.want(t, tt.status, tt.cause)
			if n := calls.Load(); n != tt.calls || a.Response != nil && a.StatusCode == 200 && a.body != string(body) {
				t.Errorf("%s: over HTTP/2 %d tries, want %d; %d bytes", tt.name, n, tt.calls, len(a.body))
			}
			if t.Failed() {
				t.Fatal(tt.name)
			}
		}
	}
}

// A body that is still under way is taken up again where it was.
func TestRetryInsideABody(t *testing.T) {
	t.Parallel()
	s, calls := refuser(t, 1, len("first"), tunnel.Failure{Cause: tunnel.Draining, NotProcessed: true})
	v := s.visit()
	v.send("POST / HTTP/1.1\nHost: x.test\nTransfer-Encoding: chunked\n\n" + chunk([]byte("first")))
	until(t, "the second try", func() bool { return calls.Load() == 2 })
	v.send(chunk([]byte("second")) + "0\nX-Sum: 1\n\n")
	if a := v.receive("POST"); a.StatusCode != 200 || a.body != "firstsecond" || a.Close {
		t.Errorf("got %d %q, close %v", a.StatusCode, a.body, a.Close)
	}
	// The connection is in step.
	v.send("POST / HTTP/1.1\nHost: x.test\nContent-Length: 5\n\nthird")
	if a := v.receive("POST"); a.body != "third" {
		t.Errorf("then: %d %q", a.StatusCode, a.body)
	}
}

func TestRetryInsideABody2(t *testing.T) {
	t.Parallel()
	s, calls := refuser(t, 1, len("first"), tunnel.Failure{Cause: tunnel.Draining, NotProcessed: true})
	v := s.visit2()
	stream := v.open(false, "POST", "/")
	v.framer.WriteData(stream, false, []byte("first"))
	until(t, "the second try", func() bool { return calls.Load() == 2 })
	v.framer.WriteData(stream, true, []byte("second"))
	if a := v.receive(stream); a.status != "200" || a.body != "firstsecond" || a.end != "END_STREAM" {
		t.Errorf("got %+v", a)
	}
}

// A body that comes slowly does not keep the answer of a relay back that
// cannot send it again.
func TestRetryTooLate2(t *testing.T) {
	t.Parallel()
	s, calls := refuser(t, 1, holdBytes+1, tunnel.Failure{Cause: tunnel.Draining, NotProcessed: true})
	v := s.visit2()
	v.receive(v.open(true, "GET", "/")) // by now the settings of both ends hold
	calls.Store(0)
	stream := v.open(false, "POST", "/")
	for range 9 {
		v.framer.WriteData(stream, false, bytes.Repeat([]byte("b"), 8<<10))
	}
	if a := v.receive(stream); a.status != "503" || a.get("share-error") != "draining" || calls.Load() != 1 {
		t.Errorf("got %+v, %d tries", a, calls.Load())
	}
}
