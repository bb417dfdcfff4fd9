package target

import (
	"context"
	"time"
)

// besideTimeout bounds the connect to the other loopback address: on a machine that
// has it, it takes no time.
const besideTimeout = time.Second

// beside returns the address that a target may be at that refuses connections at
// a: the other of the two loopback addresses, at the same port. It is false for any
// other than these.
func (a Address) beside() (Address, bool) {
	switch {
	case a.Path != "":
		return a, false
	case a.Host == "127.0.0.1":
		a.Host = "::1"
	case a.Host == "::1":
		a.Host = "127.0.0.1"
	default:
		return a, false
	}
	return a, true
}

// lookBeside says so if a target that has just refused a connection takes one beside
// its address: what a server calls localhost may be either. It does so at the
// second such look in a row, for a server that is about to listen at both.
// Nothing is sent there.
func (t *Target) lookBeside(ctx context.Context) {
	beside, ok := t.cfg.Address.beside()
	if !ok || t.cfg.OnSymptom == nil || t.knows(OtherLoopback) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, besideTimeout)
	defer cancel()
	c, err := t.dialer.connect(ctx, "tcp", beside.hostPort())
	if err != nil {
		t.seenBeside = false
		return
	}
	c.Close()
	if !t.seenBeside {
		t.seenBeside = true
		return
	}
	local := beside
	local.Host = "localhost"
	quoted := beside.String()
	if beside.Host == "::1" {
		quoted = "'" + quoted + "'" // which shells want for brackets
	}
	t.tell(OtherLoopback, "share it as "+quoted+" or "+local.String(), "the target listens on %s only", beside.Host)
}
