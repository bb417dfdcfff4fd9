package admin

import (
	"net/http"

	"share/relay/account"
	"share/relay/handover"
)

// replace takes the wish of a process to take the relay's place.
func (r *Relay) replace(w http.ResponseWriter, req *http.Request) {
	if !handover.Asks(req) {
		reply(w, nil, &account.InvalidError{Reason: "what takes the relay's place is share relay --replace"})
		return
	}
	hijacked := false
	err := r.Replace(func() (*handover.Conn, error) {
		hijacked = true
		return handover.Accept(w)
	})
	if err != nil && !hijacked {
		reply(w, nil, err)
	}
}
