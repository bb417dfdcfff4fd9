package admin

import (
	"context"
	_ "embed" // openapi.json
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"share/relay/account"
)

// maxConns bounds the connections from elsewhere: strangers are among them. Of
// one address there are maxConnsEach, so that no stranger has all.
const (
	maxConns     = 256
	maxConnsEach = maxConns / 4
)

//go:embed openapi.json
var openAPI []byte

// An Event is what an operator from elsewhere did, or wanted to.
type Event struct {
	Addr    string // whence
	Token   account.Token
	Method  string
	Path    string
	Refused error // why it was not let in, nil if it was
}

// ServeRemote is Serve for operators from elsewhere: each shows a token, and may
// do what its role says. Health and the description of the API are anybody's. ln
// speaks TLS, if others than this machine reach it.
func ServeRemote(ctx context.Context, ln net.Listener, r *Relay) error {
	return serve(ctx, netutil.LimitListener(&crowd{Listener: ln}, maxConns), r.remoteHandler())
}

// remote is what is served to operators from elsewhere.
func (r *Relay) remote() []endpoint {
	all := r.api()
	for i := range all {
		all[i].roles = []account.Role{account.RoleAdmin}
	}
	return append(all,
		endpoint{pattern: "GET /healthz", serve: healthy},
		endpoint{pattern: "GET /readyz", serve: r.ready},
		endpoint{pattern: "GET /openapi.json", serve: describe},
		endpoint{pattern: "GET /metrics", serve: r.metrics, roles: []account.Role{account.RoleAdmin, account.RoleMetrics}},
		endpoint{pattern: "GET /debug/pprof/{profile}", serve: profile, roles: []account.Role{account.RoleAdmin}},
	)
}

func (r *Relay) remoteHandler() http.Handler {
	mux := http.NewServeMux()
	g := &guard{relay: r}
	for _, e := range r.remote() {
		mux.HandleFunc(e.pattern, func(w http.ResponseWriter, req *http.Request) {
			if e.roles == nil || g.admit(w, req, e.roles) {
				e.serve(w, req)
			}
		})
	}
	return mux
}

// healthy answers while the process does.
func healthy(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok\n") }

// ready answers whether to send new visitors and agents here.
func (r *Relay) ready(w http.ResponseWriter, _ *http.Request) {
	if r.State().Draining {
		say(w, http.StatusServiceUnavailable, "draining\n")
		return
	}
	say(w, http.StatusOK, "ready\n")
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// An error is the client's loss.
	_, _ = io.WriteString(w, text)
}

func describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	// As in say.
	_, _ = w.Write(openAPI)
}

// A guard lets operators from elsewhere in.
type guard struct {
	relay    *Relay
	failures failures
}

var (
	errNoToken = &refusal{http.StatusUnauthorized, "no token was given: send Authorization: Bearer TOKEN"}
	errAsked   = &refusal{http.StatusTooManyRequests, "too many tokens from here were wrong: wait a minute"}
	errAgent   = &refusal{http.StatusForbidden, "the token is an agent's, and no operator's"}
	errRole    = &refusal{http.StatusForbidden, "the token's role does not allow that"}
)

// admit reports whether a request's token has one of roles. It answers one that
// has not.
func (g *guard) admit(w http.ResponseWriter, req *http.Request, roles []account.Role) bool {
	addr := addrOf(req.RemoteAddr)
	token, err := g.authenticate(req, addr, roles)
	if err != nil {
		switch status := statusOf(err); {
		case status == http.StatusUnauthorized:
			g.failures.note(addr, time.Now())
			w.Header().Set("WWW-Authenticate", `Bearer realm="share relay"`)
		case errors.Is(err, errAgent):
			g.failures.note(addr, time.Now())
		case status == http.StatusTooManyRequests:
			w.Header().Set("Retry-After", "60")
		}
		reply(w, nil, err)
	}
	// A flood of what is not heard must not become one of notes.
	if g.relay.Note != nil && !errors.Is(err, errAsked) && (err != nil || req.Method != http.MethodGet) {
		g.relay.Note(Event{Addr: req.RemoteAddr, Token: token, Method: req.Method, Path: shownPath(req.URL.Path), Refused: err})
	}
	return err == nil
}

// maxPath bounds what is noted of a path: that of a domain is the longest.
const maxPath = 300

// shownPath is what is noted of a path: not a secret that was taken for its
// token's ID.
func shownPath(path string) string {
	if before, _, ok := strings.Cut(path, account.SecretPrefix); ok {
		path = before + account.SecretPrefix + "..."
	}
	return path[:min(len(path), maxPath)]
}

func (g *guard) authenticate(req *http.Request, addr netip.Addr, roles []account.Role) (account.Token, error) {
	if !g.failures.allow(addr, time.Now()) {
		return account.Token{}, errAsked
	}
	scheme, secret, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return account.Token{}, errNoToken
	}
	token, err := g.relay.Accounts.AuthenticateOperator(req.Context(), strings.TrimSpace(secret))
	switch {
	case errors.Is(err, account.ErrToken), errors.Is(err, account.ErrMistyped), errors.Is(err, account.ErrExpired):
		return account.Token{}, &refusal{http.StatusUnauthorized, err.Error()}
	case errors.Is(err, account.ErrRole):
		return account.Token{}, errAgent
	case err != nil:
		return account.Token{}, err
	case !slices.Contains(roles, token.Role):
		return token, errRole
	}
	return token, nil
}

// addrOf is the address of a peer.
func addrOf(peer string) netip.Addr {
	ap, _ := netip.ParseAddrPort(peer) // what is none is the zero address
	return ap.Addr().Unmap().WithZone("")
}
