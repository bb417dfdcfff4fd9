package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"time"

	"share/relay/account"
	"share/relay/domain"
	"share/relay/handover"
	"share/relay/route"
	"share/relay/store"
)

// An endpoint is one thing that can be asked for. The openapi.json has each, and
// each field of what it takes and answers with.
type endpoint struct {
	pattern string         // of http.ServeMux
	in, out reflect.Type   // what its JSON is made of, nil if there is none
	roles   []account.Role // of tokens that it wants; if nil, it wants none
	serve   http.HandlerFunc
}

// answers makes an endpoint of a function that answers with a value.
func answers[Out any](pattern string, do func(*http.Request) (Out, error)) endpoint {
	return endpoint{pattern: pattern, out: reflect.TypeFor[Out](), serve: func(w http.ResponseWriter, req *http.Request) {
		out, err := do(req)
		reply(w, out, err)
	}}
}

// takes is answers for a function that takes a value as well.
func takes[In, Out any](pattern string, do func(*http.Request, In) (Out, error)) endpoint {
	return endpoint{pattern: pattern, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](), serve: func(w http.ResponseWriter, req *http.Request) {
		var in In
		var out Out
		err := read(w, req, &in)
		if err == nil {
			out, err = do(req, in)
		}
		reply(w, out, err)
	}}
}

// NewToken asks for a token. Its fields are those of account.Token.
type NewToken struct {
	Account    string       `json:"account"`
	Role       account.Role `json:"role,omitempty"`
	Names      []string     `json:"names,omitempty"`
	Seconds    int64        `json:"expires_in_seconds,omitempty"` // if zero, it never expires
	MaxTunnels int          `json:"max_tunnels,omitempty"`

	MaxExchanges      int   `json:"max_exchanges,omitempty"`
	RequestsPerSecond int   `json:"requests_per_second,omitempty"`
	BytesPerSecond    int64 `json:"bytes_per_second,omitempty"`
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

// NewDomain says where a domain leads.
type NewDomain struct {
	Name string `json:"name"`
}

// problem is how a refusal looks.
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

// api is what operators may do.
func (r *Relay) api() []endpoint {
	return append(r.trusts(),
		takes("POST /v1/tokens", r.createToken),
		answers("GET /v1/tokens", func(req *http.Request) ([]account.Token, error) {
			return r.Accounts.Tokens(req.Context())
		}),
		answers("DELETE /v1/tokens/{id}", func(req *http.Request) (account.Token, error) {
			return r.Accounts.Revoke(req.Context(), req.PathValue("id"))
		}),
		answers("GET /v1/names", func(*http.Request) ([]route.Status, error) {
			return r.Names.List(), nil
		}),
		takes("PUT /v1/names/{name}", func(req *http.Request, wish Reservation) (Reservation, error) {
			return wish, r.Names.Reserve(req.Context(), req.PathValue("name"), wish.Account)
		}),
		answers("DELETE /v1/names/{name}", func(req *http.Request) (Released, error) {
			held, err := r.Names.Release(req.Context(), req.PathValue("name"))
			return Released{held}, err
		}),
		answers("DELETE /v1/tunnels/{name}", func(req *http.Request) (struct{}, error) {
			return struct{}{}, r.Names.Kick(req.PathValue("name"))
		}),
		answers("GET /v1/domains", func(*http.Request) ([]domain.Status, error) {
			return r.Domains.List(), nil
		}),
		takes("PUT /v1/domains/{domain}", func(req *http.Request, wish NewDomain) (domain.Status, error) {
			return r.Domains.Add(req.Context(), req.PathValue("domain"), wish.Name)
		}),
		answers("DELETE /v1/domains/{domain}", func(req *http.Request) (account.Domain, error) {
			return r.Domains.Remove(req.Context(), req.PathValue("domain"))
		}),
		endpoint{pattern: "GET /v1/backup", serve: r.backup},
	)
}

func (r *Relay) createToken(req *http.Request, wish NewToken) (MadeToken, error) {
	t := account.Token{
		Account: wish.Account, Role: wish.Role, Names: wish.Names, MaxTunnels: wish.MaxTunnels,
		MaxExchanges: wish.MaxExchanges, RequestsPerSecond: wish.RequestsPerSecond, BytesPerSecond: wish.BytesPerSecond,
	}
	switch {
	case wish.Seconds < 0 || wish.Seconds > maxSeconds:
		return MadeToken{}, &account.InvalidError{Reason: fmt.Sprintf("a token lasts for %d seconds at most", maxSeconds)}
	case wish.Seconds > 0:
		t.Expires = time.Now().UTC().Add(time.Duration(wish.Seconds) * time.Second).Truncate(time.Second)
	}
	secret, t, err := r.Accounts.Create(req.Context(), t)
	return MadeToken{t, secret}, err
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

// reply answers with a value or, if there is one, an error.
func reply(w http.ResponseWriter, v any, err error) {
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

// A refusal is an error with a status of its own.
type refusal struct {
	status int
	detail string
}

func (r *refusal) Error() string { return r.detail }

func statusOf(err error) int {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.status
	}
	if _, ok := errors.AsType[*account.InvalidError](err); ok {
		return http.StatusBadRequest
	}
	if _, ok := errors.AsType[*account.ConflictError](err); ok {
		return http.StatusConflict
	}
	if errors.Is(err, account.ErrUnknown) {
		return http.StatusNotFound
	}
	if errors.Is(err, store.ErrClosed) || errors.Is(err, handover.ErrEnding) {
		return http.StatusServiceUnavailable // another process has it by now, or nobody soon
	}
	return http.StatusInternalServerError
}
