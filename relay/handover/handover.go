// Package handover is what two processes of a relay say to each other while the
// new one takes the old one's place.
//
// The new process connects to the old one's socket for operators, and asks there
// to change from HTTP to this protocol. Then each sends messages in turn, a JSON
// object on a line each:
//
//	new  want       it has read its flags and its files
//	old  offer      where it listens, with the descriptors: both have them now
//	new  listening  it listens at all its addresses, new ones too
//	old  lent       its store is closed; calls of the store wait, visitors do not
//	new  ready      it has opened the store and read it
//	old  held       the names that agents hold, some in each message
//	old  go         it opens nothing any more: the new process is the relay
//
// Either says failed, and why, where it would have gone on; the connection's end
// means the same. Until go the old process serves as before and the new one takes
// no connection, so that whatever fails leaves the old one in its place: a flag
// or a file is wrong before it is even asked, an address is in use before it
// closes anything, and a store that the new process cannot read, or does not
// return within Patience, is opened again. The new process has closed it by
// then, as it must not go on without a go. The last message is the old
// process's, since nobody can be sure that the last one has arrived: once it
// is sent nothing is left to fail but the new process itself, for which the old
// one could do no more than for any relay that ends.
//
// Then the old process stops accepting, tells its agents to move, and lets what
// is open end. The listeners are the same sockets in both processes: who connects
// meanwhile waits in their queue, and is not turned away.
package handover

import (
	"errors"
	"fmt"
	"time"

	"share/relay/route"
)

// Version is the protocol's. A relay that is older than it is knows none, and is
// not asked a second time.
const Version = 1

// Patience is how long each waits for the other's next message. A new process has
// to check the store meanwhile, which may have 256 MiB.
const Patience = 30 * time.Second

// A Step is a message's kind.
type Step string

const (
	Want      Step = "want"
	Offer     Step = "offer"
	Listening Step = "listening"
	Lent      Step = "lent"
	Ready     Step = "ready"
	Held      Step = "held"
	Go        Step = "go"
	Failed    Step = "failed"
)

// A Message is one step. Members that a process does not know are ignored.
type Message struct {
	Step    Step         `json:"step"`
	Version int          `json:"version,omitempty"` // of Want
	PID     int          `json:"pid,omitempty"`     // of Want and Offer: who says it
	Sockets []Socket     `json:"sockets,omitempty"` // of Offer, in the order of the descriptors
	Names   []route.Held `json:"names,omitempty"`   // of Held
	Reason  string       `json:"reason,omitempty"`  // of Failed
}

// A Socket is where a process listens.
type Socket struct {
	Kind string `json:"kind"`    // what the relay calls it: its flag, as a rule
	Net  string `json:"network"` // tcp, udp or unix
	Addr string `json:"address"` // as it was asked for, which may have the port 0

	// Activated says that systemd opened it, and no flag asked for it.
	Activated bool `json:"activated,omitempty"`
}

// NamesAtOnce bounds the names of one message of Held.
const NamesAtOnce = 200

// maxSockets bounds the descriptors that are passed.
const maxSockets = 32

// maxMessage bounds a message: names with owner and holder, all of it escaped.
const maxMessage = 1 << 20

// A FailedError is what the other process says of why it does not go on.
type FailedError struct{ Reason string }

func (e *FailedError) Error() string { return e.Reason }

var (
	// ErrNoRelay means that nobody listens at the socket.
	ErrNoRelay = errors.New("no relay runs there")

	// ErrTooOld means that the relay knows no handover.
	ErrTooOld = errors.New("the relay that runs is of a version that cannot be replaced in place")

	// ErrEnding means that the relay has been told to stop, or that another
	// process has just taken its place.
	ErrEnding = errors.New("the relay that runs is about to end")

	// ErrUnsupported means that this system cannot pass a listener on.
	ErrUnsupported = errors.New("on this system a relay cannot be replaced in place")

	errEnded = errors.New("the other process has ended")
)

// want returns what is wrong with a message where one of step is due.
func (m *Message) want(step Step) error {
	switch {
	case m.Step == Failed:
		return &FailedError{fmt.Sprintf("%.300s", m.Reason)}
	case m.Step != step:
		return fmt.Errorf("the other process says %.20q where %q is due", m.Step, step)
	case len(m.Sockets) > maxSockets || len(m.Names) > NamesAtOnce:
		return fmt.Errorf("the other process says too much in one %q", step)
	}
	return nil
}
