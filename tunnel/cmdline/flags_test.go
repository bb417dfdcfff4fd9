package cmdline

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

func TestSetters(t *testing.T) {
	var (
		d         time.Duration
		grace     time.Duration
		n         int
		size      int64
		level     slog.Level
		list      []netip.Prefix
		addresses []netip.Addr
		words     []string
		link      *url.URL
		reveal    string
	)
	tests := []struct {
		set  cli.Generic
		text string
		dst  any
		want string // what dst holds then; "" if the text is refused
	}{
		{Duration(&d, 0), "1m30s", &d, "1m30s"},
		{Duration(&d, 0), "10", &d, ""},
		{Duration(&d, 0), "-1s", &d, ""},
		{Duration(&d, 0), "0s", &d, ""},
		{Duration(&grace, -1), "0s", &grace, "-1ns"},
		{Duration(&grace, -1), "-1s", &grace, ""},
		{Days(&d), "90d", &d, "2160h0m0s"},
		{Days(&d), "36500d", &d, "876000h0m0s"},
		{Days(&d), "36501d", &d, ""},
		{Days(&d), "12h", &d, "12h0m0s"},
		{Days(&d), "0d", &d, ""},
		{Days(&d), "-1d", &d, ""},
		{Days(&d), "1.5d", &d, ""},
		{Days(&d), "d", &d, ""},
		{Days(&d), "90", &d, ""},
		{Days(&d), "0s", &d, ""},
		{List(&words), "pr-*, web", &words, "[pr-* web]"},
		{List(&words), "pr-*,", &words, ""},
		{List(&words), ",", &words, ""},
		{Number(&n, 1, 8), "8", &n, "8"},
		{Number(&n, 1, 8), "9", &n, ""},
		{Number(&n, 1, 8), "two", &n, ""},
		{Size(&size, 1024), "1500", &size, "1500"},
		{Size(&size, 1024), "64KiB", &size, "65536"},
		{Size(&size, 1024), "512MiB", &size, "536870912"},
		{Size(&size, 1024), "2GiB", &size, "2147483648"},
		{Size(&size, 1024), "8388607TiB", &size, "9223370937343148032"},
		{Size(&size, 1024), "8388608TiB", &size, ""},
		{Size(&size, 1024), "1023", &size, ""},
		{Size(&size, 1024), "-1MiB", &size, ""},
		{Size(&size, 1024), "1.5GiB", &size, ""},
		{Size(&size, 1024), "5MB", &size, ""},
		{Size(&size, 1024), "MiB", &size, ""},
		{Size(&size, 1024), "1 GiB", &size, ""},
		{Level(&level), "warn", &level, "WARN"},
		{Level(&level), "WARN", &level, ""},
		{Choice(&reveal, map[string]string{"a": "A"}), "a", &reveal, "A"},
		{Choice(&reveal, map[string]string{"a": "A"}), "b", &reveal, ""},
		{Prefixes(&list), "10.1.2.3/8, fd00::/8,127.0.0.1", &list, "[10.0.0.0/8 fd00::/8 127.0.0.1/32]"},
		{Prefixes(&list), "10.0.0.0/33", &list, ""},
		{Prefixes(&list), "", &list, ""},
		{Addresses(&addresses), "192.0.2.1, 2001:db8::1,::ffff:192.0.2.2", &addresses, "[192.0.2.1 2001:db8::1 192.0.2.2]"},
		{Addresses(&addresses), "192.0.2.0/24", &addresses, ""},
		{Addresses(&addresses), "fe80::1%lo", &addresses, ""},
		{URL(&link), "https://share.example.com", &link, "https://share.example.com"},
		{URL(&link), "share.example.com", &link, ""},
	}
	for _, tt := range tests {
		err := tt.set.Set(tt.text)
		got := ""
		if err == nil {
			got = value(tt.dst)
		}
		if got != tt.want {
			t.Errorf("%q: got %s, %v, want %s", tt.text, got, err, tt.want)
		}
	}
}

// value shows what a pointer points at.
func value(p any) string {
	switch p := p.(type) {
	case *time.Duration:
		return p.String()
	case *int:
		return fmt.Sprint(*p)
	case *int64:
		return fmt.Sprint(*p)
	case *slog.Level:
		return p.String()
	case *string:
		return *p
	case *[]string:
		return fmt.Sprint(*p)
	case *[]netip.Addr:
		return fmt.Sprint(*p)
	case *[]netip.Prefix:
		return fmt.Sprint(*p)
	case **url.URL:
		return (*p).String()
	}
	return ""
}

// What stands on the command line, all of it, goes before the environment.
func TestTexts(t *testing.T) {
	for _, tt := range []struct {
		environment string
		args        []string
		want        string // "" if it is refused
	}{
		{"", nil, "[]"},
		{"a,b", nil, "[a b]"},
		{"", []string{"--to=a"}, "[a]"},
		{"", []string{"--to=a", "--to=b, c"}, "[a b c]"},
		{"x,y", []string{"--to=a", "--to=b"}, "[a b]"},
		{"", []string{"--to=a,"}, ""},
		{",", nil, ""},
	} {
		t.Setenv("SHARE_TO", tt.environment)
		var got []string
		app := &cli.App{Writer: io.Discard, ErrWriter: io.Discard, Flags: []cli.Flag{Texts("to", "", &got)},
			ExitErrHandler: func(*cli.Context, error) {}, Action: func(*cli.Context) error { return nil }}
		err := app.Run(append([]string{"x"}, tt.args...))
		if text := fmt.Sprint(got); err == nil && text != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%q, %v: got %s, %v, want %s", tt.environment, tt.args, text, err, tt.want)
		}
	}
}
