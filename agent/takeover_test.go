package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"share/agent/target"
	"share/tunnel"
	"share/tunnel/cmdline"
)

func TestSecondAgentIsRefused(t *testing.T) {
	relay := newFakeRelay(t)
	cfg := Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello), StateDir: t.TempDir(), Folder: "/src"}
	start(t, cfg).event(EventReady)

	second := start(t, cfg)
	second.wantError(cmdline.ExitRefused, fmt.Sprintf("process %d", os.Getpid()))

	// The name that the relay derived is the same tunnel by another name.
	relay.mu.Lock()
	derived := relay.binds[0]
	relay.mu.Unlock()
	named := cfg
	named.Name = relayName(derived)
	start(t, named).wantError(cmdline.ExitRefused, named.Name)

	other := cfg
	other.Folder = "/srv"
	start(t, other).event(EventReady)
}

func TestNameOfDefaultIsRemembered(t *testing.T) {
	relay := newFakeRelay(t)
	cfg := Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello), StateDir: t.TempDir()}
	first := start(t, cfg)
	named := cfg
	named.Name = first.event(EventReady).Name
	first.cancel()
	first.wait()
	start(t, named).event(EventReady)
	start(t, cfg).wantError(cmdline.ExitRefused, "process")
}

func TestTakeover(t *testing.T) {
	relay := newFakeRelay(t)
	cfg := Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello), StateDir: t.TempDir(), Name: "web"}
	first := start(t, cfg)
	first.event(EventReady)
	old := relay.waitBound()

	cfg.Takeover = true
	second := start(t, cfg)
	second.event(EventReady)
	relay.mu.Lock()
	bind := relay.binds[1]
	relay.mu.Unlock()
	if !bind.Takeover {
		t.Errorf("bind: %+v, want a takeover", bind)
	}
	old.Send(&tunnel.Unbind{Tunnel: 7, Code: tunnel.RejectEvicted, Message: "another agent took the name over"})
	first.wantError(cmdline.ExitRefused, "took the name over")

	// The lock follows, so that a third is told whose the name is now.
	third := newClaims(cfg.StateDir, cfg.Relay.String())
	defer third.release()
	until(t, "the second's lock", func() bool {
		err := third.take("web")
		if err == nil {
			third.release() // the second has not tried again yet
			return false
		}
		if _, held := errors.AsType[*errHeld](err); !held {
			t.Errorf("third: %v, want that the name is held", err)
		}
		return true
	})
}

func TestTakenOverWhileAway(t *testing.T) {
	relay := newFakeRelay(t)
	cfg := Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello), StateDir: t.TempDir(), Name: "web"}
	first := start(t, cfg)
	first.event(EventReady)
	other, _ := seizeAsOther(t, newClaims(cfg.StateDir, cfg.Relay.String()), "web")
	relay.stop()
	first.wantError(cmdline.ExitRefused, fmt.Sprintf("process %d took the tunnel over", other))
}

func TestRandomName(t *testing.T) {
	relay := newFakeRelay(t)
	cfg := Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello), StateDir: t.TempDir(), Random: true}
	names := map[string]bool{}
	for range 2 {
		r := start(t, cfg)
		names[r.event(EventReady).Name] = true
		r.cancel()
		r.wait()
	}
	if len(names) != 2 {
		t.Errorf("random names %v, want two", names)
	}
	if left, _ := filepath.Glob(filepath.Join(cfg.StateDir, "locks", "*")); len(left) > 0 {
		t.Errorf("random names left %v", left)
	}
}

func TestStateFolderUnusable(t *testing.T) {
	relay := newFakeRelay(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello), StateDir: file})
	if e := r.event(EventWarning); !strings.Contains(e.Message, file) {
		t.Errorf("warning: %q, want the folder's path", e.Message)
	}
	r.event(EventReady)
}

func TestTargetIsTheRelay(t *testing.T) {
	relay := newFakeRelay(t)
	port := relay.addr[strings.LastIndexByte(relay.addr, ':')+1:]
	for _, s := range []string{relay.addr, port, "localhost:" + port, "https://web.localhost:" + port} {
		r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: targetAt(t, s)})
		r.wantError(cmdline.ExitUsage, "is the relay itself")
	}
	if err := checkSelf(t.Context(), targetAt(t, "unix:/run/x.sock").Address, mustRelay(t, "http://"+relay.addr)); err != nil {
		t.Errorf("a unix socket: %v", err)
	}
	if err := checkSelf(t.Context(), targetAt(t, "127.0.0.2:"+port).Address, mustRelay(t, "http://"+relay.addr)); err != nil {
		t.Errorf("another address: %v", err)
	}
}

func TestSeedTarget(t *testing.T) {
	for s, want := range map[string]string{
		"8080":                    "8080",
		"http://127.0.0.1:8080":   "8080",
		"https://localhost:8080":  "8080",
		"unix:/run/app.sock":      "unix:/run/app.sock",
		"10.0.0.7:8080":           "10.0.0.7:8080",
		"https://app.example.com": "app.example.com:443",
	} {
		a, err := target.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := seedTarget(a); got != want {
			t.Errorf("seedTarget(%s) = %q, want %q", s, got, want)
		}
	}
}
