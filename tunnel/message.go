package tunnel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// A Message is what a session's ends tell each other beside exchanges: one of
// *Bind, *Bound, *BindError, *Unbind, *Drain, *Notice and *TargetHealth.
type Message interface{ frame() byte }

// Bind asks the relay for a name. A relay that meets a field it does not know
// refuses the whole: what the field asks for may be a gate.
type Bind struct {
	ID       uint32 `json:"id"`                 // chosen by the agent, repeated in the answer
	Kind     string `json:"kind"`               // "http"
	Name     string `json:"name,omitempty"`     // the wanted name; if empty, the relay derives one from Seed
	Seed     string `json:"seed,omitempty"`     // at least 40 secret bits, the same for the same tunnel each day; if both are empty the name is random
	Holder   string `json:"holder"`             // random id of the agent's state folder
	Takeover bool   `json:"takeover,omitempty"` // evict the present holder of the same account
	Domain   string `json:"domain,omitempty"`   // a domain of the account's own, whose name is wanted; if empty, none
}

// Bound answers a Bind: the tunnel serves from now on.
type Bound struct {
	ID     uint32 `json:"id"`
	Tunnel uint32 `json:"tunnel"` // the number that requests carry
	Name   string `json:"name"`
	URL    string `json:"url"`
}

// BindError answers a Bind that was refused.
type BindError struct {
	ID           uint32     `json:"id"`
	Code         RejectCode `json:"code"`
	Message      string     `json:"message"`
	RetryAfterMS int64      `json:"retry_after_ms,omitempty"` // if zero, a retry does not help
}

// Unbind ends a binding; the session goes on. Sent by a relay, it says why.
type Unbind struct {
	Tunnel  uint32     `json:"tunnel"`
	Code    RejectCode `json:"code,omitempty"`
	Message string     `json:"message,omitempty"`
}

// Drain says that the sender opens or takes nothing new, and closes the
// session when its exchanges have ended, at the deadline at the latest.
type Drain struct {
	DeadlineMS int64  `json:"deadline_ms"`
	Elsewhere  string `json:"elsewhere,omitempty"` // a relay to go to; if empty, the same one
}

// Deadline is how long the sender waits for open exchanges.
func (d *Drain) Deadline() time.Duration { return time.Duration(d.DeadlineMS) * time.Millisecond }

// Notice is a line for the agent's user.
type Notice struct {
	Level   string `json:"level"` // "info" or "warning"
	Message string `json:"message"`
}

// TargetHealth tells the relay how a tunnel's target does.
type TargetHealth struct {
	Tunnel uint32    `json:"tunnel"`
	Up     bool      `json:"up"`
	Since  time.Time `json:"since"`
	Cause  Cause     `json:"cause,omitempty"`
}

func (*Bind) frame() byte         { return typeBind }
func (*Bound) frame() byte        { return typeBound }
func (*BindError) frame() byte    { return typeBindError }
func (*Unbind) frame() byte       { return typeUnbind }
func (*Drain) frame() byte        { return typeDrain }
func (*Notice) frame() byte       { return typeNotice }
func (*TargetHealth) frame() byte { return typeHealth }

// Error gives the refusal on one line.
func (e *BindError) Error() string { return fmt.Sprintf("relay refused the name: %s", e.Message) }

func appendMessage(b []byte, m Message) ([]byte, error) {
	p, err := json.Marshal(m)
	if err != nil {
		return b, fmt.Errorf("encode control message: %w", err)
	}
	if len(p) > maxControl {
		return b, fmt.Errorf("control message of %d bytes exceeds %d", len(p), maxControl)
	}
	start := len(b)
	b = beginFrame(b, m.frame())
	b = append(b, p...)
	return endFrame(b, start), nil
}

// decodeMessage returns nil for a type that it does not know, and a *BindError
// for a Bind that asks for what this version does not know.
func decodeMessage(typ byte, p []byte) (Message, error) {
	var m Message
	switch typ {
	case typeBind:
		m = new(Bind)
	case typeBound:
		m = new(Bound)
	case typeBindError:
		m = new(BindError)
	case typeUnbind:
		m = new(Unbind)
	case typeDrain:
		m = new(Drain)
	case typeNotice:
		m = new(Notice)
	case typeHealth:
		m = new(TargetHealth)
	default:
		return nil, nil
	}
	if err := json.Unmarshal(p, m); err != nil {
		return nil, fmt.Errorf("control frame %d: %w", typ, err)
	}
	if b, ok := m.(*Bind); ok {
		d := json.NewDecoder(bytes.NewReader(p))
		d.DisallowUnknownFields()
		if err := d.Decode(new(Bind)); err != nil {
			return nil, &BindError{ID: b.ID, Code: RejectProtocol, Message: fmt.Sprintf(
				"this relay does not know all that the agent asks for: %v", err)}
		}
	}
	return m, nil
}
