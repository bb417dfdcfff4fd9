//go:build linux

package attacks

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"share/testdata/bench/rig"
)

const (
	// patience bounds each wait: what takes longer has failed.
	patience = 20 * time.Second

	// mostMemory is what a relay may have resident, whatever the attack.
	mostMemory = 256 << 20

	// budget is what the relays are told to use.
	budget = "256MiB"
)

// A camp is what all attacks share.
type camp struct {
	bin, cert, key string
	target         *httptest.Server // of the neighbours, and of those attacked
	over           chan struct{}    // closed when nobody asks the target any more
	sieges         atomic.Int32
}

// newCamp builds the command. What it starts ends with t.
func newCamp(t *testing.T) *camp {
	t.Helper()
	dir := t.TempDir()
	c := &camp{over: make(chan struct{})}
	c.target = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(func() {
		close(c.over)
		c.target.Close()
	})
	var err error
	if c.bin, err = rig.Build(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if c.cert, c.key, err = rig.WriteCert(dir); err != nil {
		t.Fatal(err)
	}
	return c
}

// serve is what is shared: at /ticks a word every 50 ms until the visitor
// leaves, at /much a large body, at /sink a body that nobody reads.
func (c *camp) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ticks":
		rc := http.NewResponseController(w)
		for r.Context().Err() == nil {
			if _, err := fmt.Fprintln(w, "tick"); err != nil || rc.Flush() != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	case "/much":
		piece := make([]byte, 64<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	case "/sink":
		select {
		case <-r.Context().Done():
		case <-c.over:
		}
	default:
		fmt.Fprint(w, "hello")
	}
}

// A siege is one attack under way.
type siege struct {
	*testing.T
	camp  *camp
	dir   string
	relay *rig.Relay
	pid   int      // of the relay itself
	net   string   // what the attackers' addresses begin with
	token []string // flags that let an agent in

	neighbour *neighbour
}

// mount starts a relay and a neighbour, and mounts an attack.
func (c *camp) mount(t *testing.T, a attack) {
	s := &siege{T: t, camp: c, dir: t.TempDir(), net: fmt.Sprintf("127.%d.", 10+c.sieges.Add(1))}
	bin := c.bin
	if a.files > 0 {
		bin = filepath.Join(s.dir, "limited")
		script := fmt.Sprintf("#!/bin/sh\nulimit -n %d\nexec %s \"$@\"\n", a.files, c.bin)
		if err := os.WriteFile(bin, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if a.before != nil {
		a.before(s)
	}
	args := []string{"--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--agents", "127.0.0.1:0",
		"--tls-cert", c.cert, "--tls-key", c.key, "--memory", budget}
	if a.data {
		args = append(args, "--data", filepath.Join(s.dir, "disk", "data"))
	}
	s.start(bin, args)
	if a.data {
		s.firstToken()
	}
	s.neighbour = s.settle(!a.scarce)
	a.run(s)
	s.relief()
}

// firstToken reads the token that a new relay prints.
func (s *siege) firstToken() {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	file := filepath.Join(s.dir, "token")
	err := s.relay.Await(ctx, func(line []byte) bool {
		secret := bytes.TrimSpace(line)
		return bytes.HasPrefix(secret, []byte("shr_")) && os.WriteFile(file, secret, 0o600) == nil
	})
	if err != nil {
		s.Fatal(err)
	}
	s.token = []string{"--token-file", file}
}

// start starts the relay.
func (s *siege) start(bin string, args []string) {
	s.Helper()
	relay, err := rig.StartRelay(s.Context(), bin, args...)
	if err != nil {
		s.Fatal(err)
	}
	s.relay, s.pid = relay, relay.Pid()
	s.Cleanup(s.relay.Close)
}

// agent shares the camp's target as name.
func (s *siege) agent(name string, args ...string) {
	s.Helper()
	a, err := rig.StartAgent(s.Context(), s.camp.bin, filepath.Join(s.dir, name),
		append([]string{s.camp.target.URL, "--relay", "http://" + s.relay.Doors["http"], "--name", name, "--quiet"}, append(args, s.token...)...)...)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(a.Close)
}

// relief ends the siege: the relay lives, with little memory, and the neighbour
// has noticed nothing.
func (s *siege) relief() {
	s.Helper()
	requests, worst := s.neighbour.leave(s.T)
	select {
	case <-s.relay.Done():
		s.Fatalf("the relay has ended:\n%s", s.relay.Log())
	default:
	}
	peak := memory(s.T, s.pid, "VmHWM:")
	s.Logf("peak of memory %d MiB; the neighbour's %d requests took %v at most", peak>>20, requests, worst.Round(time.Millisecond))
	if peak >= mostMemory {
		s.Errorf("the relay had %d MiB resident, want below %d", peak>>20, mostMemory>>20)
	}
	for _, text := range []string{"panic:", "fatal error:"} {
		if strings.Contains(s.relay.Log(), text) {
			s.Errorf("the relay says:\n%s", s.relay.Log())
		}
	}
}

// memory is a line of /proc/PID/status in bytes (proc(5)).
func memory(t *testing.T, pid int, line string) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), line)
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kib, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		t.Fatalf("%s of process %d: %v", line, pid, err)
	}
	return kib << 10
}

// dial connects to a door of the relay from the siege's address number host.
func (s *siege) dial(door string, host int) (net.Conn, error) {
	d := net.Dialer{
		LocalAddr: &net.TCPAddr{IP: net.ParseIP(fmt.Sprintf("%s%d.%d", s.net, host/250, 1+host%250))},
		Timeout:   patience,
	}
	return d.DialContext(s.Context(), "tcp", s.relay.Doors[door])
}

// must is dial for what the relay must take; nil, and the test fails, if it does
// not. What is connected ends with the siege at the latest.
func (s *siege) must(door string, host int) net.Conn {
	s.Helper()
	nc, err := s.dial(door, host)
	if err != nil {
		s.Error(err)
		return nil
	}
	s.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return nc
}

// gather connects n times, some at a time, and says first on each. It returns
// the connections that the relay took; if those are not all, the test fails.
func (s *siege) gather(door string, n int, host func(i int) int, first string) (conns []net.Conn) {
	s.Helper()
	var mu sync.Mutex
	crowd(n, func(i int) {
		nc := s.must(door, host(i))
		if nc == nil {
			return
		}
		io.WriteString(nc, first)
		mu.Lock()
		defer mu.Unlock()
		conns = append(conns, nc)
	})
	return conns
}

// dialTLS is dial over TLS, with an ALPN protocol.
func (s *siege) dialTLS(door string, host int, protocol string) (*tls.Conn, error) {
	nc, err := s.dial(door, host)
	if err != nil {
		return nil, err
	}
	tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
	nc.SetDeadline(time.Now().Add(patience))
	if err := tc.Handshake(); err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// crowd calls each for the numbers from 0 to n, some at a time, and returns when
// all have.
func crowd(n int, each func(i int)) {
	const abreast = 32
	numbers := make(chan int)
	var wg sync.WaitGroup
	for range min(n, abreast) {
		wg.Go(func() {
			for i := range numbers {
				each(i)
			}
		})
	}
	for i := range n {
		numbers <- i
	}
	close(numbers)
	wg.Wait()
}

// ended counts how many of conns the relay ends within d.
func ended(conns []net.Conn, d time.Duration) int {
	var n atomic.Int64
	deadline := time.Now().Add(d)
	var wg sync.WaitGroup
	for _, nc := range conns {
		wg.Go(func() {
			nc.SetDeadline(deadline)
			buf := make([]byte, 4<<10)
			for {
				if _, err := nc.Read(buf); err != nil {
					if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
						n.Add(1)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	return int(n.Load())
}

// answer reads the head of an answer of HTTP/1.1, and gives its status and cause.
func answer(nc net.Conn) (status int, cause string, err error) {
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		return 0, "", err
	}
	return resp.StatusCode, resp.Header.Get("Share-Error"), nil
}

// until waits until is holds.
func (s *siege) until(what string, d time.Duration, is func() bool) {
	s.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); !is(); <-tick.C {
		if time.Now().After(end) {
			s.Fatalf("%s: not after %v\n%s", what, d, s.relay.Log())
		}
	}
}

// preface is what an agent begins with: a Hello, or what is said in its place.
func preface(hello any) []byte {
	body, err := json.Marshal(hello)
	if err != nil {
		panic(err) // it is of strings
	}
	n := len(body)
	return append([]byte{'S', 'H', 'R', '1', 1, 1, 1, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

// ask sends a GET for a tunnel's path from the siege's address number host.
func (s *siege) ask(name, path string, host int) (status int, cause string, err error) {
	nc, err := s.dial("http", host)
	if err != nil {
		return 0, "", err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: %s.localhost\r\nConnection: close\r\n\r\n", path, name)
	return answer(nc)
}
