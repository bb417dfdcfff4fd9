package agent

import (
	"encoding/json"
	"math"
	"time"

	"share/agent/target"
	"share/tunnel"
)

// An EventKind says what an Event tells.
type EventKind uint8

const (
	EventConnecting   EventKind = iota + 1 // a relay is being dialled: Relay, Identity; Target if there is a Tunnel
	EventReady                             // the tunnel has its URL: URL, Name, Via, Verified, Reason
	EventOpen                              // an exchange has become a connection: ID, Method, Target, Status, Protocol, Elapsed
	EventRequest                           // an exchange ended: ID, Method, Target, Status, Cause, Detail, Elapsed, BytesIn, BytesOut
	EventReconnecting                      // the session is gone: Reason, Drained, Retry, Attempt
	EventDraining                          // the agent was stopped while exchanges are under way: Open
	EventTarget                            // the target's health changed: Up, Cause, Detail, Since
	EventWarning                           // something to know that stops nothing: Message, Symptom, Hint
	EventError                             // what ends the agent: Code, Message, Hint
	EventStopped                           // the last event: Code, Reason
	EventOutput                            // a program beside the agent wrote a line: Source, Stderr, Message
)

// String is the kind's name, as "event" shows it in JSON.
func (k EventKind) String() string {
	switch k {
	case EventConnecting:
		return "connecting"
	case EventReady:
		return "ready"
	case EventOpen:
		return "open"
	case EventRequest:
		return "request"
	case EventReconnecting:
		return "reconnecting"
	case EventDraining:
		return "draining"
	case EventTarget:
		return "target"
	case EventWarning:
		return "warning"
	case EventError:
		return "error"
	case EventStopped:
		return "stopped"
	case EventOutput:
		return "output"
	}
	return "unknown"
}

// An Event is one thing that happened to an agent, as views show it. Its kind
// says which fields it uses. Strings may hold any bytes: a view quotes them.
type Event struct {
	Kind EventKind
	Time time.Time

	Tunnel   string // the tunnel's label in the file that has it; empty if a command line does
	Relay    string // the relay as the user named it; but for EventConnecting, empty if there is only one
	Identity string // what shows the relay who the agent is, in place of a token; empty if nothing does
	URL      string // the tunnel's public URL
	Name     string // the tunnel's name
	Via      string // through what the relay is reached: a proxy, a WebSocket; empty if it is neither
	Verified bool   // a request has come back through URL
	Reason   string // why it is not verified, why the session ended, why the agent stopped
	Drained  bool   // the relay sent the agent on to its next session, to be had at once

	ID       string        // the request's id, the same in every log
	Method   string        // its method, as received
	Target   string        // its request-target, as received; of a tunnel, what it shares
	Status   int           // status sent to the visitor, 0 if none
	Cause    tunnel.Cause  // what went wrong, CauseNone if nothing; after the head, Status is the target's
	Detail   string        // one line on the cause, for the agent's owner
	Elapsed  time.Duration // from the head of the request to the end of the answer, or to its head for EventOpen
	BytesIn  int64         // of the visitor's body, or over its connection
	BytesOut int64         // of the answer's
	Protocol string        // what the connection speaks, as the request asked for it

	Retry   time.Duration // time until the next attempt
	Attempt int           // which one that is since there was a session
	Open    int           // exchanges that have not ended

	Up    bool      // the target accepts connections
	Since time.Time // since when it is up or down

	Code    int    // the exit code this means
	Message string // one line
	Hint    string // what the user can do, may be empty
	Symptom string // names what a warning is about, as target.Symptom.Code does; empty if it is nothing of the target's

	Source string // the program that wrote a line
	Stderr bool   // it wrote it to its stderr

	Excerpt []string // lines of a file that Message is about, may be empty; in no JSON
}

// HostRefused is the Symptom of a target that does not know the Host that visitors
// send; Agent.SendOwnHost may be the cure.
const HostRefused = target.HostRefused

// MarshalJSON gives the event as scripts see it: one object, in which "v" is 1,
// "event" the kind and "time" RFC 3339 in UTC with milliseconds. By kind it has
//
//	connecting    relay; identity when that is shown in place of a token
//	ready         url, name, verified; via when there is something between agent and relay; reason when not verified
//	open          id, method, target, status, protocol, ms: a WebSocket or other upgrade; its request follows when it ends
//	request       id, method, target, status, cause ("" when none), ms, bytes_in, bytes_out (of bodies); detail when there is one
//	reconnecting  reason, retry_ms, attempt
//	draining      open (requests that may still end)
//	target        state ("up" or "down"), cause, detail, since
//	warning       message; code (a text) and hint when it is about how the target answers
//	error         code (the exit code), message, hint
//	stopped       code (the exit code), reason
//	output        source, stream ("stdout" or "stderr"), line
//
// An agent of several relays adds relay to ready, open, request and reconnecting, and to
// a warning about one of them. A tunnel of share up has tunnel, its label, in all of
// its events, and target in connecting. Members may be added to a kind; none changes its meaning while "v" is 1.
// Bytes that are not UTF-8 become U+FFFD. events.schema.json, beside this file, says
// the same as a JSON Schema.
func (e Event) MarshalJSON() ([]byte, error) {
	head := eventHead{1, e.Kind.String(), stamp(e.Time), e.Tunnel}
	switch e.Kind {
	case EventConnecting:
		return json.Marshal(struct {
			eventHead
			Relay    string `json:"relay"`
			Identity string `json:"identity,omitempty"`
			Target   string `json:"target,omitempty"`
		}{head, e.Relay, e.Identity, e.Target})
	case EventReady:
		return json.Marshal(struct {
			eventHead
			URL      string `json:"url"`
			Name     string `json:"name"`
			Verified bool   `json:"verified"`
			Via      string `json:"via,omitempty"`
			Reason   string `json:"reason,omitempty"`
			Relay    string `json:"relay,omitempty"`
		}{head, e.URL, e.Name, e.Verified, e.Via, e.Reason, e.Relay})
	case EventOpen:
		return json.Marshal(struct {
			eventHead
			ID       string  `json:"id"`
			Method   string  `json:"method"`
			Target   string  `json:"target"`
			Status   int     `json:"status"`
			Protocol string  `json:"protocol"`
			MS       float64 `json:"ms"`
			Relay    string  `json:"relay,omitempty"`
		}{head, e.ID, e.Method, e.Target, e.Status, e.Protocol, millis(e.Elapsed), e.Relay})
	case EventRequest:
		return json.Marshal(struct {
			eventHead
			ID       string  `json:"id"`
			Method   string  `json:"method"`
			Target   string  `json:"target"`
			Status   int     `json:"status"`
			Cause    string  `json:"cause"`
			Detail   string  `json:"detail,omitempty"`
			MS       float64 `json:"ms"`
			BytesIn  int64   `json:"bytes_in"`
			BytesOut int64   `json:"bytes_out"`
			Relay    string  `json:"relay,omitempty"`
		}{head, e.ID, e.Method, e.Target, e.Status, causeName(e.Cause), e.Detail, millis(e.Elapsed), e.BytesIn, e.BytesOut, e.Relay})
	case EventReconnecting:
		return json.Marshal(struct {
			eventHead
			Reason  string  `json:"reason"`
			RetryMS float64 `json:"retry_ms"`
			Attempt int     `json:"attempt"`
			Relay   string  `json:"relay,omitempty"`
		}{head, e.Reason, millis(e.Retry), e.Attempt, e.Relay})
	case EventDraining:
		return json.Marshal(struct {
			eventHead
			Open int `json:"open"`
		}{head, e.Open})
	case EventTarget:
		state := "down"
		if e.Up {
			state = "up"
		}
		return json.Marshal(struct {
			eventHead
			State  string `json:"state"`
			Cause  string `json:"cause"`
			Detail string `json:"detail"`
			Since  string `json:"since"`
		}{head, state, causeName(e.Cause), e.Detail, stamp(e.Since)})
	case EventWarning:
		return json.Marshal(struct {
			eventHead
			Message string `json:"message"`
			Code    string `json:"code,omitempty"`
			Hint    string `json:"hint,omitempty"`
			Relay   string `json:"relay,omitempty"`
		}{head, e.Message, e.Symptom, e.Hint, e.Relay})
	case EventError:
		return json.Marshal(struct {
			eventHead
			Code    int    `json:"code"`
			Message string `json:"message"`
			Hint    string `json:"hint"`
		}{head, e.Code, e.Message, e.Hint})
	case EventStopped:
		return json.Marshal(struct {
			eventHead
			Code   int    `json:"code"`
			Reason string `json:"reason"`
		}{head, e.Code, e.Reason})
	case EventOutput:
		return json.Marshal(struct {
			eventHead
			Source string `json:"source"`
			Stream string `json:"stream"`
			Line   string `json:"line"`
		}{head, e.Source, e.Stream(), e.Message})
	}
	return json.Marshal(head)
}

// Stream names the stream that a program wrote a line to.
func (e *Event) Stream() string {
	if e.Stderr {
		return "stderr"
	}
	return "stdout"
}

type eventHead struct {
	V     int    `json:"v"`
	Event string `json:"event"`
	Time  string `json:"time"`

	Tunnel string `json:"tunnel,omitempty"`
}

// stamp gives t in UTC, so that lines sort.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// millis gives d in milliseconds to the microsecond.
func millis(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e3 }

// causeName gives "" for no failure, as the relay's log does.
func causeName(c tunnel.Cause) string {
	if c == tunnel.CauseNone {
		return ""
	}
	return c.String()
}
