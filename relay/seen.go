package relay

import (
	"context"
	"errors"
	"net"
	"time"

	"share/relay/admin"
	"share/relay/meter"
	"share/tunnel"
)

// administerRemote serves operators from elsewhere, and who watches the relay,
// until ctx ends.
func (r *Relay) administerRemote(ctx context.Context) {
	err := admin.ServeRemote(ctx, r.cfg.Remote, &admin.Relay{
		Accounts: r.cfg.Accounts, Names: r.names, Domains: r.domains,
		Meter: r.meter, State: r.state, Version: r.cfg.version(), Note: r.noteOperator,
	})
	if err != nil {
		r.log.Error("operators from elsewhere are not served any more", "error", err.Error())
	}
}

// noteOperator logs what an operator from elsewhere does.
func (r *Relay) noteOperator(e admin.Event) {
	if e.Refused != nil {
		r.log.Warn("operator refused", "client", e.Addr, "account", e.Token.Account, "method", e.Method, "path", e.Path, "error", e.Refused.Error())
		return
	}
	r.log.Info("operator", "client", e.Addr, "account", e.Token.Account, "token", e.Token.ID, "method", e.Method, "path", e.Path)
}

// state is what the relay does now.
func (r *Relay) state() admin.State {
	s := admin.State{Expiry: r.expiry(), MemoryBudget: r.cfg.Memory}
	r.mu.Lock()
	s.Draining, s.Stalls, s.Sessions = r.draining, r.stalls, len(r.sessions)
	sessions := make([]*session, 0, len(r.sessions))
	for _, x := range r.sessions {
		sessions = append(sessions, x)
	}
	r.mu.Unlock()
	for _, x := range sessions {
		s.Lanes += x.Lanes()
		s.Open += x.Live()
		s.Stalls += x.Stalls()
	}
	if r.cfg.Access != nil {
		s.AccessDropped = r.cfg.Access.Dropped()
	}
	return s
}

// expiry is when the first certificate ends that visitors are shown, zero if
// they are shown none.
func (r *Relay) expiry() (first time.Time) {
	for _, c := range r.shown {
		end := c.Expiry()
		if !end.IsZero() && (first.IsZero() || end.Before(first)) {
			first = end
		}
	}
	return first
}

// refusalOf is why a connection came to be nobody's, for the count of them. One
// that the relay itself has closed, as it stops, does not count.
func refusalOf(err error) (why meter.Refusal, counts bool) {
	if e, ok := errors.AsType[*tunnel.RejectError](err); ok {
		return meter.RefusalOf(e.Code), true
	}
	switch {
	case errors.Is(err, net.ErrClosed):
		return 0, false
	case errors.Is(err, errHeader):
		return meter.RefusedFront, true
	case errors.Is(err, errPlain):
		return meter.RefusedInsecure, true
	case errors.Is(err, errTLS), errors.Is(err, errOldTLS):
		return meter.RefusedTLS, true
	}
	return meter.RefusedSilent, true
}

// refused counts a connection that came to be nobody's.
func (r *Relay) refused(err error) {
	if why, counts := refusalOf(err); counts {
		r.meter.Refuse(why)
	}
}
