package agent

import (
	"errors"
	"strings"
	"testing"

	"share/tunnel/cmdline"
)

func TestParseRelay(t *testing.T) {
	tests := []struct {
		in       string
		insecure bool
		want     string
		loopback bool
	}{
		{"share.example.com", false, "https://share.example.com", false},
		{"Share.Example.COM.", false, "https://share.example.com", false},
		{"share.example.com:8443", false, "https://share.example.com:8443", false},
		{"https://share.example.com/", false, "https://share.example.com", false},
		{"https://share.example.com:443", false, "https://share.example.com", false},
		{"https://10.0.0.7:8443", false, "https://10.0.0.7:8443", false},
		{"https://[2001:db8::7]", false, "https://[2001:db8::7]", false},
		{"https://[2001:DB8:0::7]:8443", false, "https://[2001:db8::7]:8443", false},
		{"http://127.0.0.1:7070", false, "http://127.0.0.1:7070", true},
		{"http://127.9.9.9:7070", false, "http://127.9.9.9:7070", true},
		{"http://[::1]:7070", false, "http://[::1]:7070", true},
		{"http://[::ffff:127.0.0.1]:7070", false, "http://[::ffff:127.0.0.1]:7070", true},
		{"http://localhost", false, "http://localhost", true},
		{"http://relay.localhost:7070", false, "http://relay.localhost:7070", true},
		{"http://10.0.0.7:7070", true, "http://10.0.0.7:7070", false},
		{"http://share.example.com:80", true, "http://share.example.com", false},
		{"localhost:7070", false, "https://localhost:7070", true},
	}
	for _, tt := range tests {
		u, err := ParseRelay(tt.in, tt.insecure)
		if err != nil {
			t.Errorf("ParseRelay(%q): %v", tt.in, err)
			continue
		}
		if got := u.String(); got != tt.want || u.Loopback() != tt.loopback {
			t.Errorf("ParseRelay(%q) = %s, loopback %v; want %s, %v", tt.in, got, u.Loopback(), tt.want, tt.loopback)
		}
		if again, err := ParseRelay(u.String(), tt.insecure); err != nil || again != u {
			t.Errorf("ParseRelay(%q) = %+v, %v; want %+v again", u, again, err, u)
		}
	}
}

func TestParseRelayRefuses(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", "empty"},
		{"http://10.0.0.7:7070", "unencrypted"},
		{"http://share.example.com", "unencrypted"},
		{"http://notlocalhost:7070", "unencrypted"},
		{"http://localhost.example.com", "unencrypted"},
		{"ftp://share.example.com", "scheme"},
		{"unix:///run/share.sock", "scheme"},
		{"https://share.example.com/path", "path"},
		{"https://share.example.com?q", "path"},
		{"https://share.example.com?", "path"},
		{"https://share.example.com#f", "path"},
		{"https://alice:secret@share.example.com", "user or password"},
		{"https://share.example.com:0", "port"},
		{"https://share.example.com:65536", "port"},
		{"https://share.example.com:", "port"},
		{"https://share.example.com:http", "not an address"},
		{"https://", "neither"},
		{"https://share..example.com", "neither"},
		{"https://-share.example.com", "neither"},
		{"https://shäre.example.com", "neither"},
		{"share example.com", "not an address"},
		{"share.example.com\nevil", "not an address"},
		{"::1", ""},
		{"8080", "neither"},
		{"https://300.1.1.1", "neither"},
		{"http://[::1%25lo]:7070", "zone"},
		{"https://[fe80::1%25;touch%20x;]", "zone"},
	}
	for _, tt := range tests {
		u, err := ParseRelay(tt.in, false)
		e, ok := errors.AsType[*cmdline.Error](err)
		if !ok {
			t.Errorf("ParseRelay(%q) = %s, %v; want a *cmdline.Error", tt.in, u, err)
			continue
		}
		if e.Code != cmdline.ExitUsage || e.Hint == "" || !strings.Contains(e.Message, tt.want) || strings.Contains(e.Message, "\n") {
			t.Errorf("ParseRelay(%q) = code %d, %q, hint %q; want code 2, one line with %q and a hint", tt.in, e.Code, e.Message, e.Hint, tt.want)
		}
		if strings.Contains(e.Message+e.Hint, "secret") {
			t.Errorf("ParseRelay(%q) shows the password: %q", tt.in, e.Message)
		}
	}
}

func FuzzParseRelay(f *testing.F) {
	for _, s := range []string{"share.example.com", "https://[::1]:7070/", "http://127.0.0.1:7070", "a@b", "http://localhost.:1", "%00", "https://x:1/?#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseRelay(s, false)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("ParseRelay(%q): more than one line: %q", s, err)
			}
			return
		}
		if u.Plain && !u.Loopback() {
			t.Fatalf("ParseRelay(%q) = %s: plain beyond loopback", s, u)
		}
		if again, err := ParseRelay(u.String(), false); err != nil || again != u {
			t.Fatalf("ParseRelay(%q) = %+v, which reads back as %+v, %v", s, u, again, err)
		}
	})
}
