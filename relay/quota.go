package relay

import (
	"sync"

	"share/relay/account"
	"share/tunnel"
)

// A quotas keeps the quota of each token that has one, for all of its sessions.
// One that is used up outlives the last of them: else an agent that comes back
// would find a new one.
type quotas struct {
	mu   sync.Mutex
	held map[string]*quota // guarded by mu; by the token's ID
}

type quota struct {
	*tunnel.Quota
	sessions int // guarded by quotas.mu
}

// take returns the quota of a token's next session, nil if it has none.
func (q *quotas) take(t *account.Token) *tunnel.Quota {
	fresh := tunnel.NewQuota(tunnel.Limits{Exchanges: t.MaxExchanges, Requests: t.RequestsPerSecond, Bytes: t.BytesPerSecond})
	if fresh == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	known := q.held[t.ID]
	if known == nil {
		if q.held == nil {
			q.held = make(map[string]*quota)
		}
		known = &quota{Quota: fresh}
		q.held[t.ID] = known
	}
	known.sessions++
	return known.Quota
}

// release is told of the end of a session that take was called for.
func (q *quotas) release(t *account.Token) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if known := q.held[t.ID]; known != nil {
		known.sessions--
	}
}

// sweep forgets the quotas that no session has and that are unused again.
func (q *quotas) sweep() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, known := range q.held {
		if known.sessions == 0 && !known.Used() {
			delete(q.held, id)
		}
	}
}
