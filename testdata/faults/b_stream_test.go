package faults

import (
	"io"
	"net/http"
	"time"
)

// cutStreams are cuts that need more than one request and its answer.
func cutStreams() []fault {
	return []fault{
		{"B36", "gRPC-like over h2c", overH2C(grpc("0"), func(t *tunnel) {
			m := t.ask(call)
			t.wantWhole(m, 200, "message")
			if v := first(m.trailers, "grpc-status"); v != "0" {
				t.Errorf("grpc-status %q in %q, want 0", v, m.trailers)
			}
		})},
		{"X150", "gRPC-like over h2c cut before its trailers", abortedH2C("h2")},
		{"X151", "h2c body cut for an HTTP 1.1 visitor", abortedH2C("HTTP/1.1")},
		{"X157", "h2c body cut for an HTTP 1.0 visitor", abortedH2C("HTTP/1.0")},
		{"X152", "h2c connection cut inside a body", func(r *run) {
			conns := make(chan *conn, 8)
			serve := h2c(func(w http.ResponseWriter, q *http.Request) {
				io.WriteString(w, "mess")
				w.(http.Flusher).Flush()
				<-q.Context().Done()
			})
			target := r.listen(r.free(), func(c *conn) { conns <- c; serve(c) })
			t := r.open(setup{addr: "h2c://" + target.addr()})
			v := t.visit()
			v.send("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n")
			m := v.head()
			_, seen := v.until("mess")
			if m.status != 200 || seen != whole {
				t.Fatalf("got %v, %v", m, seen)
			}
			for len(conns) > 0 {
				(<-conns).rst()
			}
			if rest, end := v.over(5 * time.Second); end != short && end != reset || rest == "\r\n0\r\n\r\n" {
				t.lie("ended %v with %q", end, rest)
			}
		}},
		{"X153", "h2c trailers only", overH2C(func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", "12")
		}, func(t *tunnel) {
			m := t.ask(call)
			t.wantWhole(m, 200, "")
			if v := m.get("grpc-status"); v != "12" {
				t.Errorf("grpc-status %q, want 12", v)
			}
		})},
		{"X154", "h2c target that speaks HTTP 1", func(r *run) {
			target := r.listen(r.free(), reply(ok))
			t := r.open(setup{addr: "h2c://" + target.addr()})
			t.wantFailure(t.get("/"), "target_bad_response", "target_closed", "target_incomplete")
		}},
		{"X155", "cut after 4 MiB, as far as it came", func(r *run) {
			sent := pattern(4 << 20)
			t := r.open(setup{script: then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400001\r\n" + sent)})
			m := t.get("/")
			if m.size != int64(len(sent)) {
				t.Errorf("%d bytes came, want %d", m.size, len(sent))
			}
			m.body = m.body[:100]
			t.wantCut(m, sent, "target_incomplete")
		}},
		{"X156", "cut body and the next answer on another connection", func(r *run) {
			t := r.open(setup{script: paths(map[string]func(*conn, *message){
				"/cut": func(c *conn, _ *message) { c.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + part) },
			})})
			for range 5 {
				t.wantCut(t.get("/cut"), part, "target_incomplete")
				t.wantWhole(t.get("/"), 200, "hello")
			}
		}},
	}
}

// call is what a gRPC client sends, but for its message.
var call = request{proto: "h2", method: "POST", fields: []string{"te: trailers", "content-type: application/grpc"}}

// overH2C makes a tunnel to a target that speaks HTTP/2.
func overH2C(h http.HandlerFunc, do func(*tunnel)) func(*run) {
	return func(r *run) {
		target := r.listen(r.free(), h2c(h))
		do(r.open(setup{addr: "h2c://" + target.addr()}))
	}
}

// grpc answers as a gRPC server does.
func grpc(status string) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		io.Copy(io.Discard, q.Body)
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		io.WriteString(w, "message")
		w.Header().Set("Grpc-Status", status)
	}
}

// aborted resets its stream inside the body: at once, or for /seen once
// release is closed.
func aborted(release <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		io.WriteString(w, "mess")
		w.(http.Flusher).Flush()
		if q.URL.Path == "/seen" {
			select {
			case <-release:
			case <-q.Context().Done():
			}
		}
		panic(http.ErrAbortHandler)
	}
}

// abortedH2C asks a target that resets its stream inside the body.
func abortedH2C(proto string) func(*run) {
	release := make(chan struct{})
	return overH2C(aborted(release), func(t *tunnel) {
		q := call
		q.proto = proto
		t.wantCut(t.ask(q), "mess", "target_incomplete")
		q.path, q.within = "/seen", 5*time.Second
		t.wantCut(t.broken(q, "mess", func() { close(release) }), "mess", "target_incomplete")
	})
}
