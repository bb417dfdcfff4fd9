//go:build unix

package upgrades

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"share/testdata/bench/rig"
)

// A world is a relay, an agent and a target.
type world struct {
	t      *testing.T
	binary string
	data   string // the relay's data folder
	home   string // the agent's state
	token  string
	http   string // the relay's addresses
	https  string
	cert   string // its own authority
	roots  *x509.CertPool
	flags  []string
	target *httptest.Server

	relay *process // the last that was started from here
	pid   int      // of the process that is the relay
	agent *process
}

// host is what visitors ask for.
const host = "web.localhost"

// newWorld starts all. More flags of the relay's may be given.
func newWorld(t *testing.T, flags ...string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, data: filepath.Join(dir, "data"), home: filepath.Join(dir, "home")}
	var err error
	if w.binary, err = binary(); err != nil {
		t.Fatal(err)
	}
	w.target = httptest.NewServer(http.HandlerFunc(serveTarget))
	t.Cleanup(w.target.Close)
	for _, addr := range []*string{&w.http, &w.https} {
		if *addr, err = rig.FreeAddr(); err != nil {
			t.Fatal(err)
		}
	}
	cert, key, err := rig.WriteCert(dir, host)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	w.cert, w.roots = cert, x509.NewCertPool()
	w.roots.AppendCertsFromPEM(pem)
	w.flags = append([]string{"relay", "--http", w.http, "--https", w.https, "--tls-cert", cert, "--tls-key", key,
		"--data", w.data, "--log-format", "json",
		// Here all visitors of a day come from one address; when the machine is
		// busy, many at once.
		"--connections-per-address", "100000"}, flags...)
	w.startRelay()
	out, err := exec.Command(w.binary, "relay", "token", "create", "--label", "ci", "--json", "--data", w.data).Output()
	if err != nil {
		t.Fatalf("make a token: %v", err)
	}
	var made struct{ Secret string }
	if err := json.Unmarshal(out, &made); err != nil || made.Secret == "" {
		t.Fatalf("make a token: %s", out)
	}
	w.token = made.Secret
	w.agent = w.startAgent()
	return w
}

// serveTarget answers with what was asked; /stream says so again and again until
// it is left, and /echo changes to a protocol that answers with what it gets.
func serveTarget(rw http.ResponseWriter, req *http.Request) {
	switch req.URL.Path {
	case "/stream":
		rw.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			io.WriteString(rw, "data: on\n\n")
			http.NewResponseController(rw).Flush()
			select {
			case <-tick.C:
			case <-req.Context().Done():
				return
			}
		}
	case "/echo":
		nc, r, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(nc, r)
	default:
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		io.WriteString(rw, req.URL.Path+" "+string(body))
	}
}

// startRelay starts the first relay.
func (w *world) startRelay() {
	w.t.Helper()
	w.relay = start(w.t, w.binary, nil, w.flags...)
	w.pid = w.relay.cmd.Process.Pid
	if w.relay.log.await(2, `"listening"`) == "" {
		w.t.Fatal("the relay does not listen")
	}
}

// upgrade has another process take the relay's place, by a signal or by a start
// from here, and reports whether it has.
func (w *world) upgrade(signal bool) bool {
	old := w.pid
	if signal {
		if err := syscall.Kill(old, syscall.SIGUSR2); err != nil {
			w.t.Error(err)
			return false
		}
	} else {
		w.relay = start(w.t, w.binary, nil, append(w.flags, "--replace")...)
	}
	if w.relay.log.await(1, `"took the relay over"`, fmt.Sprintf(`"pid":%d,`, old)) == "" {
		w.t.Errorf("process %d was not replaced", old)
		return false
	}
	if !signal {
		w.pid = w.relay.cmd.Process.Pid
		return true
	}
	w.pid = 0
	for _, line := range w.relay.log.with(`"upgrading"`) {
		var e struct{ PID int }
		if json.Unmarshal([]byte(line), &e) == nil {
			w.pid = e.PID
		}
	}
	return w.pid != 0
}

// startAgent starts an agent, in the place of the present one if there is one,
// and waits until it is ready.
func (w *world) startAgent() *process {
	w.t.Helper()
	p := start(w.t, w.binary, []string{"SHARE_TOKEN=" + w.token, "SHARE_STATE_DIR=" + w.home},
		"http", strings.TrimPrefix(w.target.URL, "http://"), "--relay", "http://"+w.http, "--relay-ca", w.cert,
		"--name", "web", "--takeover", "--json")
	if p.out.await(1, `"event":"ready"`, `"verified":true`) == "" {
		w.t.Error("the agent is not ready")
	}
	return p
}

// restart has another process take the agent's place, and reports whether the
// old one has left for that.
func (w *world) restart() bool {
	old := w.agent
	w.agent = w.startAgent()
	select {
	case <-old.exited:
	case <-time.After(patience):
		w.t.Error("the agent that was taken over does not leave")
		return false
	}
	if code := old.cmd.ProcessState.ExitCode(); code != 5 {
		w.t.Errorf("the agent that was taken over ended with %d", code)
	}
	return !w.t.Failed()
}

// dial connects to one of the relay's doors.
func (w *world) dial(secure bool) (net.Conn, error) {
	if !secure {
		return net.DialTimeout("tcp", w.http, patience)
	}
	return tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", w.https, &tls.Config{RootCAs: w.roots, ServerName: host})
}
