package target

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"share/tunnel"
)

// request makes a request's head. Fields are "Name: value"; a Content-Length
// among them sets the length, "Transfer-Encoding" makes it unknown and is not
// sent.
func request(method, path string, fields ...string) *tunnel.Request {
	q := &tunnel.Request{
		ID:        []byte("id-1"),
		Method:    []byte(method),
		Target:    []byte(path),
		Authority: []byte("x.localhost"),
		Client:    []byte("192.0.2.1:1234"),
	}
	if !strings.HasPrefix(strings.Join(fields, "\n"), "Host:") {
		q.Header.Add("Host", "x.localhost")
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		switch name {
		case "Transfer-Encoding":
			q.ContentLength = -1
			continue
		case "Content-Length":
			fmt.Sscan(value, &q.ContentLength)
		case "Upgrade":
			q.Flags |= tunnel.RequestUpgrade
		}
		q.Header.Add(name, value)
	}
	if q.ContentLength != 0 {
		q.Flags |= tunnel.RequestBody
	} else if q.Flags == 0 && (method == "GET" || method == "HEAD") {
		q.Flags |= tunnel.RequestReplayable
	}
	return q
}

// An answer is what came back for an exchange.
type answer struct {
	interim  []string // "103 Link=x"
	status   int
	reason   string
	flags    tunnel.ResponseFlags
	length   int64
	header   string // "Name: value\n", as received
	body     string
	trailers string
	err      error // why it was cut; nil if it ended well
}

// has reports whether the answer bears the field.
func (a *answer) has(field string) bool {
	return strings.Contains("\n"+a.header, "\n"+field+"\n")
}

func lines(h tunnel.Header) string {
	var b strings.Builder
	for _, f := range h {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	return b.String()
}

// receive reads an answer to its end.
func receive(x *tunnel.Exchange) *answer {
	a := receiveHead(x)
	if a.err == nil {
		receiveBody(x, a)
	}
	return a
}

func receiveHead(x *tunnel.Exchange) *answer {
	a := &answer{}
	for {
		resp, err := x.ReceiveResponse()
		if err != nil {
			a.err = err
			return a
		}
		if resp.Interim() {
			a.interim = append(a.interim, fmt.Sprint(resp.Status, " ", strings.TrimSpace(lines(resp.Header))))
			continue
		}
		a.status, a.reason, a.flags = resp.Status, string(resp.Reason), resp.Flags
		a.length, a.header = resp.ContentLength, lines(resp.Header)
		return a
	}
}

func receiveBody(x *tunnel.Exchange, a *answer) {
	var body strings.Builder
	for {
		p, err := x.Data()
		body.Write(p)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				a.err = err
			}
			break
		}
	}
	a.body, a.trailers = body.String(), lines(x.Trailers())
}

// ask sends a request with its whole body and reads the answer.
func (r *rig) ask(q *tunnel.Request, body string) *answer {
	r.t.Helper()
	x := r.open()
	defer x.Close()
	return askOn(x, q, body)
}

// askOn is ask on an exchange that the caller closes. The answer may come
// before the body has left.
func askOn(x *tunnel.Exchange, q *tunnel.Request, body string) *answer {
	if err := x.SendRequest(q); err != nil {
		return &answer{err: err}
	}
	sent := make(chan error, 1)
	go func() { // ended by the body's end, STOP or a failure of x
		_, err := io.WriteString(x, body)
		if err == nil {
			err = x.End(nil)
		}
		sent <- err
	}()
	a := receive(x)
	if err := <-sent; err != nil && !errors.Is(err, tunnel.ErrStopped) && a.err == nil {
		a.err = err
	}
	return a
}

func (r *rig) get(path string) *answer {
	r.t.Helper()
	return r.ask(request("GET", path), "")
}

// failed checks that an answer is the complete one of a failure.
func failed(t testing.TB, a *answer, cause tunnel.Cause) {
	t.Helper()
	if a.err != nil || a.status != cause.Status() || !a.has("Share-Error: "+cause.String()) || a.flags&tunnel.ResponseAgent == 0 {
		t.Fatalf("got %d, %v, %q; want %d of %v", a.status, a.err, a.header, cause.Status(), cause)
	}
	if want := "share-agent; error=" + cause.ProxyError() + ";"; !strings.Contains(a.header, "Proxy-Status: "+want) {
		t.Errorf("no Proxy-Status %q in %q", want, a.header)
	}
	if a.length > 0 && !strings.Contains(a.body, cause.String()) {
		t.Errorf("body %q does not name the cause", a.body)
	}
}

// cut checks that an answer ended as a failure of the given cause after its
// head.
func cut(t testing.TB, a *answer, cause tunnel.Cause) {
	t.Helper()
	f, ok := errors.AsType[*tunnel.Failure](a.err)
	if !ok || f.Cause != cause {
		t.Fatalf("got status %d, body of %d bytes, error %v; want it cut by %v", a.status, len(a.body), a.err, cause)
	}
}
