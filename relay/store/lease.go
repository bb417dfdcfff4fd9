package store

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// endBatch is how many leases end in one commit at most.
	endBatch = 128

	// endPause is how long the expirer waits after a commit that failed, as
	// on a full disk.
	endPause = time.Second

	// endIdle is how long it waits when there is no lease.
	endIdle = time.Hour
)

// leases are those that are held, with their time. A file has only their ttl:
// a deadline counts the process's own monotonic clock, so a wall clock that is
// set does not end a lease early or late, and renewing writes nothing. The time
// of a machine's sleep does not count, nor does that between two processes: a
// lease has its whole ttl again when the store is opened. A relay that is
// restarted again and again within a ttl keeps it for so long.
type leases struct {
	mu   sync.Mutex
	held map[Lease]*term // guarded by mu
	next time.Time       // when the expirer looks again; guarded by mu
}

// A term is the time of a lease.
type term struct {
	ttl      time.Duration
	deadline time.Time // with a monotonic reading
	ended    bool      // for good, though its entries may still be there
}

// Grant is Store's.
func (b *Bolt) Grant(ctx context.Context, ttl time.Duration) (Lease, error) {
	if err := checkTTL(ttl); err != nil {
		return 0, err
	}
	var l Lease
	_, err := b.change(ctx, false, func(tx *bolt.Tx, _ *state) (_ []Event, err error) {
		if l, err = b.leases.unused(); err != nil {
			return nil, err
		}
		key := leaseKey(l)
		return nil, bucket(tx, bucketLeases).Put(key, seal(key, nil, int64(ttl)))
	})
	if err != nil {
		return 0, err
	}
	if b.leases.add(l, ttl) {
		b.rouse()
	}
	return l, nil
}

// Renew is Store's.
func (b *Bolt) Renew(ctx context.Context, l Lease) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	return b.leases.renew(l)
}

// Revoke is Store's.
func (b *Bolt) Revoke(ctx context.Context, l Lease) error {
	if err := b.begin(ctx); err != nil {
		return err
	}
	if err := b.leases.stop(l); err != nil {
		return err
	}
	err := b.end(ctx, []Lease{l})
	if err != nil {
		b.rouse()
	}
	return err
}

// expire ends leases whose time is over, until the store is closed.
func (b *Bolt) expire() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-b.closed:
			return
		case <-b.wake:
		case <-timer.C:
		}
		over, wait := b.leases.over()
		if len(over) > 0 {
			if err := b.end(context.Background(), over); err != nil { // Close ends it too
				wait = endPause
			}
		}
		timer.Reset(wait)
	}
}

// rouse tells the expirer that there is something new.
func (b *Bolt) rouse() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// end removes leases that have ended, and their entries, in one commit. What is
// gone already is no error.
func (b *Bolt) end(ctx context.Context, list []Lease) error {
	_, err := b.change(ctx, true, func(tx *bolt.Tx, s *state) ([]Event, error) {
		var events []Event
		for _, l := range list {
			key := leaseKey(l)
			for _, k := range under(bucket(tx, bucketLeased), key) {
				e, changed, err := write(tx, Write{Key: string(k[len(key):]), Delete: true}, s)
				if err != nil {
					return nil, err
				}
				if changed {
					events = append(events, e)
				}
			}
			if err := bucket(tx, bucketLeases).Delete(key); err != nil {
				return nil, err
			}
		}
		return events, nil
	})
	if err == nil {
		b.leases.remove(list)
	}
	return err
}

// unused returns a number that no lease has.
func (s *leases) unused() (Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) >= MaxLeases {
		return 0, fmt.Errorf("store: there are %d leases, which is the most", MaxLeases)
	}
	for {
		l := Lease(rand.Int64N(math.MaxInt64) + 1)
		if s.held[l] == nil {
			return l, nil
		}
	}
}

// replace makes held all leases that there are.
func (s *leases) replace(held map[Lease]*term) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = held
}

// add begins the time of l. It reports whether that ends before the expirer
// looks again.
func (s *leases) add(l Lease, ttl time.Duration) bool {
	deadline := time.Now().Add(ttl)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[l] = &term{ttl: ttl, deadline: deadline}
	return deadline.Before(s.next)
}

// lives reports whether l has time left.
func (s *leases) lives(l Lease) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[l].lives(time.Now())
}

func (t *term) lives(now time.Time) bool {
	return t != nil && !t.ended && now.Before(t.deadline)
}

func (s *leases) renew(l Lease) error {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.held[l]
	if !t.lives(now) {
		return fmt.Errorf("%w: lease", ErrNotFound)
	}
	t.deadline = now.Add(t.ttl)
	return nil
}

// stop ends l for good.
func (s *leases) stop(l Lease) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.held[l]
	if !t.lives(time.Now()) {
		return fmt.Errorf("%w: lease", ErrNotFound)
	}
	t.ended = true
	return nil
}

// over returns leases without time left, which are ended for good now, and when
// the next will be.
func (s *leases) over() (list []Lease, wait time.Duration) {
	now := time.Now()
	wait = endIdle
	s.mu.Lock()
	defer s.mu.Unlock()
	for l, t := range s.held {
		if t.lives(now) {
			wait = min(wait, t.deadline.Sub(now))
			continue
		}
		t.ended = true
		if list = append(list, l); len(list) == endBatch {
			break
		}
	}
	if len(list) > 0 {
		wait = 0 // then it has not looked at all
	}
	s.next = now.Add(wait)
	return list, wait
}

func (s *leases) remove(list []Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range list {
		delete(s.held, l)
	}
}
