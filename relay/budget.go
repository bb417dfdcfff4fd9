package relay

import (
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"share/tunnel"
)

const (
	// otherDescriptors are kept for what is no connection: doors, the store,
	// the log.
	otherDescriptors = 32

	// One of spareOf descriptors, leastSpare to mostSpare of them, are for
	// telling those for whom there is no room.
	spareOf    = 8
	leastSpare = 16
	mostSpare  = 512

	// overloadPause is how long agents stay away for whom there is no room.
	overloadPause = 5 * time.Second

	// fullEvery is how often the log says that there is no room.
	fullEvery = 10 * time.Second
)

var (
	errMemory      = errors.New("the memory budget is used up")
	errDescriptors = errors.New("descriptors are used up")
	errAddress     = errors.New("the address has as many connections as one may")
	errStrangers   = errors.New("too many connections have not shown yet what they are for")
	errBarred      = errors.New("too many handshakes from this address have failed")
	errTold        = errors.New("too many are being told that there is no room")
)

// A budget is what the relay may use of its machine: memory, if it was told how
// much, and descriptors. When either is used up nothing new begins until some
// was given back, and what is open goes on.
type budget struct {
	connections int64 // that may be open; 0 for any number
	spare       int64 // those above, which are told that there is no room

	full atomic.Bool  // the memory is used up
	open atomic.Int64 // connections that are
	told atomic.Int64 // of them, those that are being told
	shed rate.Sometimes
}

// limit bounds connections by how many descriptors the process may have open;
// 0 if that is not bounded.
func (b *budget) limit(descriptors int64) {
	b.shed.Interval = acceptPause
	b.spare = min(max(descriptors/spareOf, leastSpare), mostSpare)
	if descriptors > 0 {
		b.connections = max(descriptors-otherDescriptors-b.spare, 1)
	}
}

// memory is why no exchange begins, nil if one may.
func (b *budget) memory() *tunnel.Failure {
	if b.full.Load() {
		return overload(errMemory)
	}
	return nil
}

// why is why nothing new begins, nil if it may.
func (b *budget) why() *tunnel.Failure {
	if b.scarce() {
		return overload(errDescriptors)
	}
	return b.memory()
}

// scarce reports whether all descriptors that there are for connections are
// taken.
func (b *budget) scarce() bool { return b.connections > 0 && b.open.Load() > b.connections }

func overload(err error) *tunnel.Failure {
	f := tunnel.Fail(tunnel.RelayOverload, err)
	f.NotProcessed = true
	return f
}

// enter counts a connection, and reports whether there is a descriptor for it,
// be it to say that there is no room. leave is called in any case.
func (b *budget) enter() bool {
	n := b.open.Add(1)
	return b.connections == 0 || n <= b.connections+b.spare
}

func (b *budget) leave() { b.open.Add(-1) }

// tell counts a connection that is told that there is no room. One too many is
// not told.
func (b *budget) tell() bool {
	return b.told.Add(1) <= b.spare
}

func (b *budget) toldSo() { b.told.Add(-1) }
