// Package control is how a user's commands find the agents that run, and look
// after them. Each agent answers HTTP at a unix socket of its own, which nobody but
// its user can open, in a folder of the user's. Windows, which has such sockets since
// its version 10, is no exception. There is
//
//	GET  /v1/agent   a Status
//	GET  /v1/log     the last events, a line each: as JSON with form=json, else as
//	                 logs; with follow=1 those that come as well, until the end
//	POST /v1/stop    has the agent stop; the answer begins at once, and ends with
//	                 a Stopped when the agent has
//
// No answer has a token, or anything else that is secret.
package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// What an agent does, as a Status has it.
const (
	Connecting   = "connecting"   // no relay has given it its name yet
	Online       = "online"       // it serves, and the target is up
	TargetDown   = "target down"  // it serves, and answers that the target is down
	Reconnecting = "reconnecting" // no relay has a session with it any more
	GivenUp      = "given up"     // no retry can help it; another tunnel of the agent goes on
	Stopping     = "stopping"     // requests in flight end
)

const (
	// answerTimeout bounds the wait for an answer to begin: an agent that is
	// stopped, or hangs, must not hang those who ask.
	answerTimeout = 2 * time.Second

	// maxStatus bounds a Status, which has a few KiB.
	maxStatus = 1 << 20
)

var (
	// ErrSilent is why there is no answer of an agent whose process is there.
	ErrSilent = errors.New("it does not answer")

	// ErrGone is why there is none of one that has ended.
	ErrGone = errors.New("it has ended")
)

// A Status is all that an agent tells of itself.
type Status struct {
	V       int    `json:"v"` // 1
	PID     int    `json:"pid"`
	Version string `json:"version"`

	// The only tunnel. Of several it has no more than their State, which is that of the
	// first that is not online, and their requests.
	Tunnel

	Started time.Time `json:"started"`
	Tunnels []Tunnel  `json:"tunnels,omitempty"` // those of a file, in the order of their start

	Log     string          `json:"log,omitempty"`    // the file with its logs, if it runs in the background
	GraceMS int64           `json:"grace_ms"`         // how long it may take to stop: requests in flight, and then what runs beside it
	Config  json.RawMessage `json:"config,omitempty"` // what it was told to do
}

// All are the agent's tunnels, one at least.
func (s *Status) All() []Tunnel {
	if len(s.Tunnels) > 0 {
		return s.Tunnels
	}
	return []Tunnel{s.Tunnel}
}

// A Tunnel is how one of an agent's tunnels does.
type Tunnel struct {
	Label  string    `json:"tunnel,omitempty"` // what the file calls it that has it
	Name   string    `json:"name"`             // until there is one, what was asked for
	URL    string    `json:"url"`              // of the first relay that serves; empty until one does
	Target string    `json:"target"`           // as the user named it
	State  string    `json:"state"`
	Since  time.Time `json:"since"`            // when State began
	Reason string    `json:"reason,omitempty"` // why it is given up

	Requests uint64            `json:"requests"`         // that have ended
	Open     int               `json:"open"`             // that have not
	Failed   map[string]uint64 `json:"failed,omitempty"` // of Requests, by cause

	Health *Health `json:"health,omitempty"` // of the target, if it is known
	Relays []Relay `json:"relays"`
}

// A Health is how the target does.
type Health struct {
	State  string    `json:"state"` // up or down
	Since  time.Time `json:"since"`
	Cause  string    `json:"cause,omitempty"`
	Detail string    `json:"detail,omitempty"`
}

// A Relay is how an agent does with one of its relays.
type Relay struct {
	Relay       string    `json:"relay"`
	State       string    `json:"state"` // Connecting, Online or Reconnecting
	Since       time.Time `json:"since"`
	Name        string    `json:"name,omitempty"`
	URL         string    `json:"url,omitempty"`
	Via         string    `json:"via,omitempty"`
	Verified    bool      `json:"verified"`
	Reason      string    `json:"reason,omitempty"` // why it is not verified, or not online
	Lanes       int       `json:"lanes"`
	Open        int       `json:"open"`
	RoundTripMS float64   `json:"round_trip_ms,omitempty"` // the least that was measured
}

// A Stopped is how an agent ended that was told to.
type Stopped struct {
	Code   int    `json:"code"` // its exit code
	Reason string `json:"reason"`
}

// readStatus reads what an agent has answered, and refuses what is none of its
// answers.
func readStatus(r io.Reader) (*Status, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxStatus+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxStatus {
		return nil, fmt.Errorf("the answer has more than %d bytes", maxStatus)
	}
	s := new(Status)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("the answer is no status: %w", err)
	}
	if s.V != 1 {
		return nil, fmt.Errorf("the answer is of version %d, and not 1", s.V)
	}
	return s, nil
}
