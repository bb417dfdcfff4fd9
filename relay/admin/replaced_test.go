package admin

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"share/relay/account"
	"share/relay/handover"
	"share/relay/route"
	"share/relay/store"
)

// A call that comes to a process whose place another has just taken is made again.
func TestCallIsMadeAgain(t *testing.T) {
	for _, tt := range []struct{ gone, calls, status int }{{0, 1, 0}, {2, 3, 0}, {maxTries, maxTries, 503}} {
		calls := 0
		path := filepath.Join(t.TempDir(), "s")
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if calls++; calls <= tt.gone {
				reply(w, nil, store.ErrClosed)
				return
			}
			io.WriteString(w, "[]")
		}))
		srv.Listener.Close()
		srv.Listener = ln
		srv.Start()
		_, err = NewClient(path).Tokens(t.Context())
		srv.Close()
		status := 0
		if refused, ok := errors.AsType[*RefusedError](err); ok {
			status = refused.Status
		}
		if status != tt.status || status == 0 && err != nil || calls != tt.calls {
			t.Errorf("gone for %d calls: %d calls were made, %v", tt.gone, calls, err)
		}
	}
}

// What wants to take the relay's place is passed on, and nothing else is.
func TestReplacement(t *testing.T) {
	asked := 0
	r := &Relay{Names: route.NewRegistry(), Replace: func(func() (*handover.Conn, error)) error {
		asked++
		return &account.ConflictError{Reason: "another does"}
	}}
	h := r.handler()
	if w := ask(h, "POST", handover.Path, ""); w.Code != 400 || asked != 0 {
		t.Errorf("without a change of protocol: %d, asked %d", w.Code, asked)
	}
	req := httptest.NewRequest("POST", handover.Path, nil)
	req.Header.Set("Upgrade", "share-handover")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, req); w.Code != 409 || asked != 1 {
		t.Errorf("a refusal: %d, asked %d", w.Code, asked)
	}
	r.Replace = nil
	if w := ask(r.handler(), "POST", handover.Path, ""); w.Code != 404 {
		t.Errorf("a relay that cannot be replaced: %d", w.Code)
	}
}
