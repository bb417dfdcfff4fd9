package terminal

import (
	"time"

	"share/agent"
	"share/tunnel"
)

// state is what the events so far add up to.
type state struct {
	target   string // as the user named it
	relay    string
	via      string // through what it is reached, if through anything
	url      string
	verified bool
	reason   string // why it is not verified, or why the session ended
	linked   bool   // ready, and not reconnecting since
	known    bool   // the target's health is known
	up       bool
	since    time.Time
	cause    tunnel.Cause // why the target is down
	hinted   map[tunnel.Cause]bool
	trying   string // the last attempt that was shown
}

// news is what an event changed.
type news struct {
	url      bool   // there is a URL, and it is not the last one
	changed  bool   // the status block is not what it was
	repeated bool   // one more attempt for the reason of the last
	hint     string // what to do about it, when that was not said since the target was last up
}

// apply takes e into s.
func (s *state) apply(e agent.Event) (n news) {
	switch e.Kind {
	case agent.EventConnecting:
		n.repeated = s.trying != ""
		s.relay = e.Relay
	case agent.EventReconnecting:
		n.repeated = s.trying == e.Reason
		s.linked, s.trying, s.reason = false, e.Reason, e.Reason
	case agent.EventReady:
		n.url = s.url != e.URL
		n.changed = n.url || s.verified != e.Verified || s.via != e.Via
		s.url, s.via, s.verified, s.reason = e.URL, e.Via, e.Verified, e.Reason
		s.linked, s.trying = true, ""
	case agent.EventTarget:
		s.known, s.up, s.since, s.cause = true, e.Up, e.Since, e.Cause
		if e.Up {
			s.hinted = nil
			break
		}
		n.hint = s.hint(e.Cause)
	case agent.EventRequest:
		n.hint = s.hint(e.Cause)
	}
	return n
}

// hint gives the hint for a failure of the target the first time that it is
// asked for.
func (s *state) hint(c tunnel.Cause) string {
	if c < tunnel.TargetRefused || c > tunnel.UpgradeFailed || s.hinted[c] {
		return ""
	}
	if s.hinted == nil {
		s.hinted = map[tunnel.Cause]bool{}
	}
	s.hinted[c] = true
	return c.Hint(s.target)
}
