package relay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"share/relay/account"
	"share/relay/admin"
	"share/relay/store"
	"share/tunnel"
)

// A tally counts the tunnels that are open with each token that bounds them. A
// name counts once, although a session that has lost it may not have ended.
type tally struct {
	mu   sync.Mutex
	open map[string]map[string]int // guarded by mu; sessions by name, by the token's ID
}

// take counts a tunnel, and reports whether the token allows it.
func (t *tally) take(token *account.Token, name string) bool {
	if token.MaxTunnels == 0 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	names := t.open[token.ID]
	if names[name] == 0 && len(names) >= token.MaxTunnels {
		return false
	}
	if names == nil {
		names = make(map[string]int)
		if t.open == nil {
			t.open = make(map[string]map[string]int)
		}
		t.open[token.ID] = names
	}
	names[name]++
	return true
}

// release takes back what take counted.
func (t *tally) release(token *account.Token, name string) {
	if token.MaxTunnels == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	names := t.open[token.ID]
	if names[name]--; names[name] == 0 {
		delete(names, name)
	}
	if len(names) == 0 {
		delete(t.open, token.ID)
	}
}

// admitName counts a tunnel of a session, or returns why its token does not
// allow it.
func (r *Relay) admitName(s *session, name string) error {
	t := &s.token
	switch {
	case !t.MayBind(name):
		return &tunnel.BindError{Code: tunnel.RejectName, Message: "the token is for the names " + strings.Join(t.Names, ", ") + ", and not for " + name}
	case !r.tunnels.take(t, name):
		return &tunnel.BindError{Code: tunnel.RejectQuota, Message: fmt.Sprintf("the token is for %d tunnels at a time, which are open", t.MaxTunnels)}
	}
	return nil
}

// sweepEvery is how often the tokens of sessions are looked at: a session whose
// token was revoked or has expired ends so soon.
const sweepEvery = 2 * time.Second

// errRevoked is why a session ended whose token lets nobody in any more.
var errRevoked = errors.New("the token was revoked, or has expired")

// sweepTokens sweeps until ctx ends.
func (r *Relay) sweepTokens(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.sweep(ctx)
			r.quotas.sweep()
		case <-ctx.Done():
			return
		}
	}
}

// sweep ends the sessions whose token lets nobody in any more.
func (r *Relay) sweep(ctx context.Context) {
	r.mu.Lock()
	byToken := make(map[string][]*session)
	for _, s := range r.sessions {
		if id := s.token.ID; id != "" {
			byToken[id] = append(byToken[id], s)
		}
	}
	r.mu.Unlock()
	look := r.cfg.Accounts.Lives
	if r.replaced.Load() && len(byToken) > 0 {
		living, err := r.living(ctx)
		if err != nil {
			r.log.Debug("tokens cannot be looked up where the store is", "error", err.Error())
			return
		}
		look = func(_ context.Context, id string) (bool, error) { return living[id], nil }
	}
	for id, sessions := range byToken {
		lives, err := look(ctx, id)
		if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
			return // it is over, or another process's
		}
		if err != nil {
			r.log.Error("a token cannot be looked up", "token", id, "error", err.Error())
			continue
		}
		if lives {
			continue
		}
		for _, s := range sessions {
			r.wg.Go(func() { s.Fail(errRevoked) })
		}
	}
}

// living asks the process that has taken this one's place, which has the store,
// for the IDs of what lets agents in.
func (r *Relay) living(ctx context.Context) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, sweepEvery)
	defer cancel()
	successor := admin.NewClient(r.cfg.Socket)
	tokens, err := successor.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	trusts, err := successor.Trusts(ctx)
	if err != nil {
		return nil, err
	}
	living := make(map[string]bool, len(tokens)+len(trusts))
	now := time.Now()
	for _, t := range tokens {
		living[t.ID] = !t.Expired(now)
	}
	for _, t := range trusts {
		living[t.ID] = true
	}
	return living, nil
}
