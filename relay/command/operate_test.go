package command

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// A token goes to who was named, and never in plain beyond this machine.
func TestRemoteOperator(t *testing.T) {
	for _, tt := range []struct{ admin, token, ca, want string }{
		{"https://share.example.com:9443", "t", "", ""},
		{"https://share.example.com/below", "t", "", ""},
		{"http://127.0.0.1:9090", "t", "", ""},
		{"http://[::1]:9090", "t", "", ""},
		{"http://localhost:9090", "t", "", ""},
		{"http://share.example.com:9090", "t", "", "unencrypted"},
		{"http://127.0.0.1.example.com", "t", "", "unencrypted"},
		{"https://t@share.example.com", "t", "", "wants a URL"},
		{"https://share.example.com?t", "t", "", "wants a URL"},
		{"unix://share.example.com", "t", "", "wants a URL"},
		{"https://share.example.com", "", "", "there is no token"},
		{"https://share.example.com", "t", "no such file", "no such file"},
	} {
		u, err := url.Parse(tt.admin)
		if err != nil {
			t.Fatal(err)
		}
		o := &operator{process: Process{AdminToken: tt.token}, admin: u, adminCA: tt.ca}
		_, err = o.client()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.admin, err, tt.want)
		}
	}
}

// TestOperatorFlags looks at every command below share relay: each finds its
// relay by --data, and nothing else of it comes from the environment, where a
// flag of one command would be meant for another.
func TestOperatorFlags(t *testing.T) {
	for _, group := range operating(Process{}) {
		commands := group.Subcommands
		if len(commands) == 0 {
			commands = []*cli.Command{group}
		}
		for _, c := range commands {
			var names []string
			for _, f := range c.Flags {
				names = append(names, f.Names()[0])
				if env := f.(cli.DocGenerationFlag).GetEnvVars(); f.Names()[0] != "data" && len(env) > 0 {
					t.Errorf("%s %s: --%s is set by %v", group.Name, c.Name, f.Names()[0], env)
				}
			}
			want := []string{"data", "admin", "admin-ca", "json"}
			if c == group {
				want = want[:1]
			}
			for _, want := range want {
				if !slices.Contains(names, want) {
					t.Errorf("%s %s has no --%s", group.Name, c.Name, want)
				}
			}
		}
	}
}
