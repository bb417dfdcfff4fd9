package agent

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"share/tunnel/cmdline"
)

// A proxy's refusal ends the agent, and says what the proxy wants; what may
// pass does not.
func TestProxyRefusals(t *testing.T) {
	for answer, want := range map[string]struct{ text, hint string }{
		"407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"":                                  {"407 Proxy Authentication Required", "user:password@"},
		"407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM":              {"it wants Negotiate, NTLM, and share knows Basic alone", "user:password@"},
		"407 Proxy Authentication Required\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: Basic realm=\"x\"": {"407 Proxy Authentication Required", "user:password@"},
		"401 Unauthorized":           {"401 Unauthorized", "user:password@"},
		"403 Forbidden":              {"403 Forbidden", "NO_PROXY"},
		"405 Method Not Allowed":     {"405 Method Not Allowed", "NO_PROXY"},
		"502 Bad Gateway":            {},
		"503 Service Unavailable":    {},
		"504 Gateway Timeout":        {},
		"500 Unable to connect":      {},
		"302 Found\r\nLocation: /in": {},
	} {
		addr := listen(t, func(conn net.Conn) {
			defer conn.Close()
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				io.WriteString(conn, "HTTP/1.1 "+answer+"\r\nContent-Length: 0\r\n\r\n")
			}
		})
		a, err := New(Config{Relay: mustRelay(t, "https://relay.example"), Token: secret, Target: targetAt(t, "127.0.0.1:1"),
			Proxy: func(*url.URL) (*url.URL, error) { return url.Parse("http://u:hidden@" + addr) }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.loops[0].dialer.reach(t.Context(), greetEcho)
		if _, ok := errors.AsType[*proxyError](err); !ok {
			t.Errorf("%q: got %v", answer, err)
			continue
		}
		e := a.loops[0].verdict(err, false)
		switch {
		case want.text == "":
			if e != nil {
				t.Errorf("%q ends the agent: %s", answer, describe(e))
			}
		case e == nil:
			t.Errorf("%q does not end the agent", answer)
		case e.Code != cmdline.ExitUnreached || !strings.HasSuffix(e.Message, want.text) || !strings.Contains(e.Hint, want.hint) || strings.Contains(e.Message+e.Hint, "hidden"):
			t.Errorf("%q: got %s", answer, describe(e))
		}
	}
}
