package local

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Type() != fs.ModeSocket || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want a socket with 0600", info.Mode())
	}
	if _, err := os.Lstat(Unborn(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the name it was made under: %v", err)
	}
}

func TestListenFails(t *testing.T) {
	dir := t.TempDir()
	full := filepath.Join(dir, "full")
	if err := os.MkdirAll(filepath.Join(full, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		full: "socket " + full + ": ",
		filepath.Join(dir, strings.Repeat("a", MaxPath)): "more than 102 bytes",
		filepath.Join(dir, "none", "a"):                  "no such file",
	} {
		ln, err := Listen(path)
		if err == nil {
			ln.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		if _, err := os.Lstat(Unborn(path)); err == nil {
			t.Errorf("%s: the socket it was made under is left", path)
		}
	}
}

// TestServeEnds shows what Serve's caller relies on: it leaves first, answers what
// is under way, and returns when no handler runs.
func TestServeEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	asked, left := make(chan struct{}), make(chan struct{})
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-left
		io.WriteString(w, "done")
	})}
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, srv, ln, func(context.Context) { close(left) }) }()
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	defer client.CloseIdleConnections()
	go func() {
		<-asked
		cancel()
	}()
	resp, err := client.Get("http://share/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "done" {
		t.Errorf("%q, %v", body, err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	late := &answer{}
	srv.Handler.ServeHTTP(late, nil)
	if late.status != http.StatusServiceUnavailable {
		t.Errorf("what comes late is answered with %d", late.status)
	}
}

// TestServeFails shows that Serve says why its listener failed, after it left.
func TestServeFails(t *testing.T) {
	ln, err := Listen(filepath.Join(t.TempDir(), "a.sock"))
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	left := 0
	if err := Serve(t.Context(), &http.Server{}, ln, func(context.Context) { left++ }); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v, want %v", err, net.ErrClosed)
	}
	if left != 1 {
		t.Errorf("left %d times", left)
	}
}

// An answer keeps a response's status.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) { a.status = status }
