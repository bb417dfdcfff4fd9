package tunnel

import "time"

// Hint says in one line what the agent's owner can do about a failure of
// target, which may be empty.
func (c Cause) Hint(target string) string { return c.Headline(target) + ". " + c.advice() }

// Headline says what happened, in words for whoever opened the page, without
// a full stop. target is empty where it may not be shown.
func (c Cause) Headline(target string) string {
	if target == "" {
		target = "the shared target"
	}
	switch c {
	case TargetRefused:
		return "Nothing listens on " + target
	case TargetConnectTimeout:
		return "No answer from " + target
	case TargetUnroutable:
		return "There is no route to " + target
	case TargetNameUnknown:
		return "The name of " + target + " does not resolve"
	case TargetNameTimeout:
		return "The resolver did not answer for " + target
	case TargetNotPermitted:
		return "No permission to open " + target
	case TargetTLS:
		return "The TLS handshake with " + target + " failed"
	case TargetCertificate:
		return "The certificate of " + target + " is not trusted"
	case TargetClosed:
		return "The connection to " + target + " was closed without an answer"
	case TargetBadResponse:
		return "The answer of " + target + " is not valid HTTP"
	case TargetHeadTooLarge:
		return "The header of the answer of " + target + " is too large"
	case TargetIncomplete:
		return "The answer of " + target + " ended early"
	case TargetTimeout:
		return "No answer from " + target + " in time"
	case UpgradeFailed:
		return "The upgrade by " + target + " was not what was asked for"
	case LinkLost:
		return "The connection to the agent was lost"
	case NoAgent:
		return "Nobody shares this name right now"
	case UnknownName:
		return "There is no tunnel of this name"
	case Draining:
		return "This tunnel is stopping"
	case Overload:
		return "This tunnel is too busy"
	case QuotaRequests, QuotaExchanges:
		return "The tunnel's quota is used up"
	case RelayOverload:
		return "The relay is too busy"
	case Unauthorized:
		return "This tunnel asks for credentials"
	case Forbidden:
		return "This tunnel does not admit you"
	case RequestTimeout:
		return "The request did not arrive in time"
	case RequestTooLarge:
		return "The request is too large"
	case RequestTargetTooLong:
		return "The URL is too long"
	case RequestHeadTooLarge:
		return "The request's header is too large"
	case RequestNotImplemented:
		return "The request asks for something that is not done here"
	case RequestVersion:
		return "This HTTP version is not served here"
	case RequestMisdirected:
		return "The certificate shown does not cover this host"
	case Loop:
		return "This tunnel leads back to itself"
	case Protocol:
		return "Agent and relay did not understand each other"
	case RequestBad, VisitorIncomplete:
		return "The request is not valid"
	}
	return "Something went wrong inside share"
}

// advice says what to do now, in whole sentences.
func (c Cause) advice() string {
	switch c {
	case TargetRefused:
		return "Start it, or share another port."
	case TargetConnectTimeout, TargetUnroutable:
		return "Check that it runs, and that no firewall is in between."
	case TargetNameUnknown, TargetNameTimeout:
		return "Check the name that is shared, and the resolver."
	case TargetNotPermitted:
		return "Let the user who runs share open it."
	case TargetTLS:
		return "Check that it speaks TLS: share it as http:// if it does not."
	case TargetCertificate:
		return "Mend its certificate, or share it with --insecure-target."
	case TargetClosed, TargetIncomplete:
		return "Look into its own log: it may have crashed."
	case TargetBadResponse:
		return "Check what listens there: share https:// or h2c:// if that is what it speaks."
	case TargetHeadTooLarge:
		return "Look at the cookies and fields that it sets."
	case TargetTimeout:
		return "It accepted the request and is still silent: look into its own log."
	case UpgradeFailed:
		return "Check that both sides mean the same protocol."
	case LinkLost:
		return "It comes back by itself: try again."
	case NoAgent:
		return "If it is yours, run share again. If not, ask whoever gave you the address."
	case UnknownName:
		return "Check the address, or ask whoever gave it to you."
	case Draining, Overload, RelayOverload, QuotaRequests, QuotaExchanges:
		return "Try again in a moment."
	case Unauthorized, Forbidden:
		return "Ask whoever gave you the address."
	case RequestTooLarge, RequestTargetTooLong, RequestHeadTooLarge:
		return "Send less of it."
	case RequestMisdirected:
		return "Use a new connection for this host."
	case Loop:
		return "Share the program itself, not the tunnel's own address."
	case RequestBad, RequestTimeout, RequestNotImplemented, RequestVersion, VisitorIncomplete:
		return "Check the program that sent it."
	case Protocol:
		return "Use the same version of share on both sides."
	}
	return "Try again; if it happens again, report it with the request's id."
}

// stage says where on the way request, relay, agent, target it failed.
func (c Cause) stage() string {
	switch {
	case TargetRefused <= c && c <= UpgradeFailed:
		return "target"
	}
	switch c {
	case LinkLost, NoAgent, Draining, Overload, Protocol:
		return "agent"
	case RequestBad, RequestTimeout, RequestTooLarge, RequestTargetTooLong, RequestHeadTooLarge,
		RequestNotImplemented, RequestVersion, RequestMisdirected, VisitorIncomplete:
		return "request"
	}
	return "relay"
}

// curable reports whether the failure ends when agent and target are up, so
// that a page may wait for that and reload. One of a target that is up and
// answers badly would come again at once.
func (c Cause) curable() bool {
	switch c {
	case TargetRefused, TargetConnectTimeout, TargetUnroutable, TargetNameUnknown, TargetNameTimeout,
		TargetNotPermitted, LinkLost, NoAgent, UnknownName, Draining:
		return true
	}
	return false
}

// retryAfter is the time a client should wait, 0 if the answer does not say.
func (c Cause) retryAfter() time.Duration {
	switch c.Status() {
	case 429, 503:
		if c == NoAgent {
			return 5 * time.Second
		}
		return time.Second
	}
	return 0
}
