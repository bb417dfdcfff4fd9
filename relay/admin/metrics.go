package admin

import (
	"net/http"
	"runtime/debug"
)

// metrics answers with what the relay has counted and does, and with what its
// process takes. No metric has a label for tunnels, accounts or visitors: of
// these there are as many as others want.
func (r *Relay) metrics(w http.ResponseWriter, _ *http.Request) {
	var e exposition
	r.expose(&e)
	exposeRuntime(&e)
	exposeProcess(&e)
	w.Header().Set("Content-Type", expositionType)
	w.Header().Set("Cache-Control", "no-store")
	// An error is the client's loss.
	_, _ = w.Write(e.text)
}

// expose adds the relay's own metrics.
func (r *Relay) expose(e *exposition) {
	s, m := r.State(), r.Meter
	e.family("share_build_info", "gauge", "1, for the version of the relay.")
	e.sample(1, "version", r.Version)
	draining := 0.0
	if s.Draining {
		draining = 1
	}
	e.gauge("share_draining", "1 once the relay takes nothing new, else 0.", draining)
	e.gauge("share_sessions", "Sessions of agents.", float64(s.Sessions))
	e.gauge("share_lanes", "Connections of all sessions.", float64(s.Lanes))
	e.gauge("share_tunnels", "Names that agents hold.", float64(r.Names.Bound()))
	e.gauge("share_exchanges_open", "Exchanges under way with agents.", float64(s.Open))
	e.family("share_exchanges_total", "counter", "Exchanges that have ended, by cause of failure and class of status.")
	m.Exchanges(func(cause, class string, n uint64) { e.sample(float64(n), "cause", cause, "class", class) })
	e.family("share_exchanges_cut_total", "counter", "Exchanges that were cut behind the head of their answer, by cause.")
	m.Cut(func(cause string, n uint64) { e.sample(float64(n), "cause", cause) })
	e.family("share_body_bytes_total", "counter", "Bytes of bodies that were received from visitors and sent to them.")
	received, sent := m.Bytes()
	e.sample(float64(received), "direction", "received")
	e.sample(float64(sent), "direction", "sent")
	e.histogram("share_head_seconds", "From a request's head to the head of its answer.", m.Head())
	e.histogram("share_exchange_seconds", "From a request's head to the end of its answer, but for those that switch protocols.", m.Whole())
	e.counter("share_retries_total", "Requests that were sent once more, as no agent had processed them.", float64(m.Retries()))
	e.counter("share_reconnects_total", "Names that were bound again, by an agent that came back or by one that took over.", float64(r.Names.Returns()))
	e.counter("share_link_stalls_total", "How often a link took longer than a second for what it was given to send.", float64(s.Stalls))
	e.family("share_handshakes_refused_total", "counter", "Connections that came to be neither a visitor's nor an agent's, by cause.")
	m.Refused(func(cause string, n uint64) { e.sample(float64(n), "cause", cause) })
	if !s.Expiry.IsZero() {
		e.gauge("share_certificate_expiry_timestamp_seconds", "When the first certificate ends that visitors are shown.", float64(s.Expiry.Unix()))
	}
	e.counter("share_access_log_dropped_total", "Lines that the access log has lost.", float64(s.AccessDropped))
	e.gauge("share_memory_used_bytes", "What the Go runtime has of the system's memory, as its limit counts it.", float64(memoryUsed()))
	e.gauge("share_memory_limit_bytes", "The Go runtime's limit of memory.", float64(debug.SetMemoryLimit(-1))) // which only reads it
	e.gauge("share_memory_budget_bytes", "Memory beyond which new exchanges are refused; 0 without such a bound.", float64(s.MemoryBudget))
}
