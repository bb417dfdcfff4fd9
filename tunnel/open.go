package tunnel

import (
	"context"
	"fmt"
	"slices"
)

// Open begins an exchange on the lane that has least to do; the caller closes
// it. It ends with ctx. A failure's NotProcessed is always set.
func (s *Session) Open(ctx context.Context) (*Exchange, error) {
	s.live.Add(1)
	x, err := s.open(ctx)
	if err != nil {
		s.leave()
		return nil, err
	}
	return x, nil
}

// open is Open for an exchange that is counted.
func (s *Session) open(ctx context.Context) (*Exchange, error) {
	if s.draining.Load() {
		return nil, &Failure{Cause: Draining, NotProcessed: true}
	}
	if s.Quota == nil {
		return s.openLane(ctx)
	}
	if f := s.Quota.begin(); f != nil {
		return nil, f
	}
	x, err := s.openLane(ctx)
	if err != nil {
		s.Quota.end()
	}
	return x, err
}

// openLane opens an exchange on a lane. If that dies meanwhile, another is taken.
func (s *Session) openLane(ctx context.Context) (*Exchange, error) {
	if s.crammed() {
		return nil, &Failure{Cause: Overload, NotProcessed: true, Detail: "too much waits for visitors who do not read"}
	}
	lost := error(&Failure{Cause: LinkLost, NotProcessed: true, Detail: "the session has ended"})
	for {
		l := s.pick()
		if l == nil {
			return nil, lost
		}
		if l.live.Add(1) > maxLive {
			l.live.Add(-1)
			return nil, &Failure{Cause: Overload, NotProcessed: true, Detail: fmt.Sprintf("%d exchanges are open", maxLive)}
		}
		x, err := l.open(ctx)
		if err == nil {
			return x, nil
		}
		l.live.Add(-1)
		if !l.mux.IsClosed() || ctx.Err() != nil {
			return nil, err
		}
		lost = err
	}
}

// bulkWeight is how many small exchanges a bulk one counts for when a lane is
// picked, and how many must be open before an idle lane is that joined on
// demand: each lane writes and reads by itself, so that the same requests over
// two cost a quarter more than over one.
const bulkWeight = 256

// pick returns the live lane with the least to do, or nil.
func (s *Session) pick() *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	var best *lane
	least := int32(0)
	for _, l := range s.lanes {
		if l.closing() {
			continue
		}
		load := l.live.Load() + bulkWeight*l.bulk.Load()
		if l.onDemand {
			load += bulkWeight
		}
		if best == nil || load < least {
			best, least = l, load
		}
	}
	return best
}

// Crowded tells an agent that large bodies go over each of its lanes: small
// exchanges need another to pass them by.
func (s *Session) Crowded() <-chan struct{} { return s.crowded }

// crowd is called when a lane has got a large body to carry.
func (s *Session) crowd() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.lanes, func(l *lane) bool { return l.bulk.Load() == 0 }) {
		return
	}
	select {
	case s.crowded <- struct{}{}:
	default:
	}
}

// leave ends what Open or an agent's exchange began.
func (s *Session) leave() {
	if s.live.Add(-1) == 0 && s.draining.Load() {
		s.calm.Do(func() { close(s.quiet) })
	}
}
