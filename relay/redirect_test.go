package relay

import (
	"errors"
	"io"
	"net"
	"testing"

	"share/tunnel"
)

// The door that redirects lets no agent in, and has no answer but for the
// domain.
func TestRedirectDoor(t *testing.T) {
	s := serve(t, Config{Domain: "share.test"}, newCertificate(t, "share.test", "*.share.test"), doorHTTPS, doorRedirect)
	_, port, _ := net.SplitHostPort(s.addrs[doorHTTPS])
	for host, want := range map[string]string{
		"x.share.test":  "https://x.share.test:" + port + "/",
		"SHARE.test.:1": "https://share.test:" + port + "/",
		"other.test":    "",
		"127.0.0.1":     "",
	} {
		resp, _ := get(t, s.dial(doorRedirect), host)
		status := 308
		if want == "" {
			status = 404
		}
		if got := resp.Header.Get("Location"); got != want || resp.StatusCode != status {
			t.Errorf("%s: got %d to %q, want %d to %q", host, resp.StatusCode, got, status, want)
		}
	}
	if _, err := connect(t, s.dial(doorRedirect), tunnel.Hello{Token: "secret"}, say("")); !errors.Is(err, tunnel.ErrNotRelay) {
		t.Errorf("an agent: %v", err)
	}
	conn := s.dial(doorRedirect)
	io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	if resp, _ := answerOf(t, conn); resp.StatusCode != 505 {
		t.Errorf("HTTP/2 without TLS: %d", resp.StatusCode)
	}
	if s.log.has("secret") || s.log.has("agent connected") {
		t.Errorf("the log: %s", s.log)
	}
}
