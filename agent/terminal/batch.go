package terminal

import "share/agent"

// A batch is what came since the last.
type batch struct {
	events  []agent.Event
	dropped int    // events
	missed  missed // the requests among them, nil if there are none
	then    []func()
	closed  bool
}

// tellLost adds a warning of the events that were dropped. Requests are none of
// them where they are counted.
func (b *batch) tellLost(counted bool) {
	n := b.dropped
	if counted && b.missed != nil {
		n -= int(b.missed[""].requests)
	}
	if n > 0 {
		b.events = append(b.events, warning("%d events were not shown: the output is too slow", n))
	}
}

// shown calls what was to be called behind it.
func (b *batch) shown() {
	for _, do := range b.then {
		do()
	}
}
