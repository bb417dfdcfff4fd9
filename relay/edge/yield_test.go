package edge

import (
	"io"
	"net"
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

// HTTP/2 has a frame for it. What comes before a visitor can know of that is served,
// also where nothing was under way, and where the connection had just been taken.
func TestYield2(t *testing.T) {
	t.Parallel()
	g := newGate()
	defer g.open()
	s := newStub(t, func(x *tunnel.Exchange) {
		if string(x.Request().Target) == "/long" {
			g.hold()
		}
		respond(x, 200, "whole")
	}, nil)
	busy, idle := s.visit2(), s.visit2()
	first := busy.open(true, "GET", "/long")
	await(t, g.entered, "a request")
	idle.receive(idle.open(true, "POST", "/"))
	s.Yield()
	late := s.visit2()
	visitors := map[string]*visitor2{"idle": idle, "late": late}
	streams := map[string]uint32{"idle": idle.open(true, "POST", "/"), "late": late.open(true, "POST", "/")}
	for name, v := range visitors {
		if a := v.receive(streams[name]); a.status != "200" || a.end != "END_STREAM" {
			t.Errorf("%s: what was on its way: %+v", name, a)
		}
	}
	for name, v := range visitors {
		all, err := v.goAways() // the first may have come before the answer
		if len(all) == 0 || all[len(all)-1].LastStreamID != streams[name] || err != io.EOF {
			t.Errorf("%s: GOAWAYs %v in the end, then %v", name, all, err)
		}
	}
	busy.awaitGoAway(maxWindow)
	g.open()
	if a := busy.receive(first); a.status != "200" || a.end != "END_STREAM" {
		t.Errorf("what was under way: %+v", a)
	}
}

// No GOAWAY goes before SETTINGS (RFC 9113 3.4), whenever it is that a relay yields.
func TestYieldBeforeTheBeginning2(t *testing.T) {
	t.Parallel()
	s := newStub(t, ok, nil)
	ours, theirs := net.Pipe()
	c := newConn2(s.Edge, theirs, theirs, nil)
	if !s.add(c) {
		t.Fatal("not taken")
	}
	s.Yield()
	s.wg.Go(func() {
		defer s.remove(c)
		c.serve()
	})
	v := visitorOn(t, ours)
	go io.WriteString(ours, preface2+string(appendSettings(nil))) // ended by the pipe's end
	f, err := http2.NewFramer(nil, v.r).ReadFrame()
	if _, ok := f.(*http2.SettingsFrame); !ok {
		t.Errorf("the first frame is %v, %v", f, err)
	}
}
