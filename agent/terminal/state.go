package terminal

import (
	"slices"
	"time"

	"share/agent"
	"share/tunnel"
)

// state is what the events so far add up to.
type state struct {
	target string  // as the user named it
	links  []*link // one for each relay, in the order in which they were first heard of
	known  bool    // the target's health is known
	up     bool
	since  time.Time
	cause  tunnel.Cause // why the target is down
	hinted map[tunnel.Cause]bool

	draining bool   // stopped, while requests are under way
	ended    string // why the agent stopped, empty while it runs
}

// A link is the way to one relay.
type link struct {
	relay    string
	via      string // through what it is reached, if through anything
	url      string
	verified bool
	reason   string // why it is not verified, or why the session ended
	linked   bool   // ready, and not reconnecting since
	trying   string // the last attempt that was shown
}

// news is what an event changed.
type news struct {
	url      bool   // there is a URL, and it is not one of those that were
	changed  bool   // the status block is not what it was
	repeated bool   // one more attempt for the reason of the last
	back     bool   // the target was down, and is up
	hint     string // what to do about it, when that was not said since the target was last up
}

// link returns the one that e is about. What names no relay is about the only one.
func (s *state) link(e agent.Event) *link {
	for _, l := range s.links {
		if l.relay == e.Relay || e.Relay == "" {
			return l
		}
		if l.relay == "" {
			l.relay = e.Relay
			return l
		}
	}
	l := &link{relay: e.Relay}
	s.links = append(s.links, l)
	return l
}

// linked reports whether a relay is.
func (s *state) linked() bool {
	return slices.ContainsFunc(s.links, func(l *link) bool { return l.linked })
}

// best is the way that the tunnel is judged by: to a relay that is ready, and
// verified if one is.
func (s *state) best() *link {
	best := s.links[0]
	for _, l := range s.links {
		if l.linked && (!best.linked || l.verified && !best.verified) {
			best = l
		}
	}
	return best
}

// urls are those there are, each once.
func (s *state) urls() (urls []string) {
	for _, l := range s.links {
		if l.url != "" && !slices.Contains(urls, l.url) {
			urls = append(urls, l.url)
		}
	}
	return urls
}

// apply takes e into s.
func (s *state) apply(e agent.Event) (n news) {
	switch e.Kind {
	case agent.EventConnecting:
		n.repeated = s.link(e).trying != ""
	case agent.EventReconnecting:
		l := s.link(e)
		n.repeated = l.trying == e.Reason
		l.linked, l.trying, l.reason = false, e.Reason, e.Reason
	case agent.EventReady:
		l := s.link(e)
		n.url = !slices.Contains(s.urls(), e.URL)
		n.changed = l.url != e.URL || l.verified != e.Verified || l.via != e.Via
		l.url, l.via, l.verified, l.reason = e.URL, e.Via, e.Verified, e.Reason
		l.linked, l.trying = true, ""
	case agent.EventTarget:
		n.back = e.Up && s.known && !s.up
		s.known, s.up, s.since, s.cause = true, e.Up, e.Since, e.Cause
		if e.Up {
			s.hinted = nil
			break
		}
		n.hint = s.hint(e.Cause)
	case agent.EventRequest:
		n.hint = s.hint(e.Cause)
	case agent.EventDraining:
		s.draining = true
	case agent.EventError:
		s.ended = e.Message
	case agent.EventStopped:
		if s.ended == "" {
			s.ended = e.Reason
		}
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
