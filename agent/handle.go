package agent

import (
	"fmt"
	"time"

	"share/tunnel"
)

// healthField asks the agent, from a failure's page, whether the target is
// back; the answer carries it too.
const healthField = "Share-Health"

// handle answers one exchange: from the target, unless it is a question to the
// agent itself.
func (b *binding) handle(x *tunnel.Exchange) {
	began := time.Now()
	r := x.Request()
	if m := b.bound.Load(); m != nil && r.Tunnel != m.Tunnel {
		x.Abort(&tunnel.Failure{Cause: tunnel.Protocol, By: tunnel.Agent, NotProcessed: true,
			Detail: fmt.Sprintf("the relay asks for tunnel %d, this one is %d", r.Tunnel, m.Tunnel)})
		return
	}
	if b.own(x, r) {
		return
	}
	if b.cfg.Admit != nil && !b.cfg.Admit() {
		x.Abort(&tunnel.Failure{Cause: tunnel.Draining, NotProcessed: true})
		return
	}
	b.open.Add(1)
	defer b.open.Add(-1)
	if b.cfg.OnEvent == nil {
		b.target.Serve(x)
		return
	}
	// The head is the exchange's and is gone when Serve returns.
	text := string(append(append(append(make([]byte, 0, 256), r.ID...), r.Method...), r.Target...))
	id, method := len(r.ID), len(r.ID)+len(r.Method)
	e := Event{Kind: EventRequest, ID: text[:id], Method: text[id:method], Target: text[method:]}
	if r.Flags&tunnel.RequestUpgrade != 0 {
		open := e
		open.Kind, open.Status, open.Protocol = EventOpen, 101, string(r.Header.Get("Upgrade"))
		x.OnUpgrade(func() {
			open.Elapsed = time.Since(began)
			b.emit(open)
		})
	}
	status, failure := b.target.Serve(x)
	e.Status, e.Elapsed = status, time.Since(began)
	e.BytesIn, e.BytesOut = x.Bodies()
	if failure != nil {
		e.Cause, e.Detail = failure.Cause, failure.Detail
	}
	b.emit(e)
}

// own answers what is asked of the agent itself, a probe with a nonce of its
// own or a poll of the target's health, and reports whether it did. The target
// sees neither field in any case.
func (b *binding) own(x *tunnel.Exchange, r *tunnel.Request) bool {
	nonce, polled := r.Header.Get(probeField), r.Header.Has(healthField)
	if nonce == nil && !polled {
		return false
	}
	if nonce != nil && b.prober.nonces.redeem(nonce) {
		answer(x, probeField, string(nonce))
		return true
	}
	if polled && r.Flags&tunnel.RequestReplayable != 0 {
		state := "down"
		if b.target.Health().Up {
			state = "up"
		}
		answer(x, healthField, state)
		return true
	}
	kept := r.Header[:0]
	for _, f := range r.Header {
		if !tunnel.EqualFold(f.Name, probeField) && !tunnel.EqualFold(f.Name, healthField) {
			kept = append(kept, f)
		}
	}
	r.Header = kept
	return false
}

// answer sends a 204 with one field of the agent's.
func answer(x *tunnel.Exchange, name, value string) {
	var h tunnel.Header
	h.Add(name, value)
	h.Add("Cache-Control", "no-store")
	err := x.SendResponse(&tunnel.Response{Status: 204, Reason: []byte("No Content"), Flags: tunnel.ResponseAgent, Header: h})
	if err == nil {
		err = x.End(nil)
	}
	if err != nil {
		// The visitor or the lane is gone, and x knows; else it would stay open.
		x.Abort(tunnel.AsFailure(err))
	}
}
