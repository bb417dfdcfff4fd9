package edge

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"share/tunnel"
)

const upgradeRequest = "GET /ws HTTP/1.1\nHost: x.test\nConnection: Upgrade\nUpgrade: echo/1\n\n"

// switched answers with a 101 to what was asked for.
func switched(x *tunnel.Exchange) {
	r := response(101, 0, "Upgrade", string(x.Request().Header.Get("upgrade")), "X-A", "1")
	r.Flags = tunnel.ResponseUpgrade
	x.SendResponse(r)
}

// upgraded begins an exchange of bytes; early are sent with the request.
func (s *stub) upgraded(v *rawVisitor, early string) {
	s.t.Helper()
	v.send(upgradeRequest)
	io.WriteString(v, early)
	a := v.receive("GET")
	if a.StatusCode != 101 || a.Header.Get("Upgrade") != "echo/1" || a.Header.Get("X-A") != "1" || a.Header.Get("Connection") != "Upgrade" {
		s.t.Fatalf("got %d %v", a.StatusCode, a.Header)
	}
}

// Both halves end apart, the visitor's first or the target's.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) {
		if x.Request().Flags&tunnel.RequestUpgrade == 0 {
			respond(x, 200, "no upgrade")
			return
		}
		switched(x)
		buf := make([]byte, 100)
		for {
			n, err := x.Read(buf)
			if err != nil {
				break
			}
			x.Write(buf[:n])
			x.Flush()
			if strings.HasSuffix(string(buf[:n]), "!") {
				// The target ends its half, and still reads.
				x.End(nil)
				rest, err := io.ReadAll(x)
				if string(rest) != "more" || err != nil {
					t.Errorf("behind the target's end: %q, %v", rest, err)
				}
				return
			}
		}
		io.WriteString(x, "bye")
		x.End(nil)
	}, nil)
	secure := s.secureDoor("x.test")
	for _, tls := range []bool{false, true} {
		visit := func() *rawVisitor {
			if !tls {
				return s.visit()
			}
			v, _ := s.visitSecurely(secure, "http/1.1")
			return v
		}
		closeWrite := func(v *rawVisitor) {
			v.Conn.(interface{ CloseWrite() error }).CloseWrite()
		}
		v := visit()
		s.upgraded(v, "early")
		io.WriteString(v, "late")
		closeWrite(v)
		if got, err := v.ends(); got != "earlylatebye" || err != io.EOF {
			t.Errorf("the visitor ends first: %q, %v", got, err)
		}
		v = visit()
		s.upgraded(v, "")
		io.WriteString(v, "late!")
		if got, err := v.ends(); got != "late!" || err != io.EOF {
			t.Errorf("the target ends first: %q, %v", got, err)
		}
		io.WriteString(v, "more")
		closeWrite(v)
	}
	until(t, "the last exchange's end", func() bool { return s.relay.Live() == 0 })
	// HTTP/1.0 knows no upgrade (RFC 9110 7.8), nor does a request with a body.
	v := s.visit()
	v.send("GET /ws HTTP/1.0\nHost: x.test\nConnection: Upgrade, keep-alive\nUpgrade: echo/1\n\n")
	if a := v.receive("GET"); a.body != "no upgrade" {
		t.Errorf("HTTP/1.0: %d %q", a.StatusCode, a.body)
	}
	v.send("POST /ws HTTP/1.1\nHost: x.test\nConnection: Upgrade\nUpgrade: echo/1\nContent-Length: 4\n\nbody")
	if a := v.receive("POST"); a.body != "no upgrade" {
		t.Errorf("with a body: %d %q", a.StatusCode, a.body)
	}
}

// A target that answers an upgrade as any other request leaves the connection
// as it was.
func TestUpgradeRefused(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	s := newStub(t, func(x *tunnel.Exchange) {
		respond(x, 403, "no")
		_, err := x.Data()
		ended <- err
	}, nil)
	v := s.visit()
	for range 3 {
		v.send(upgradeRequest)
		if err := await(t, ended, "the request's end"); err != io.EOF {
			t.Errorf("the request's half ended with %v", err)
		}
		if a := v.receive("GET"); a.StatusCode != 403 || a.body != "no" || a.Close {
			t.Errorf("got %d %q, close %v", a.StatusCode, a.body, a.Close)
		}
	}
}

// A reset passes as a reset, each way.
func TestUpgradeReset(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 3)
	s := newStub(t, func(x *tunnel.Exchange) {
		switched(x)
		p, err := x.Data()
		switch {
		case err != nil:
		case strings.HasPrefix(string(p), "reset"):
			x.Abort(&tunnel.Failure{Cause: tunnel.TargetIncomplete})
			return
		case string(p) == "half":
			// The target ends its half and is reset later.
			x.End(nil)
			if _, err = x.Data(); err == nil {
				x.Abort(&tunnel.Failure{Cause: tunnel.TargetIncomplete})
				return
			}
		default:
			_, err = x.Data()
		}
		ended <- err
	}, nil)
	for _, text := range []string{"reset", "half"} {
		v := s.visit()
		s.upgraded(v, "")
		io.WriteString(v, text)
		if text == "half" {
			if _, err := v.r.ReadByte(); err != io.EOF {
				t.Errorf("the target's end arrives as %v", err)
			}
			io.WriteString(v, "more")
		}
		until(t, text+": a reset", func() bool {
			_, err := io.WriteString(v, "x")
			return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
		})
	}
	v := s.visit()
	s.upgraded(v, "")
	io.WriteString(v, "x")
	v.Conn.(*net.TCPConn).SetLinger(0)
	v.Close()
	if err := await(t, ended, "the agent's end"); err == nil || err == io.EOF {
		t.Errorf("the visitor's reset arrives as %v", err)
	}
}

// A switch to what was not asked for is refused, and the connection goes on.
func TestUpgradeToAnother(t *testing.T) {
	t.Parallel()
	answers := map[string]*tunnel.Response{
		"/other":   response(101, 0, "Upgrade", "other"),
		"/none":    response(101, 0),
		"/field":   response(101, 0, "Upgrade", "echo/1", "X Y", "1"),
		"/length":  response(101, 0, "Upgrade", "echo/1", "Content-Length", "0"),
		"/coding":  response(101, 0, "Upgrade", "echo/1", "Transfer-Encoding", "chunked"),
		"/status":  response(200, 0, "Upgrade", "echo/1"),
		"/status3": response(299, 0, "Upgrade", "echo/1"),
	}
	s := newStub(t, func(x *tunnel.Exchange) {
		r := answers[string(x.Request().Target)]
		r.Flags = tunnel.ResponseUpgrade
		x.SendResponse(r)
		io.WriteString(x, "evil")
		x.Flush()
		x.Data()
	}, nil)
	v := s.visit()
	for target := range answers {
		v.send(strings.Replace(upgradeRequest, "/ws", target, 1))
		a := v.receive("GET")
		a.want(t, 502, "protocol")
		if strings.Contains(a.body, "evil") || a.Close {
			t.Errorf("%s: %q, close %v", target, a.body, a.Close)
		}
	}
}
