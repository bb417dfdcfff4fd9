package target

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		in        string
		want      Address
		text      string
		authority string
	}{
		{"8080", Address{HTTP, "localhost", 8080, ""}, "localhost:8080", "localhost:8080"},
		{":8080", Address{HTTP, "localhost", 8080, ""}, "localhost:8080", "localhost:8080"},
		{"65535", Address{HTTP, "localhost", 65535, ""}, "localhost:65535", "localhost:65535"},
		{"Example.COM:80", Address{HTTP, "example.com", 80, ""}, "example.com:80", "example.com"},
		{"my_app:3000", Address{HTTP, "my_app", 3000, ""}, "my_app:3000", "my_app:3000"},
		{"127.0.0.1:1", Address{HTTP, "127.0.0.1", 1, ""}, "127.0.0.1:1", "127.0.0.1:1"},
		{"[::1]:8080", Address{HTTP, "::1", 8080, ""}, "[::1]:8080", "[::1]:8080"},
		{"[0:0::1]:80", Address{HTTP, "::1", 80, ""}, "[::1]:80", "[::1]"},
		{"[fe80::1%eth0]:80", Address{HTTP, "fe80::1%eth0", 80, ""}, "[fe80::1%eth0]:80", "[fe80::1%eth0]"},
		{"http://[fe80::1%25eth0]:8080", Address{HTTP, "fe80::1%eth0", 8080, ""}, "[fe80::1%eth0]:8080", "[fe80::1%eth0]:8080"},
		{"http://localhost:3000/", Address{HTTP, "localhost", 3000, ""}, "localhost:3000", "localhost:3000"},
		{"http://web", Address{HTTP, "web", 80, ""}, "web:80", "web"},
		{"HTTPS://host", Address{HTTPS, "host", 443, ""}, "https://host:443", "host"},
		{"https://[::1]", Address{HTTPS, "::1", 443, ""}, "https://[::1]:443", "[::1]"},
		{"https://host:80", Address{HTTPS, "host", 80, ""}, "https://host:80", "host:80"},
		{"h2c://localhost:50051", Address{H2C, "localhost", 50051, ""}, "h2c://localhost:50051", "localhost:50051"},
		{"h2://api.example.com", Address{H2, "api.example.com", 443, ""}, "h2://api.example.com:443", "api.example.com"},
		{"unix:/run/app.sock", Address{HTTP, "", 0, "/run/app.sock"}, "unix:/run/app.sock", "localhost"},
		{"unix:///run/app.sock", Address{HTTP, "", 0, "/run/app.sock"}, "unix:/run/app.sock", "localhost"},
		{"unix:app.sock", Address{HTTP, "", 0, "app.sock"}, "unix:app.sock", "localhost"},
	} {
		got, err := Parse(test.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", test.in, err)
			continue
		}
		if got != test.want {
			t.Errorf("Parse(%q) = %+v, want %+v", test.in, got, test.want)
		}
		if got.String() != test.text {
			t.Errorf("Parse(%q).String() = %q, want %q", test.in, got.String(), test.text)
		}
		if got.Authority() != test.authority {
			t.Errorf("Parse(%q).Authority() = %q, want %q", test.in, got.Authority(), test.authority)
		}
		if again, err := Parse(got.String()); err != nil || again != got {
			t.Errorf("Parse(%q) = %+v, %v, want %+v", got.String(), again, err, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct{ in, says string }{
		{"", "nothing is named"},
		{"0", "1 to 65535"},
		{"65536", "1 to 65535"},
		{"99999999999999999999", "1 to 65535"},
		{"080", "1 to 65535"},
		{"host:", "1 to 65535"},
		{"host:0", "1 to 65535"},
		{"host:+80", "1 to 65535"},
		{"host:8 0", "1 to 65535"},
		{"http://host:http", "1 to 65535"},
		{"abc", "no port"},
		{"-x", "no port"},
		{"[::1]", "no port"},
		{".", "folder"},
		{"./public", "folder"},
		{"/var/www", "folder"},
		{"~", "folder"},
		{`C:\www`, "folder"},
		{"localhost:3000/path", "folder"},
		{"::1:8080", "brackets"},
		{"[::1:8080", "no IPv6"},
		{"[127.0.0.1]:80", "no IPv6"},
		{"1.2.3:80", "neither"},
		{"256.1.1.1:80", "neither"},
		{"a..b:80", "neither"},
		{"-a:80", "neither"},
		{"bücher.example:80", "neither"},
		{"a b:80", "neither"},
		{strings.Repeat("a", 64) + ":80", "neither"},
		{"ftp://host", "not spoken"},
		{"tcp://host:1", "not spoken"},
		{"http://host/path", `write "http://host"`},
		{"http://host?q", `write "http://host"`},
		{"http://host/#f", `write "http://host"`},
		{"https://u:p@host", "user name"},
		{"unix:", "no socket"},
		{"unix:/run/", "no socket"},
		{"unix://host/path", "no host"},
		{"unix:/a\nb", "control"},
		{"unix:/" + strings.Repeat("a", 107), "longer"},
	} {
		_, err := Parse(test.in)
		if err == nil {
			t.Errorf("Parse(%q) succeeded", test.in)
			continue
		}
		if !strings.Contains(err.Error(), test.says) {
			t.Errorf("Parse(%q): %q does not say %q", test.in, err, test.says)
		}
		if strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("Parse(%q): %q is not one line", test.in, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	for in, want := range map[string]bool{
		"8080": true, "localhost:1": true, "app.localhost:1": true, "127.9.9.9:1": true,
		"[::1]:1": true, "[::ffff:127.0.0.1]:1": true, "unix:/x": true,
		"10.0.0.1:1": false, "example.com:1": false, "[2001:db8::1]:1": false,
	} {
		a, err := Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Loopback(); got != want {
			t.Errorf("%s: Loopback() = %v, want %v", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"8080", "host:1", "https://h", "unix:/x", "[::1]:1", "h2c://a:1/", "h2://\x00#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("error of %q is not one line: %q", s, err)
			}
			return
		}
		if again, err := Parse(a.String()); err != nil || again != a {
			t.Errorf("Parse(%q) = %+v; Parse(%q) = %+v, %v", s, a, a.String(), again, err)
		}
	})
}
