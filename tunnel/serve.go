package tunnel

// serve is the agent's end of a stream: one exchange after the other.
func (x *Exchange) serve() {
	s := x.lane.session
	for {
		x.restart()
		if err := x.in.receiveRequest(); err != nil {
			return
		}
		s.live.Add(1)
		x.lane.live.Add(1)
		if s.draining.Load() {
			x.Abort(&Failure{Cause: Draining, NotProcessed: true})
		} else {
			s.handler(x)
		}
		clean := x.settle()
		x.OnAbort(nil)
		x.unbulk()
		x.lane.live.Add(-1)
		s.leave()
		if !clean {
			return
		}
	}
}

// settle brings an exchange that its handler has left to its end, and reports
// whether the stream can carry another.
func (x *Exchange) settle() bool {
	if x.failed() == nil && !x.out.done() {
		x.Abort(&Failure{Cause: Internal, Detail: "the exchange was left open"})
	}
	// The END of a request without a body came with its head or, when an
	// upgrade was refused, follows the answer.
	due := x.in.request.ContentLength == 0 && !x.upgraded.Load()
	for x.failed() == nil && !x.in.ended.Load() && (due || x.Buffered()) {
		if p, err := x.Data(); err != nil || due && len(p) > 0 {
			break
		}
	}
	return x.failed() == nil && x.in.ended.Load() && !x.stopped.Load() && !x.upgraded.Load()
}

// unread reports whether the agent ends its half while a request's body is
// still under way.
func (x *Exchange) unread() bool {
	return x.lane.session.agent && !x.upgraded.Load() && !x.stopped.Load() &&
		!x.in.ended.Load() && x.in.request.ContentLength != 0
}
