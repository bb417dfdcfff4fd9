package tunnel

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Version is the version of the protocol this package speaks.
const Version = 1

// ALPN is the protocol's name in a TLS handshake (RFC 7301).
const ALPN = "share/1"

// ConnectPath is where, on a relay's own host, a WebSocket takes the place of
// ALPN.
const ConnectPath = "/.share/connect"

const (
	magic = "SHR1"

	prefaceLen = 12

	// maxPreface bounds the JSON of a preface: all of it is read before
	// the peer has proved anything.
	maxPreface = 8 << 10

	// prefaceTimeout bounds the whole of the preface.
	prefaceTimeout = 5 * time.Second
)

// PeekLen is how many bytes IsPreface wants to see.
const PeekLen = 5

// IsPreface reports whether a connection that begins with b, of at least
// PeekLen bytes, is an agent's: the byte behind the magic is a version, which
// no HTTP request line has there.
func IsPreface(b []byte) bool {
	return len(b) >= PeekLen && string(b[:4]) == magic && b[4] < 0x20
}

// Kind says what a connection is for.
type Kind byte

const (
	KindSession Kind = 1 // a new session, of which this is the first lane
	KindLane    Kind = 2 // one more lane of a session
	KindProbe   Kind = 3 // a look at the relay; it answers and closes
	KindLogin   Kind = 4 // a person's login; it answers and closes
)

// Hello is what an agent says first.
type Hello struct {
	Kind         Kind     `json:"-"`
	Lowest       byte     `json:"-"` // if zero, Version
	Highest      byte     `json:"-"` // if zero, Version
	Version      string   `json:"version,omitempty"`
	OS           string   `json:"os,omitempty"`
	Token        string   `json:"token,omitempty"`
	Insecure     bool     `json:"insecure,omitempty"` // the user allowed the token to travel in plain
	Session      string   `json:"session,omitempty"`
	LaneSecret   string   `json:"lane_secret,omitempty"`
	OnDemand     bool     `json:"on_demand,omitempty"` // of a lane: it is for what large bodies leave no room for
	Capabilities []string `json:"capabilities,omitempty"`
}

// Welcome is a relay's answer to a Hello that it accepts.
type Welcome struct {
	Version      byte     `json:"-"` // chosen
	Session      string   `json:"session"`
	LaneSecret   string   `json:"lane_secret"`
	Relay        string   `json:"relay"`   // random id of the relay's process
	Account      string   `json:"account"` // the token's label
	Lanes        int      `json:"lanes"`   // how many lanes a session may have
	Capabilities []string `json:"capabilities,omitempty"`

	// Expires is when the token ends; zero if it does not.
	Expires time.Time `json:"expires,omitzero"`

	// Login answers a KindLogin without a token: nil if people cannot log in.
	// Token answers one with the token of an issuer, and is the account's.
	Login *Login `json:"login,omitempty"`
	Token string `json:"token,omitempty"`
}

// A Login is how a person logs in: an issuer of OpenID Connect says who it is, which
// is asked for a device code (RFC 8628). The relay gives a token for what that says.
type Login struct {
	Issuer   string   `json:"issuer"` // a URL
	ClientID string   `json:"client_id"`
	Secret   string   `json:"client_secret,omitempty"` // of the client, which is told to everybody
	Scopes   []string `json:"scopes"`
}

// RejectCode says why a relay refused an agent or a name.
type RejectCode string

const (
	RejectToken    RejectCode = "token"    // unknown or missing token
	RejectVersion  RejectCode = "version"  // no common version of the protocol
	RejectInsecure RejectCode = "insecure" // a token would travel in plain
	RejectSession  RejectCode = "session"  // no such session to join
	RejectName     RejectCode = "name"     // the name is not valid
	RejectTaken    RejectCode = "taken"    // the name is somebody else's
	RejectEvicted  RejectCode = "evicted"  // another agent took the name over
	RejectKicked   RejectCode = "kicked"   // an operator of the relay ended the tunnel
	RejectQuota    RejectCode = "quota"    // a limit of the account
	RejectDraining RejectCode = "draining" // the relay is stopping
	RejectOverload RejectCode = "overload" // the relay has no room for more
	RejectProtocol RejectCode = "protocol" // the agent broke the protocol
)

// A RejectError is a relay's refusal of an agent.
type RejectError struct {
	Code       RejectCode    `json:"code"`
	Message    string        `json:"message"`
	RetryAfter time.Duration `json:"retry_after_ms,omitempty"` // travels in milliseconds; if zero, a retry does not help
}

// Error gives the refusal on one line.
func (e *RejectError) Error() string { return "relay refused: " + e.Message }

// ErrNotRelay means that what answered does not speak this protocol.
var ErrNotRelay = errors.New("not a share relay")

// status is byte 5 of a relay's preface.
const (
	statusAccepted = 0
	statusRejected = 1
)

func appendPreface(a, b byte, kind Kind, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode preface: %w", err)
	}
	// A server of HTTP that gets this instead waits for the end of a line:
	// given two, it says at once that it is no relay.
	body = append(body, "\r\n\r\n"...)
	if len(body) > maxPreface {
		return nil, fmt.Errorf("preface of %d bytes exceeds %d", len(body), maxPreface)
	}
	p := append([]byte(magic), a, b, byte(kind), 0)
	p = binary.BigEndian.AppendUint32(p, uint32(len(body)))
	return append(p, body...), nil
}

// readPreface reads exactly one preface and nothing behind it.
func readPreface(r io.Reader) (head [prefaceLen]byte, body []byte, err error) {
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		return head, nil, fmt.Errorf("read preface: %w", err)
	}
	if string(head[:4]) != magic {
		return head, nil, ErrNotRelay
	}
	if _, err := io.ReadFull(r, head[4:]); err != nil {
		return head, nil, fmt.Errorf("read preface: %w", err)
	}
	n := binary.BigEndian.Uint32(head[8:])
	if n > maxPreface {
		return head, nil, fmt.Errorf("preface of %d bytes exceeds %d", n, maxPreface)
	}
	body = make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return head, nil, fmt.Errorf("read preface: %w", err)
	}
	return head, body, nil
}

// appendHello appends the agent's preface.
func appendHello(h *Hello) ([]byte, error) {
	lowest, highest := h.Lowest, h.Highest
	if lowest == 0 {
		lowest = Version
	}
	if highest == 0 {
		highest = Version
	}
	return appendPreface(lowest, highest, h.Kind, h)
}

// ReadHello reads an agent's preface from conn within five seconds. The
// caller answers with Accept, Session.Accept or Reject, and owns conn.
func ReadHello(conn net.Conn) (*Hello, error) {
	if err := conn.SetDeadline(time.Now().Add(prefaceTimeout)); err != nil {
		return nil, fmt.Errorf("read preface: %w", err)
	}
	head, body, err := readPreface(conn)
	if err != nil {
		return nil, err
	}
	h := &Hello{Lowest: head[4], Highest: head[5], Kind: Kind(head[6])}
	if h.Lowest > Version || h.Highest < Version {
		return h, &RejectError{Code: RejectVersion, Message: fmt.Sprintf(
			"agent speaks versions %d to %d of the protocol, this relay %d", h.Lowest, h.Highest, Version)}
	}
	if err := json.Unmarshal(body, h); err != nil {
		return h, &RejectError{Code: RejectProtocol, Message: "preface is not valid JSON"}
	}
	if h.Kind < KindSession || h.Kind > KindLogin {
		return h, &RejectError{Code: RejectProtocol, Message: fmt.Sprintf("unknown kind of connection %d", h.Kind)}
	}
	return h, nil
}

// Reject answers a Hello with a refusal. The caller closes conn.
func Reject(conn net.Conn, e *RejectError) error {
	wire := *e
	wire.RetryAfter = e.RetryAfter / time.Millisecond
	p, err := appendPreface(Version, statusRejected, 0, &wire)
	if err != nil {
		return err
	}
	if _, err := conn.Write(p); err != nil {
		return fmt.Errorf("write preface: %w", err)
	}
	return nil
}

// writeWelcome answers a Hello and lifts the preface's deadline.
func writeWelcome(conn net.Conn, kind Kind, w *Welcome) error {
	p, err := appendPreface(Version, statusAccepted, kind, w)
	if err != nil {
		return err
	}
	if _, err := conn.Write(p); err != nil {
		return fmt.Errorf("write preface: %w", err)
	}
	return conn.SetDeadline(time.Time{})
}

// Write answers a Hello of a kind that is no session's. The caller closes conn.
func (w *Welcome) Write(conn net.Conn, kind Kind) error { return writeWelcome(conn, kind, w) }

// readWelcome reads the relay's answer to a Hello.
func readWelcome(r io.Reader) (*Welcome, error) {
	head, body, err := readPreface(r)
	if err != nil {
		return nil, err
	}
	if head[5] != statusAccepted {
		e := new(RejectError)
		if err := json.Unmarshal(body, e); err != nil {
			return nil, fmt.Errorf("read preface: %w", err)
		}
		e.RetryAfter *= time.Millisecond
		return nil, e
	}
	if head[4] != Version {
		return nil, &RejectError{Code: RejectVersion, Message: fmt.Sprintf(
			"relay chose version %d of the protocol, this agent speaks %d", head[4], Version)}
	}
	w := &Welcome{Version: head[4]}
	if err := json.Unmarshal(body, w); err != nil {
		return nil, fmt.Errorf("read preface: %w", err)
	}
	return w, nil
}

// A greeting is an agent's connection whose first Read takes the relay's
// preface, so that the session's first bytes need not wait for it.
type greeting struct {
	net.Conn
	done    chan struct{} // closed when the preface was read
	read    bool          // owned by the reading goroutine
	welcome *Welcome      // written before done is closed
	err     error         // written before done is closed
}

func (g *greeting) Read(p []byte) (int, error) {
	if !g.read {
		g.read = true
		g.welcome, g.err = readWelcome(g.Conn)
		if g.err == nil {
			g.err = g.Conn.SetDeadline(time.Time{})
		}
		close(g.done)
	}
	if g.err != nil {
		return 0, g.err
	}
	return g.Conn.Read(p)
}

// NetConn is the connection beneath.
func (g *greeting) NetConn() net.Conn { return g.Conn }

// wait returns the relay's preface.
func (g *greeting) wait(ctx context.Context) (*Welcome, error) {
	select {
	case <-g.done:
		return g.welcome, g.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
