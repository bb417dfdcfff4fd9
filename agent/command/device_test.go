package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"share/agent"
	"share/agent/device"
	"share/tunnel"
	"share/tunnel/cmdline"
)

// A relay that names what is no issuer is not followed, and nothing of that is shown
// as it is.
func TestLogInElsewhere(t *testing.T) {
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	p := &Process{Stderr: stderr}
	for _, issuer := range []string{"", "http://login.example.com", "https://ann@login.example.com", "https://login.example.com/\x1b[2J", "file:///etc/passwd"} {
		_, err := p.logIn(t.Context(), agent.Config{Relay: agent.RelayURL{Host: "share.example.com", Port: "443"}}, &tunnel.Login{Issuer: issuer, ClientID: "share"})
		e, ok := errors.AsType[*cmdline.Error](err)
		if !ok || !strings.Contains(e.Message, "relay https://share.example.com has people log in at") || strings.Contains(e.Message, "\x1b") {
			t.Errorf("%q: %v", issuer, err)
		}
	}
	if info, err := stderr.Stat(); err != nil || info.Size() > 0 {
		t.Errorf("something was shown: %v, %v", info, err)
	}
}

func TestInvitation(t *testing.T) {
	relay := agent.RelayURL{Host: "share.example.com", Port: "443"}
	code := &device.Code{URL: "https://login.example.com/device", Text: "WDJB-MJHT", Expires: 90 * time.Second}
	got := invitation(relay, code)
	want := "\nOpen https://login.example.com/device\nand type WDJB-MJHT\n\nwithin 1 min, and only if you mean to log in to https://share.example.com\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	code.Whole, code.Expires = "https://login.example.com/device?code=WDJB-MJHT", time.Second
	if got := invitation(relay, code); !strings.Contains(got, "\nor open https://login.example.com/device?code=WDJB-MJHT\nand see that it shows the same code\n\nwithin 1 min") {
		t.Errorf("got %q", got)
	}
}

// Each way to fail names the issuer, and has its exit code.
func TestUnissued(t *testing.T) {
	relay := agent.RelayURL{Host: "share.example.com", Port: "443"}
	for _, tt := range []struct {
		err  error
		code int
		want string
		hint string
	}{
		{device.ErrDenied, cmdline.ExitToken, "the issuer login.example.com: it was not allowed", "allow it there"},
		{device.ErrExpired, cmdline.ExitFailed, "the issuer login.example.com: the code has expired", "log in again: share login https://share.example.com"},
		{fmt.Errorf("post: %w", &device.UnreachableError{Err: errors.New("reset")}), cmdline.ExitUnreached, "the issuer login.example.com cannot be reached: post: reset", "check the network"},
		{errors.New("it answers 404"), cmdline.ExitFailed, "the issuer login.example.com: it answers 404", "tell the relay's owner"},
	} {
		e, ok := errors.AsType[*cmdline.Error](unissued(relay, "login.example.com", tt.err))
		if !ok || e.Code != tt.code || e.Message != tt.want || !strings.HasPrefix(e.Hint, tt.hint) {
			t.Errorf("%v: got %+v", tt.err, e)
		}
	}
}
