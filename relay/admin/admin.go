// Package admin is how operators look after a running relay: an API of JSON
// over HTTP, at a socket that only they can open, and its client. The same API
// is served to operators from elsewhere who have a token, and with it what is
// read by programs that watch the relay.
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
//	GET    /v1/domains        [domain.Status]
//	PUT    /v1/domains/DOMAIN NewDomain; answers with the domain.Status
//	DELETE /v1/domains/DOMAIN answers with the account.Domain
//	GET    /v1/backup         all that the relay keeps, in lines of JSON
//	POST   /v1/replacement    changes to the protocol of package handover
//
// Bodies of requests have 64 KiB at most. A refusal is an
// application/problem+json (RFC 9457) whose detail says why: 400 for what can
// never be, 404 for what there is not, 409 for what cannot be as things are.
// 503 means that nothing was done, as another process has just taken the relay's
// place: the same call reaches that. openapi.json says all that in full.
package admin

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"share/relay/account"
	"share/relay/domain"
	"share/relay/handover"
	"share/relay/meter"
	"share/relay/route"
	"share/tunnel/local"
)

const (
	// maxBody bounds a request's body.
	maxBody = 64 << 10

	// headTimeout bounds a request's head, callTimeout all of a request, and an
	// answer whose handler does not say otherwise.
	headTimeout = 5 * time.Second
	callTimeout = 30 * time.Second

	// backupTimeout bounds a backup, which may have to go over a slow line, and
	// stallTimeout the wait for some of it to be taken: the store that is read
	// cannot go to another process meanwhile, who waits for half a minute.
	backupTimeout = 10 * time.Minute
	stallTimeout  = 10 * time.Second
)

// A Relay is what is looked after.
type Relay struct {
	Accounts *account.Accounts
	Names    *route.Registry
	Domains  *domain.Domains

	// Meter is what the relay counts with, State what it does now. Only
	// ServeRemote asks them.
	Meter *meter.Meter
	State func() State

	// Version is the program's version.
	Version string

	// Note is told what operators from elsewhere do, and who is not let in.
	// If nil, nobody is.
	Note func(Event)

	// Replace takes the wish of another process to take the relay's place. It
	// calls accept, which changes from HTTP to what package handover says, or
	// returns why it does not. If nil, the relay cannot be replaced.
	Replace func(accept func() (*handover.Conn, error)) error
}

// State is what a relay does at a moment.
type State struct {
	Sessions int  // of agents
	Lanes    int  // of all sessions
	Open     int  // exchanges under way
	Draining bool // nothing new is taken

	// Stalls is how often a link took longer than a second for what it was
	// given, since the relay's start.
	Stalls uint64

	// Expiry is when the first of the certificates ends that visitors are
	// shown. Zero if there is none.
	Expiry time.Time

	// MemoryBudget is how many bytes the relay may take before it refuses new
	// exchanges. Zero if there is no such bound.
	MemoryBudget int64

	// AccessDropped is how many lines the access log has lost.
	AccessDropped uint64
}

// Serve answers the API at ln, which it closes, until ctx ends, and returns
// after all that it started has ended: nil, or why ln failed. Who can connect
// may do all.
func Serve(ctx context.Context, ln net.Listener, r *Relay) error {
	return serve(ctx, ln, r.handler())
}

// handler is the API for who may do all.
func (r *Relay) handler() http.Handler {
	mux := http.NewServeMux()
	for _, e := range r.api() {
		mux.HandleFunc(e.pattern, e.serve)
	}
	if r.Replace != nil {
		mux.HandleFunc("POST "+handover.Path, r.replace)
	}
	return mux
}

// serve is Serve for any handler.
func serve(ctx context.Context, ln net.Listener, handler http.Handler) error {
	var open atomic.Int64 // connections
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headTimeout,
		ReadTimeout:       callTimeout,
		WriteTimeout:      callTimeout,
		MaxHeaderBytes:    maxBody,
		ErrorLog:          log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed, http.StateHijacked:
				open.Add(-1)
			}
		},
	}
	return local.Serve(ctx, srv, ln, func(last context.Context) {
		// Shutdown drops commands whose connection has just been accepted: the
		// listener may be another process's, too, and who calls then must not
		// find nobody.
		ln.Close()
		settle(last, &open)
	})
}

// settle returns when no connection is open, or ctx ends.
func settle(ctx context.Context, open *atomic.Int64) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for open.Load() > 0 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
