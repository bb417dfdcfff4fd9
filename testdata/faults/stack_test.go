package faults

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A suite is what the cases have in common.
type suite struct {
	binary string
	shared func() (*relay, error) // the relay of all cases that do not break theirs
	report report

	mu   sync.Mutex
	port int // guarded by mu; the last that free gave
}

// free returns an address where nobody listens. Its port is below those that
// systems hand out, and is given once: no other case and no other program
// comes upon it by chance.
func (r *run) free() string {
	r.Helper()
	const low, high = 10000, 32000
	r.suite.mu.Lock()
	defer r.suite.mu.Unlock()
	for range 100 {
		if r.suite.port++; r.suite.port <= low || r.suite.port >= high {
			r.suite.port = low + rand.IntN(high-low)
		}
		addr := fmt.Sprintf("127.0.0.1:%d", r.suite.port)
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
	r.Fatal("no free port")
	return ""
}

// newSuite builds the command. What it started ends with t.
func newSuite(t *testing.T) *suite {
	s := &suite{binary: os.Getenv("SHARE_BINARY")}
	if s.binary == "" {
		s.binary = filepath.Join(t.TempDir(), "share")
		args := []string{"build", "-o", s.binary}
		if overlay := os.Getenv("SHARE_OVERLAY"); overlay != "" {
			args = append(args, "-overlay", overlay)
		}
		build := exec.Command("go", append(args, ".")...)
		build.Dir = filepath.Join("..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build share: %v\n%s", err, out)
		}
	}
	home := t.TempDir()
	var started *relay // set once, by shared
	s.shared = sync.OnceValues(func() (r *relay, err error) {
		started, err = startRelay(s.binary, home, "127.0.0.1:0")
		return started, err
	})
	t.Cleanup(func() {
		if started != nil {
			started.kill()
			started.wantSound(t)
		}
		s.report.close(t)
	})
	return s
}

// A relay is a share relay that runs.
type relay struct {
	*process
	addr string // of its door for HTTP
	tls  string // of its door for HTTPS, if it has one
}

// startRelay starts a relay and waits until it listens at addr.
func startRelay(binary, home, addr string, args ...string) (*relay, error) {
	p, err := start(binary, home, append([]string{"relay", "--http", addr, "--log-format", "json"}, args...)...)
	if err != nil {
		return nil, err
	}
	r := &relay{process: p}
	for _, door := range []struct {
		name string
		addr *string
	}{{"http", &r.addr}, {"https", &r.tls}} {
		if door.name == "https" && !strings.Contains(strings.Join(args, " "), "--https") {
			continue
		}
		line, err := p.event(&p.log, 10*time.Second, `"listening"`, `"door":"`+door.name+`"`)
		if err != nil {
			p.kill()
			return nil, fmt.Errorf("start relay: %w", err)
		}
		*door.addr, _ = line["addr"].(string)
	}
	return r, nil
}

// port is the port of the relay's door for HTTP.
func (r *relay) port() string {
	_, port, _ := net.SplitHostPort(r.addr)
	return port
}

// A run is one case that runs. What it starts ends with it.
type run struct {
	*testing.T
	suite *suite
	name  string // of its tunnel
}

// sharedRelay returns the relay that all cases use.
func (r *run) sharedRelay() *relay {
	r.Helper()
	relay, err := r.suite.shared()
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		if r.Failed() {
			relay.dump(r.T, "relay", `"`+r.name)
		}
	})
	return relay
}

// ownRelay starts a relay at addr for this case alone.
func (r *run) ownRelay(addr string, args ...string) *relay {
	r.Helper()
	relay, err := startRelay(r.suite.binary, r.TempDir(), addr, args...)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		relay.kill()
		relay.wantSound(r.T)
		if r.Failed() {
			relay.dump(r.T, "relay", "")
		}
	})
	return relay
}

// agent starts share http without waiting for it.
func (r *run) agent(home string, args ...string) *process {
	r.Helper()
	p, err := start(r.suite.binary, home, append([]string{"http"}, args...)...)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		p.kill()
		p.wantSound(r.T)
		if r.Failed() {
			p.dump(r.T, "agent", "")
		}
	})
	return p
}

// A setup says how a tunnel is made.
type setup struct {
	script script   // what the target does
	addr   string   // the target as the command names it; if empty, one that runs script
	name   string   // if empty, the case's
	relay  *relay   // if nil, the shared one
	via    string   // where the agent dials the relay, if not at its own address
	home   string   // the agent's state; if empty, a new one
	args   []string // more arguments for the agent
	cold   bool     // do not wait until it is ready
}

// A tunnel is a target, an agent and the relay that they use.
type tunnel struct {
	*run
	setup
	target *target // nil if addr was given
	proc   *process
}

// open makes a tunnel and waits until it is ready.
func (r *run) open(s setup) *tunnel {
	r.Helper()
	t := &tunnel{run: r, setup: s}
	if t.addr == "" {
		t.target = r.listen(r.free(), s.script)
		t.addr = t.target.addr()
	}
	if t.setup.name == "" {
		t.setup.name = r.name
	}
	if t.relay == nil {
		t.relay = r.sharedRelay()
	}
	if t.via == "" {
		t.via = t.relay.addr
	}
	if t.home == "" {
		t.home = r.TempDir()
	}
	t.start()
	return t
}

// start starts the tunnel's agent, also once more after it was killed.
func (t *tunnel) start() {
	t.Helper()
	args := append([]string{t.addr, "--relay", "http://" + t.via, "--name", t.setup.name, "--json"}, t.args...)
	t.proc = t.agent(t.home, args...)
	if t.cold {
		return
	}
	ready, err := t.proc.event(&t.proc.out, 10*time.Second, `"event":"ready"`)
	if err != nil {
		t.Fatalf("agent not ready: %v", err)
	}
	if ready["verified"] != true {
		t.Logf("ready without proof: %v", ready) // on a busy machine it may take longer than is waited for
	}
}

// host is the tunnel's name as visitors write it.
func (t *tunnel) host() string { return t.setup.name + ".localhost:" + t.relay.port() }

// dials reports whether somebody listens at addr.
func dials(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
