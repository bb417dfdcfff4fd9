package tunnel

import (
	"bytes"
	"io"
	"testing"
)

// A byte stream's halves end each by itself; its RST passes as such.
func TestUpgradeHalves(t *testing.T) {
	tests := []struct {
		name    string
		handler func(*Exchange) // after the upgrade
		visitor func(*Exchange) // after the upgrade
		want    Cause           // of the end that the visitor sees
		sent    string
	}{
		{"the target's FIN first", func(x *Exchange) {
			x.Write([]byte("bye"))
			x.End(nil)
			if got, err := io.ReadAll(readerOf(x)); string(got) != "still here" || err != nil {
				t.Errorf("behind the target's FIN: %q, %v", got, err)
			}
		}, func(x *Exchange) { x.Write([]byte("still here")); x.End(nil) }, CauseNone, "bye"},
		{"the visitor's FIN first", func(x *Exchange) {
			if got, err := io.ReadAll(readerOf(x)); string(got) != "hello" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			x.Write([]byte("bye"))
			x.End(nil)
		}, func(x *Exchange) { x.Write([]byte("hello")); x.End(nil) }, CauseNone, "bye"},
		{"the target's RST", func(x *Exchange) { x.Abort(Fail(TargetIncomplete, nil)) }, func(x *Exchange) {}, TargetIncomplete, ""},
		{"the target's RST behind its bytes", func(x *Exchange) {
			x.Write([]byte("bye"))
			x.Abort(Fail(TargetIncomplete, nil))
		}, func(x *Exchange) {}, TargetIncomplete, "bye"},
		{"the visitor's RST", func(x *Exchange) {
			if _, err := io.ReadAll(readerOf(x)); err == nil || AsFailure(err).Cause != VisitorGone {
				t.Errorf("behind the visitor's RST: %v", err)
			}
		}, func(x *Exchange) { x.Abort(Fail(VisitorGone, nil)) }, VisitorGone, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			left := make(chan bool)
			_, relay := tcpPair(t, func(x *Exchange) {
				defer close(left)
				if err := x.SendResponse(&Response{Status: 101, Flags: ResponseUpgrade}); err != nil {
					t.Error(err)
				}
				tt.handler(x)
			})
			x := open(t, relay, &Request{Flags: RequestUpgrade})
			x.Flush()
			if r, err := x.ReceiveResponse(); err != nil || r.Status != 101 {
				t.Fatalf("response %+v, %v", r, err)
			}
			tt.visitor(x)
			got, err := io.ReadAll(readerOf(x))
			if tt.want != CauseNone {
				failure(t, err, tt.want)
			} else if err != nil {
				t.Error(err)
			}
			if string(got) != tt.sent {
				t.Errorf("got %q, want %q", got, tt.sent)
			}
			x.Close()
			within(t, "end of the handler", left)
		})
	}
}

// The target's RST behind its own FIN reaches a visitor who still writes.
func TestUpgradeResetBehindFIN(t *testing.T) {
	_, relay := tcpPair(t, func(x *Exchange) {
		x.SendResponse(&Response{Status: 101, Flags: ResponseUpgrade})
		x.End(nil)
		if _, err := x.Data(); err != nil {
			t.Errorf("data: %v", err)
		}
		x.Abort(Fail(TargetIncomplete, nil))
	})
	x := open(t, relay, &Request{Flags: RequestUpgrade})
	defer x.Close()
	x.Flush()
	if n, err := receive(x); n != 0 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	var err error
	for err == nil {
		_, err = x.Write(bytes.Repeat([]byte("x"), 1000))
	}
	failure(t, err, TargetIncomplete)
}
