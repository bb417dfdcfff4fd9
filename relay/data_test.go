package relay

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"share/relay/admin"
	"share/tunnel"
)

// A data folder is for its user alone, and for one relay.
func TestData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	d, err := OpenData(dir)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		for name, want := range map[string]os.FileMode{"": 0o700, "relay.db": 0o600, "admin.sock": 0o600} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != want {
				t.Errorf("%q has mode %v, want %v", name, info.Mode().Perm(), want)
			}
		}
	}
	if _, err := OpenData(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	if conn, err := net.Dial("unix", SocketPath(dir)); err != nil {
		t.Errorf("after the second try nobody listens: %v", err)
	} else {
		conn.Close()
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}

	// A relay that was killed leaves its socket.
	stale, err := net.Listen("unix", SocketPath(dir))
	if err != nil {
		if err := os.Remove(SocketPath(dir)); err != nil {
			t.Fatal(err)
		}
		if stale, err = net.Listen("unix", SocketPath(dir)); err != nil {
			t.Fatal(err)
		}
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	if d, err = OpenData(dir); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestBadData(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	corrupt, shared := t.TempDir(), t.TempDir()
	if err := errors.Join(os.Chmod(corrupt, 0o700), os.Chmod(shared, 0o750)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(corrupt, "relay.db"), []byte(strings.Repeat("no database ", 4096)), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := map[string]string{
		"a file":      file,
		"below one":   filepath.Join(file, "x"),
		"a long path": filepath.Join(t.TempDir(), strings.Repeat("x", 200)),
		"a bad store": corrupt,
	}
	if runtime.GOOS != "windows" {
		bad["one that others read"] = shared
	}
	for name, dir := range bad {
		if d, err := OpenData(dir); err == nil {
			d.Close()
			t.Errorf("%s is opened", name)
		}
	}
}

// The operator's commands reach a relay that serves, and what they do is felt
// by agents.
func TestAdmin(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	d, err := OpenData(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	s := serve(t, Config{Accounts: d.Accounts, Admin: d.Admin}, nil, doorHTTP)
	operator := admin.NewClient(SocketPath(dir))
	made, err := operator.CreateToken(t.Context(), admin.NewToken{Account: "ci", Seconds: 3600})
	if err != nil || made.Expires.IsZero() {
		t.Fatalf("%+v, %v", made, err)
	}
	if tokens, err := operator.Tokens(t.Context()); err != nil || len(tokens) != 1 || tokens[0].ID != made.ID {
		t.Errorf("%+v, %v", tokens, err)
	}
	ag, err := connect(t, s.dial(doorHTTP), tunnel.Hello{Token: made.Secret}, say("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := ag.bind(tunnel.Bind{ID: 1, Name: "x"}).(*tunnel.Bound); !ok {
		t.Fatal("not bound")
	}
	if err := operator.ReserveName(t.Context(), "kept", "web"); err != nil {
		t.Error(err)
	}
	names, err := operator.Names(t.Context())
	if err != nil || len(names) != 2 || !names[0].Reserved || names[1].Agent == "" || names[1].Account != "ci" {
		t.Errorf("%+v, %v", names, err)
	}
	if no, ok := ag.bind(tunnel.Bind{ID: 2, Name: "kept"}).(*tunnel.BindError); !ok || no.Code != tunnel.RejectTaken {
		t.Errorf("the reserved name: %+v", no)
	}
	if err := operator.KickTunnel(t.Context(), "x"); err != nil {
		t.Error(err)
	}
	if u, ok := ag.receive().(*tunnel.Unbind); !ok || u.Code != tunnel.RejectKicked || !strings.Contains(u.Message, "operator") {
		t.Errorf("%+v", u)
	}
	if released, err := operator.ReleaseName(t.Context(), "kept"); err != nil || released.Held {
		t.Errorf("%+v, %v", released, err)
	}
	if t2, err := operator.RevokeToken(t.Context(), made.ID); err != nil || t2.Account != "ci" {
		t.Errorf("%+v, %v", t2, err)
	}
	for name, err := range map[string]error{
		"revoke":  second(operator.RevokeToken(t.Context(), made.ID)),
		"release": second(operator.ReleaseName(t.Context(), "kept")),
		"kick":    operator.KickTunnel(t.Context(), "nobody"),
	} {
		if refused, ok := errors.AsType[*admin.RefusedError](err); !ok || refused.Status != 404 || refused.Invalid() {
			t.Errorf("%s of what there is not: %v", name, err)
		}
	}
	s.stop()
	await(t, s.ended, "Serve")
	if _, err := operator.Tokens(t.Context()); !errors.Is(err, admin.ErrNoRelay) {
		t.Errorf("a relay that has ended: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
