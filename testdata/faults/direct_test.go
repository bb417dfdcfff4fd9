package faults

import (
	"io"
	"net/http"
	"testing"
	"time"
)

// TestDirect shows that targets, visitors and wires do what the cases take for
// granted: with nothing of share in between, each ending is seen as what it is.
func TestDirect(t *testing.T) {
	direct := func(name string, f func(*run)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(&run{T: t, suite: &suite{}, name: "direct"})
		})
	}
	for _, c := range cuttings() {
		direct(c.name, func(r *run) {
			m := r.ask(r.listen(r.free(), c.script(nil)).addr(), "localhost", request{})
			if m.end != c.direct || m.end != garbled && string(m.body) != c.sent {
				r.Errorf("got %v, want %v with body %q", m, c.direct, c.sent)
			}
		})
	}
	for _, c := range []struct {
		name   string
		script script
		req    request
		status int
		end    ending
	}{
		{"whole", reply(ok), request{}, 200, whole},
		{"close-delimited", then("HTTP/1.0 200 OK\r\n\r\nhello"), request{proto: "HTTP/1.0"}, 200, whole},
		{"nothing", then(""), request{}, 0, short},
		{"nothing and RST", thenReset(""), request{}, 0, reset},
		{"half a head", then("HTTP/1.1 200 OK\r\nX-A"), request{}, 0, short},
		{"no answer", thenHold(""), request{within: 100 * time.Millisecond}, 0, hung},
		{"no end", thenHold(bodies()[0].text), request{within: 2 * time.Second}, 200, hung},
		{"garbage", then("garbage\r\n\r\n"), request{}, 0, garbled},
		{"two lengths", then("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), request{}, 200, garbled},
		{"chunked to HTTP 1.0", then("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), request{}, 200, garbled},
		{"HTTP 2 whole", h2c(func(http.ResponseWriter, *http.Request) {}), request{proto: "h2"}, 200, whole},
		{"HTTP 2 reset", h2c(aborted(nil)), request{proto: "h2"}, 200, reset},
		{"HTTP 2 closed", h2c(func(_ http.ResponseWriter, q *http.Request) {
			<-q.Context().Done()
		}), request{proto: "h2", within: 100 * time.Millisecond}, 0, hung},
	} {
		direct(c.name, func(r *run) {
			m := r.ask(r.listen(r.free(), c.script).addr(), "localhost", c.req)
			if m.status != c.status || m.end != c.end {
				r.Errorf("got %v, want status %d, %v", m, c.status, c.end)
			}
		})
	}
	for _, c := range []struct {
		name string
		end  func(*visitor)
		want ending
	}{
		{"visitor leaves", (*visitor).leave, short},
		{"visitor resets", (*visitor).reset, reset},
		{"visitor ends its upload", func(v *visitor) { v.send(part) }, whole},
	} {
		direct(c.name, func(r *run) {
			s, seen := took()
			t := r.listen(r.free(), s)
			v := r.visit(t.addr(), "localhost")
			v.send("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 200\r\n\r\n" + part)
			t.await(1)
			c.end(v)
			if u := <-seen; u.end != c.want {
				r.Errorf("the target saw %v, want %v", u.end, c.want)
			}
		})
	}
	for _, c := range []struct {
		name string
		end  func(*wire)
		want ending
	}{
		{"wire cut", (*wire).cut, reset},
		{"wire closed", (*wire).fin, short},
		{"wire silenced", func(w *wire) { w.silence(true) }, hung},
	} {
		direct(c.name, func(r *run) {
			release := make(chan struct{})
			t := r.listen(r.free(), released(release, bodies()[0].text, part))
			w := r.wire(t.addr())
			v := r.visit(w.addr(), "localhost")
			v.send("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
			if got, _ := v.until(part); got == "" {
				r.Fatal("nothing came over the wire")
			}
			c.end(w)
			close(release)
			v.within(patience)
			if c.want == hung {
				v.within(200 * time.Millisecond)
			}
			if n, err := io.Copy(io.Discard, v.br); err == nil && c.want != short || err != nil && endOf(err) != c.want {
				r.Errorf("%d bytes and %v, want %v", n, err, c.want)
			}
		})
	}
	direct("blackhole", func(r *run) {
		if addr := r.blackhole(); dials(addr) {
			r.Errorf("%s answers", addr)
		}
	})
}
