package edge

import (
	"io"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"share/tunnel"
)

// Where visitors are served elsewhere from now on, the answer to the next request
// says that the connection ends, and only one that sends none is closed without.
func TestYield(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, nil)
	const request = "POST / HTTP/1.1\nHost: x.test\nContent-Length: 2\n\nhi"
	kept, silent := s.visit(), s.visit()
	for _, v := range []*rawVisitor{kept, silent} {
		v.send(request)
		if a := v.receive("POST"); a.StatusCode != 200 || a.Close {
			t.Errorf("before: %d %v", a.StatusCode, a.Header)
		}
	}
	s.Yield()
	began := time.Now()
	fresh := s.visit() // was accepted before
	for _, v := range []*rawVisitor{kept, fresh} {
		v.send(request)
		if a := v.receive("POST"); a.StatusCode != 200 || !a.Close {
			t.Errorf("after: %d %v", a.StatusCode, a.Header)
		}
		if rest, err := v.ends(); rest != "" || err != io.EOF {
			t.Errorf("behind it: %q, %v", rest, err)
		}
	}
	if rest, err := silent.ends(); rest != "" || err != io.EOF {
		t.Errorf("the silent one: %q, %v", rest, err)
	}
	if took := time.Since(began); took < lastRequest {
		t.Errorf("the silent one was closed after %v", took)
	}
}

// HTTP/2 has a frame for it.
func TestYield2(t *testing.T) {
	t.Parallel()
	entered, finish := make(chan bool), make(chan bool)
	s := newStub(t, func(x *tunnel.Exchange) {
		entered <- true
		<-finish
		respond(x, 200, "whole")
	}, nil)
	busy := s.visit2()
	first := busy.open(true, "GET", "/")
	await(t, entered, "a request")
	s.Yield()
	busy.awaitGoAway(maxWindow)
	close(finish)
	if a := busy.receive(first); a.status != "200" || a.end != "END_STREAM" {
		t.Errorf("what was under way: %+v", a)
	}
	late := s.visit2()
	late.wantLast(0, http2.ErrCodeNo)
}
