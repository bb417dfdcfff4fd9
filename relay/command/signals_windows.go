package command

import "share/relay"

// followSignals does nothing: this system has no signals for it.
func (r *serving) followSignals(*relay.Relay) (stop func()) { return func() {} }
