package doctor

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"share/agent"
	"share/tunnel/cmdline"
)

// secret is what no result may have in it.
const secret = "precious"

// want holds a result to a state and to what its text has in it.
func want(t *testing.T, got cmdline.Result, state cmdline.State, detail, cure string) {
	t.Helper()
	if got.State != state || !strings.Contains(got.Detail, detail) || !strings.Contains(got.Cure, cure) ||
		(got.Cure != "") != (state == cmdline.StateFailed || state == cmdline.StateWarning) {
		t.Errorf("got %+v, want %s: %s; cure: %s", got, state, detail, cure)
	}
	if strings.Contains(got.Detail+got.Cure, secret) {
		t.Errorf("%+v shows a secret", got)
	}
}

// with returns a doctor on a machine with an environment.
func with(environment map[string]string) *Doctor {
	return &Doctor{Machine: Local(func(name string) string { return environment[name] })}
}

func file(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckState(t *testing.T) {
	for _, tt := range []struct {
		name   string
		make   func(t *testing.T) string
		state  cmdline.State
		detail string
		cure   string
	}{
		{"none", func(t *testing.T) string { return "" }, cmdline.StateWarning, "no state folder", "SHARE_STATE_DIR"},
		{"not yet", func(t *testing.T) string { return filepath.Join(t.TempDir(), "x") }, cmdline.StateOK, "not there yet", ""},
		{"empty", func(t *testing.T) string { return t.TempDir() }, cmdline.StateOK, "can be used", ""},
		{"a file", func(t *testing.T) string { return file(t, "", 0o600) }, cmdline.StateFailed, "is no folder", "SHARE_STATE_DIR"},
		{"a key", func(t *testing.T) string {
			return filepath.Dir(named(t, file(t, strings.Repeat("ab", 32)+"\n", 0o600), "key"))
		}, cmdline.StateOK, "can be used", ""},
		{"a damaged key", func(t *testing.T) string { return filepath.Dir(named(t, file(t, secret, 0o600), "key")) }, cmdline.StateFailed, "is damaged", "restore it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := with(nil)
			d.Agent.StateDir = tt.make(t)
			want(t, d.checkState(), tt.state, tt.detail, tt.cure)
			if left, _ := filepath.Glob(filepath.Join(d.Agent.StateDir, "doctor.*")); d.Agent.StateDir != "" && len(left) > 0 {
				t.Errorf("it leaves %v", left)
			}
		})
	}
}

// named renames a file in its folder.
func named(t *testing.T, path, name string) string {
	t.Helper()
	to := filepath.Join(filepath.Dir(path), name)
	if err := os.Rename(path, to); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestCheckToken(t *testing.T) {
	far, near := []agent.RelayURL{{Host: "relay.test", Port: "443"}}, []agent.RelayURL{{Host: "localhost", Port: "443"}}
	github := map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": "https://github.test", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": secret, "GITHUB_REPOSITORY": "a/b"}
	for _, tt := range []struct {
		name        string
		relays      []agent.RelayURL
		env         string
		file        string
		environment map[string]string
		state       cmdline.State
		detail      string
		cure        string
	}{
		{"none needed", near, "", "", nil, cmdline.StateSkipped, "only a relay on another machine", ""},
		{"none", far, "", "", nil, cmdline.StateFailed, "there is none", "SHARE_TOKEN"},
		{"none in a job", far, "", "", map[string]string{"GITHUB_ACTIONS": "true"}, cmdline.StateFailed, "no identity", "id-token: write"},
		{"variable", far, secret, "", nil, cmdline.StateOK, "it is in SHARE_TOKEN", ""},
		{"variable of two lines", far, secret + "\n", "", nil, cmdline.StateFailed, "what SHARE_TOKEN has is no token", "one line"},
		{"variable for nobody", nil, secret, "", nil, cmdline.StateOK, "goes nowhere", ""},
		{"file", far, "", file(t, secret+"\n", 0o600), nil, cmdline.StateOK, "it is in /", ""},
		{"file of two lines", far, "", file(t, secret+"\n"+secret, 0o600), nil, cmdline.StateFailed, "has no token, or more than one", "one line"},
		{"no file", far, "", filepath.Join(t.TempDir(), "nosuch"), nil, cmdline.StateFailed, "nosuch", "one line"},
		{"file for all", far, "", file(t, secret+"\n", 0o644), nil, cmdline.StateWarning, "others on this machine can read", "chmod 600 "},
		{"identity", far, "", "", github, cmdline.StateOK, "GitHub Actions of a/b", ""},
		{"identity for nobody", near, "", "", github, cmdline.StateSkipped, "there is none", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.HasPrefix(tt.name, "file") {
				t.Skip("paths and modes are others")
			}
			d := with(tt.environment)
			d.Relays, d.EnvToken, d.TokenFile = tt.relays, tt.env, tt.file
			want(t, d.checkToken(), tt.state, tt.detail, tt.cure)
			if (d.Agent.Token == secret) != (tt.state != cmdline.StateFailed && tt.environment == nil && tt.name != "none needed") {
				t.Errorf("the agent's token is %q", d.Agent.Token)
			}
		})
	}
}

func TestCheckVariables(t *testing.T) {
	far := []agent.RelayURL{{Host: "relay.test", Port: "443"}}
	for _, tt := range []struct {
		name, value string
		state       cmdline.State
		detail      string
		cure        string
	}{
		{"X", "", cmdline.StateOK, "HTTPS_PROXY is not set", ""},
		{"HTTPS_PROXY", "http://user:" + secret + "@proxy.test:3128", cmdline.StateOK, "HTTPS_PROXY is http://proxy.test:3128, with a user", ""},
		{"https_proxy", "proxy.test:3128", cmdline.StateOK, "https_proxy is http://proxy.test:3128", ""},
		{"HTTPS_PROXY", "http://user:" + secret + " @proxy.test", cmdline.StateFailed, "HTTPS_PROXY is no URL", "http://host:port"},
		{"HTTPS_PROXY", "http://" + secret + "@", cmdline.StateFailed, "HTTPS_PROXY is no URL", "http://host:port"},
		{"HTTPS_PROXY", "socks5://user:" + secret + "@proxy.test:1080", cmdline.StateFailed, "scheme socks5", "NO_PROXY"},
		{"http_proxy", "http://user:" + secret + "@proxy.test", cmdline.StateWarning, "http_proxy is set", "HTTPS_PROXY"},
		{"ALL_PROXY", secret, cmdline.StateWarning, "ALL_PROXY is set", "HTTPS_PROXY"},
	} {
		d := with(map[string]string{tt.name: tt.value})
		d.Relays = far
		want(t, d.checkVariables(), tt.state, tt.detail, tt.cure)
	}
	d := with(map[string]string{"HTTPS_PROXY": "http://proxy.test", "no_proxy": "relay.test"})
	want(t, d.checkVariables(), cmdline.StateOK, "http://proxy.test; no_proxy exempts relay.test", "")
}

func TestCheckInside(t *testing.T) {
	for _, tt := range []struct {
		note  string
		err   error
		state cmdline.State
		cure  string
	}{
		{"", nil, cmdline.StateOK, ""},
		{"port 7070 is taken", nil, cmdline.StateWarning, "end what listens there"},
		{"", os.ErrPermission, cmdline.StateFailed, "--relay"},
	} {
		d := with(nil)
		d.Inside = func() (string, error) { return tt.note, tt.err }
		want(t, d.checkInside(), tt.state, tt.note, tt.cure)
	}
}
