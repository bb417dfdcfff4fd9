package agent

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"share/tunnel"
	"share/tunnel/cmdline"
)

func TestRunRefused(t *testing.T) {
	reject := func(code tunnel.RejectCode, after time.Duration) func(*tunnel.Hello) *tunnel.RejectError {
		return func(*tunnel.Hello) *tunnel.RejectError {
			return &tunnel.RejectError{Code: code, Message: "because\n" + string(code), RetryAfter: after}
		}
	}
	bindError := func(code tunnel.RejectCode) func(*tunnel.Bind) tunnel.Message {
		return func(b *tunnel.Bind) tunnel.Message {
			return &tunnel.BindError{ID: b.ID, Code: code, Message: "because " + string(code)}
		}
	}
	tests := []struct {
		name   string
		admit  func(*tunnel.Hello) *tunnel.RejectError
		answer func(*tunnel.Bind) tunnel.Message
		code   int
		text   string
	}{
		{"token", reject(tunnel.RejectToken, 0), nil, cmdline.ExitToken, "because token"},
		{"version", reject(tunnel.RejectVersion, 0), nil, cmdline.ExitTooOld, "because version"},
		{"insecure", reject(tunnel.RejectInsecure, 0), nil, cmdline.ExitRefused, "because insecure"},
		{"a code of tomorrow", reject("policy", 0), nil, cmdline.ExitRefused, "because policy"},
		{"taken", nil, bindError(tunnel.RejectTaken), cmdline.ExitRefused, "because taken"},
		{"quota", nil, bindError(tunnel.RejectQuota), cmdline.ExitRefused, "because quota"},
		{"nonsense", nil, func(b *tunnel.Bind) tunnel.Message { return &tunnel.Bound{ID: b.ID, URL: "javascript:1", Name: "x"} }, cmdline.ExitUnreached, "makes no sense"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			relay := newFakeRelay(t)
			relay.admit, relay.answer = tt.admit, tt.answer
			cfg := Config{Relay: mustRelay(t, "http://"+relay.addr), Token: secret, Target: newTarget(t, hello)}
			if tt.name == "nonsense" { // retried for ever otherwise
				wantGivesUp(t, cfg, tt.code, tt.text)
				return
			}
			r := start(t, cfg)
			r.wantError(tt.code, tt.text)
			if e, _ := errors.AsType[*cmdline.Error](r.err); strings.Contains(e.Message, "\n") || strings.Contains(e.Message, secret) {
				t.Errorf("message %q, want one line without the token", e.Message)
			}
		})
	}
}

func TestRunRetriesWhatMayHelp(t *testing.T) {
	relay := newFakeRelay(t)
	n := 0
	relay.admit = func(*tunnel.Hello) *tunnel.RejectError {
		switch n++; n {
		case 1:
			return &tunnel.RejectError{Code: tunnel.RejectDraining, Message: "stopping"}
		case 2:
			return &tunnel.RejectError{Code: tunnel.RejectQuota, Message: "busy", RetryAfter: time.Millisecond}
		}
		return nil
	}
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello)})
	if e := r.event(EventReconnecting); !strings.Contains(e.Reason, "stopping") || !e.Drained {
		t.Errorf("reconnecting: %+v", e)
	}
	if e := r.event(EventReconnecting); !strings.Contains(e.Reason, "busy") || e.Drained || e.Retry < time.Millisecond {
		t.Errorf("reconnecting: %+v", e)
	}
	r.event(EventReady)
}

func TestRunNotARelay(t *testing.T) {
	web := listen(t, func(conn net.Conn) {
		defer conn.Close()
		conn.Read(make([]byte, 1024))
		io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
	})
	for _, relay := range []string{"http://" + web, "https://" + web} {
		r := start(t, Config{Relay: mustRelay(t, relay), Target: newTarget(t, hello)})
		r.wantError(cmdline.ExitUnreached, "not a share relay")
	}
}

func TestRunWaits(t *testing.T) {
	wantGivesUp(t, Config{Relay: mustRelay(t, "http://"+closedAddr(t)), Target: newTarget(t, hello)}, cmdline.ExitUnreached, "nothing listens")

	relay := newFakeRelay(t)
	wantGivesUp(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: targetAt(t, closedAddr(t))}, cmdline.ExitTargetDown, "refused")
}

// wantGivesUp fails unless an agent that has waited ends with this code and text.
func wantGivesUp(t *testing.T, cfg Config, code int, text string) {
	t.Helper()
	var err error
	for _, cfg.Wait = range waits() {
		if err = start(t, cfg).wait(); isError(err, code, text) {
			return
		}
	}
	t.Errorf("Run returned %s; want code %d and %q", describe(err), code, text)
}

func TestRunEvicted(t *testing.T) {
	relay := newFakeRelay(t)
	r := start(t, Config{Relay: mustRelay(t, "http://"+relay.addr), Target: newTarget(t, hello)})
	s := relay.waitBound()
	s.Send(&tunnel.Unbind{Tunnel: 7, Code: tunnel.RejectEvicted, Message: "another agent took the name over"})
	s.Close() // at once: the message still counts
	r.wantError(cmdline.ExitRefused, "took the name over")
	relay.mu.Lock()
	defer relay.mu.Unlock()
	if len(relay.binds) != 1 {
		t.Errorf("%d binds: an evicted agent fights", len(relay.binds))
	}
}
