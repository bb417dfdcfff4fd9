package terminal

import "share/agent"

// states are what the events of several tunnels add up to, for each tunnel.
type states map[string]*state

// newStates returns states whose tunnel without a label has target.
func newStates(target string) states { return states{"": {target: target}} }

// apply takes e into the state of its tunnel.
func (s states) apply(e agent.Event) news {
	one := s[e.Tunnel]
	if one == nil {
		one = &state{}
		s[e.Tunnel] = one
	}
	if e.Kind == agent.EventConnecting && e.Target != "" {
		one.target = e.Target
	}
	return one.apply(e)
}
