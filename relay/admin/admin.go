// Package admin is how operators look after a running relay: an API of JSON
// over HTTP, at a socket that only they can open, and its client.
//
//	POST   /v1/tokens         NewToken; answers with MadeToken
//	GET    /v1/tokens         [Token]
//	DELETE /v1/tokens/ID      answers with the Token
//	POST   /v1/trusts         NewTrust; answers with the Trust
//	GET    /v1/trusts         [Trust]
//	DELETE /v1/trusts/ID      answers with the Trust
//	GET    /v1/names          [Status]
//	PUT    /v1/names/NAME     Reservation
//	DELETE /v1/names/NAME     answers with Released
//	DELETE /v1/tunnels/NAME   ends the session that holds it
//	GET    /v1/backup         all that the relay keeps, in lines of JSON
//
// Bodies of requests have 64 KiB at most. A refusal is an application/problem+json (RFC
// 9457) whose detail says why: 400 for what can never be, 404 for what there is
// not, 409 for what cannot be as things are.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"share/relay/account"
	"share/relay/route"
)

const (
	// maxBody bounds a request's body.
	maxBody = 64 << 10

	// headTimeout bounds a request's head, callTimeout all of a request.
	headTimeout = 5 * time.Second
	callTimeout = 30 * time.Second

	// backupTimeout bounds a backup, which may have to go over a slow line.
	backupTimeout = 10 * time.Minute
)

// A Relay is what is looked after.
type Relay struct {
	Accounts *account.Accounts
	Names    *route.Registry
}

// NewToken asks for a token. Its fields are those of account.Token.
type NewToken struct {
	Account    string   `json:"account"`
	Names      []string `json:"names,omitempty"`
	Seconds    int64    `json:"expires_in_seconds,omitempty"` // if zero, it never expires
	MaxTunnels int      `json:"max_tunnels,omitempty"`
}

// MadeToken is a new token. Its secret is shown this once.
type MadeToken struct {
	account.Token
	Secret string `json:"secret"`
}

// Reservation says whom a name is kept for.
type Reservation struct {
	Account string `json:"account"`
}

// Released says what became of a name. While an agent holds it, and for a day
// after, it is still its account's.
type Released struct {
	Held bool `json:"held"`
}

// problem is how a refusal looks.
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

// Serve answers at ln, which it closes, until ctx ends, and returns after all
// that it started has ended: nil, or why ln failed.
func Serve(ctx context.Context, ln net.Listener, r *Relay) error {
	var under sync.RWMutex // held by each command that is carried out
	handler := r.handler()
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if !under.TryRLock() {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			defer under.RUnlock()
			handler.ServeHTTP(w, req)
		}),
		ReadHeaderTimeout: headTimeout,
		ReadTimeout:       callTimeout,
		WriteTimeout:      callTimeout,
		MaxHeaderBytes:    maxBody,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastCall)
		defer cancel()
		if srv.Shutdown(last) != nil {
			srv.Close()
		}
	})
	err := srv.Serve(ln)
	if stop() {
		srv.Close()
		close(ended)
	}
	<-ended
	under.Lock() // for good: what comes late is refused
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// lastCall is how long commands under way may take to be answered once ctx has
// ended.
const lastCall = time.Second

func (r *Relay) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/tokens", r.createToken)
	mux.HandleFunc("GET /v1/tokens", func(w http.ResponseWriter, req *http.Request) {
		reply(w)(r.Accounts.Tokens(req.Context()))
	})
	mux.HandleFunc("DELETE /v1/tokens/{id}", func(w http.ResponseWriter, req *http.Request) {
		reply(w)(r.Accounts.Revoke(req.Context(), req.PathValue("id")))
	})
	mux.HandleFunc("GET /v1/names", func(w http.ResponseWriter, _ *http.Request) {
		reply(w)(r.Names.List(), nil)
	})
	mux.HandleFunc("PUT /v1/names/{name}", func(w http.ResponseWriter, req *http.Request) {
		var wish Reservation
		err := read(w, req, &wish)
		if err == nil {
			err = r.Names.Reserve(req.Context(), req.PathValue("name"), wish.Account)
		}
		reply(w)(wish, err)
	})
	mux.HandleFunc("DELETE /v1/names/{name}", func(w http.ResponseWriter, req *http.Request) {
		held, err := r.Names.Release(req.Context(), req.PathValue("name"))
		reply(w)(Released{held}, err)
	})
	mux.HandleFunc("DELETE /v1/tunnels/{name}", func(w http.ResponseWriter, req *http.Request) {
		reply(w)(struct{}{}, r.Names.Kick(req.PathValue("name")))
	})
	mux.HandleFunc("GET /v1/backup", r.backup)
	r.handleTrusts(mux)
	return mux
}

func (r *Relay) createToken(w http.ResponseWriter, req *http.Request) {
	var wish NewToken
	if err := read(w, req, &wish); err != nil {
		reply(w)(nil, err)
		return
	}
	t := account.Token{Account: wish.Account, Names: wish.Names, MaxTunnels: wish.MaxTunnels}
	switch {
	case wish.Seconds < 0 || wish.Seconds > maxSeconds:
		reply(w)(nil, &account.InvalidError{Reason: fmt.Sprintf("a token lasts for %d seconds at most", maxSeconds)})
		return
	case wish.Seconds > 0:
		t.Expires = time.Now().UTC().Add(time.Duration(wish.Seconds) * time.Second).Truncate(time.Second)
	}
	secret, t, err := r.Accounts.Create(req.Context(), t)
	reply(w)(MadeToken{t, secret}, err)
}

// maxSeconds is how long a token lasts that expires at all: 100 years.
const maxSeconds int64 = 100 * 365 * 24 * 60 * 60

// read takes a request's body.
func read(w http.ResponseWriter, req *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return &account.InvalidError{Reason: "the request's body: " + err.Error()}
	}
	if d.Decode(new(struct{})) != io.EOF {
		return &account.InvalidError{Reason: "the request's body: more than one value"}
	}
	return nil
}

// reply returns what answers with a value or, if there is one, an error.
func reply(w http.ResponseWriter) func(any, error) {
	return func(v any, err error) {
		status, kind := http.StatusOK, "application/json"
		if err != nil {
			status, kind = statusOf(err), "application/problem+json"
			v = problem{status, http.StatusText(status), err.Error()}
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		// An error is the client's loss.
		_ = json.NewEncoder(w).Encode(v)
	}
}

func statusOf(err error) int {
	if _, ok := errors.AsType[*account.InvalidError](err); ok {
		return http.StatusBadRequest
	}
	if _, ok := errors.AsType[*account.ConflictError](err); ok {
		return http.StatusConflict
	}
	if errors.Is(err, account.ErrUnknown) {
		return http.StatusNotFound
	}
	return http.StatusInternalServerError
}
