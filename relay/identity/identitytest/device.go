package identitytest

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"
)

// interval is what the issuer says is to be between two questions, in seconds.
const interval = 1

// A device is an agent that has asked for a code (RFC 8628).
type device struct {
	client  string
	code    string // what the user types
	secret  string // what the agent asks with
	asked   time.Time
	decided bool
	claims  map[string]any // nil if the user says no
	given   bool
}

// An answer is given in place of the issuer's own.
type answer struct {
	status int
	text   string
}

// Instead answers with text at a path from now on; what sends elsewhere has the
// place for a text.
func (i *Issuer) Instead(path string, status int, text string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.instead == nil {
		i.instead = make(map[string]answer)
	}
	i.instead[path] = answer{status, text}
}

// orInstead is next, but for what Instead says.
func (i *Issuer) orInstead(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		a, ok := i.instead[r.URL.Path]
		i.mu.Unlock()
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		if a.status >= 300 && a.status < 400 {
			w.Header().Set("Location", a.text)
		}
		w.WriteHeader(a.status)
		// An error is the client's loss.
		_, _ = io.WriteString(w, a.text)
	})
}

// Decide has the user who typed a code say yes, with the claims of the token besides
// those that every token has and aud, or no, if they are nil. It reports whether
// there is such a code.
func (i *Issuer) Decide(code string, claims map[string]any) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, d := range i.devices {
		if d.code == code {
			d.decided, d.claims = true, claims
			return true
		}
	}
	return false
}

// begin gives a code.
func (i *Issuer) begin(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := len(i.devices) + 1
	d := &device{client: r.PostFormValue("client_id"), code: fmt.Sprintf("WDJB-%04d", n), secret: fmt.Sprint("device-secret-", n)}
	i.devices = append(i.devices, d)
	reply(w, 200, map[string]any{"device_code": d.secret, "user_code": d.code, "verification_uri": i.URL + "/activate",
		"verification_uri_complete": i.URL + "/activate?code=" + d.code, "expires_in": 600, "interval": interval})
}

// ask gives a token, or says why there is none.
func (i *Issuer) ask(w http.ResponseWriter, r *http.Request) {
	d, why := i.find(r.PostFormValue("device_code"), r.PostFormValue("client_id"))
	if why != "" {
		reply(w, 400, map[string]string{"error": why, "error_description": "the issuer's own words"})
		return
	}
	claims := map[string]any{"aud": d.client}
	maps.Copy(claims, d.claims)
	reply(w, 200, map[string]string{"access_token": "x", "token_type": "Bearer", "id_token": i.Token(claims)})
}

func (i *Issuer) find(secret, client string) (d *device, why string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, d := range i.devices {
		if d.secret != secret || d.client != client {
			continue
		}
		// A little is allowed for.
		early := time.Since(d.asked) < interval*time.Second*9/10
		d.asked = time.Now()
		switch {
		case d.given:
			return nil, "invalid_grant"
		case early:
			return nil, "slow_down"
		case !d.decided:
			return nil, "authorization_pending"
		case d.claims == nil:
			return nil, "access_denied"
		}
		d.given = true
		return d, ""
	}
	return nil, "invalid_grant"
}
