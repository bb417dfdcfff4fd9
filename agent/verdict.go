package agent

import (
	"errors"
	"fmt"
	"time"

	"share/tunnel"
	"share/tunnel/cmdline"
)

// verdict returns the *cmdline.Error that err means, or nil if another try may help.
// met says that this relay has taken us before: then whatever answers now in
// its place is a fault that somebody will mend.
func (l *loop) verdict(err error, met bool) *cmdline.Error {
	if e, ok := errors.AsType[*cmdline.Error](err); ok {
		return e
	}
	if r, ok := errors.AsType[*tunnel.RejectError](err); ok {
		e := refusal(r.Code, r.Message, r.RetryAfter, err)
		switch {
		case e == nil || e.Code != cmdline.ExitToken:
		case l.cfg.Logins[l.cfg.Relay] != "":
			e.Hint = "log in again: share login " + l.cfg.Relay.String()
		case l.cfg.Identity != nil:
			e.Hint = "ask the relay's owner to trust the identity of " + l.cfg.Identity.String() + ", with share relay trust"
		}
		return e
	}
	if r, ok := errors.AsType[*tunnel.BindError](err); ok {
		return refusal(r.Code, r.Message, time.Duration(r.RetryAfterMS)*time.Millisecond, err)
	}
	if met {
		return nil
	}
	relay := l.cfg.Relay
	if errors.Is(err, tunnel.ErrNotRelay) {
		hint := "check --relay: is it the right host and port?"
		if relay.Plain {
			hint = "check --relay: is it the right port, and does it want https://?"
		}
		return &cmdline.Error{Code: cmdline.ExitUnreached, Message: fmt.Sprintf("what answers at %s is not a share relay", relay), Hint: hint, Err: err}
	}
	if u, ok := errors.AsType[*errUntrusted](err); ok {
		return &cmdline.Error{Code: cmdline.ExitUnreached, Message: fmt.Sprintf("the certificate of %s is not trusted: %v", relay, u.err),
			Hint: "check --relay, or name the CA that signed it with --relay-ca", Err: err}
	}
	if p, ok := errors.AsType[*proxyError](err); ok && p.refusal() {
		return &cmdline.Error{Code: cmdline.ExitUnreached, Message: p.Error(), Hint: p.hint(), Err: err}
	}
	return nil
}

// refusal returns the *cmdline.Error that a relay's refusal means, or nil if the relay
// says that a retry helps.
func refusal(code tunnel.RejectCode, message string, after time.Duration, err error) *cmdline.Error {
	if after > 0 {
		return nil
	}
	e := &cmdline.Error{Code: cmdline.ExitRefused, Message: "relay refused: " + oneLine(message), Err: err}
	switch code {
	case tunnel.RejectDraining, tunnel.RejectSession:
		return nil
	case tunnel.RejectToken:
		e.Code, e.Hint = cmdline.ExitToken, "check SHARE_TOKEN or --token-file; the relay's owner has the tokens"
	case tunnel.RejectVersion:
		e.Code, e.Hint = cmdline.ExitTooOld, "install the version of share that the relay runs"
	case tunnel.RejectInsecure:
		e.Hint = "use https://, or let the relay's owner add --insecure too"
	case tunnel.RejectName:
		e.Hint = "choose another --name"
	case tunnel.RejectTaken:
		e.Hint = "choose another --name; if it is your own, --takeover takes it from the other agent"
	case tunnel.RejectEvicted:
		e.Message = oneLine(message)
		e.Hint = "stop that agent first, or take the name back with --takeover"
	case tunnel.RejectKicked:
		e.Message = oneLine(message)
		e.Hint = "ask the relay's owner"
	case tunnel.RejectQuota:
		e.Hint = "stop another tunnel, or ask the relay's owner for more"
	case tunnel.RejectProtocol:
		e.Hint = "agent and relay do not understand each other: run the same version of share on both"
	}
	return e
}

// pause returns how long the relay asked us to stay away.
func pause(err error) time.Duration {
	if r, ok := errors.AsType[*tunnel.RejectError](err); ok {
		return r.RetryAfter
	}
	if r, ok := errors.AsType[*tunnel.BindError](err); ok {
		return time.Duration(r.RetryAfterMS) * time.Millisecond
	}
	return 0
}

// sentOn reports whether the relay asked us to take another session, at once: it
// is about to stop, or another process has taken its place.
func sentOn(err error) bool {
	code := tunnel.RejectCode("")
	if r, ok := errors.AsType[*tunnel.RejectError](err); ok {
		code = r.Code
	} else if r, ok := errors.AsType[*tunnel.BindError](err); ok {
		code = r.Code
	}
	return errors.Is(err, errDrained) || code == tunnel.RejectDraining && pause(err) == 0
}
