package tunnel

import "errors"

// A Cause says what went wrong with an exchange. Its number travels on the
// wire in ERROR and RESET frames and never changes its meaning; its name
// stands in the Share-Error field and in every log.
type Cause uint16

// The causes. Those of the target are found by the agent, those of the
// request by the relay, the rest by either.
const (
	CauseNone Cause = iota // no failure

	TargetRefused         // nothing listens
	TargetConnectTimeout  // no answer to the connect
	TargetUnroutable      // no route
	TargetNameUnknown     // the name does not resolve
	TargetNameTimeout     // the resolver is silent
	TargetNotPermitted    // the unix socket may not be opened
	TargetTLS             // handshake failed
	TargetCertificate     // certificate not trusted
	TargetClosed          // EOF or RST before the first byte
	TargetBadResponse     // not HTTP, or framing in doubt
	TargetHeadTooLarge    // response head above the bound
	TargetIncomplete      // some bytes, then an end before the message was whole
	TargetTimeout         // no response head in time
	UpgradeFailed         // the target's 101 was not what was asked for
	LinkLost              // agent or lane died with the exchange open
	NoAgent               // name known, nobody connected
	UnknownName           // no such tunnel
	Draining              // the session or process is stopping
	Overload              // out of descriptors, streams or memory
	QuotaRequests         // more requests a second than a limit of the token
	Unauthorized          // a visitor policy asks for credentials
	Forbidden             // a visitor policy says no
	RequestBad            // RFC 9112 says 400
	RequestTimeout        // the head did not come in time
	RequestTooLarge       // body above the bound
	RequestTargetTooLong  // request-target above the bound
	RequestHeadTooLarge   // head above the bound
	RequestNotImplemented // a transfer coding or method share does not know
	RequestVersion        // major version not 1
	RequestMisdirected    // the certificate shown does not cover the Host
	Loop                  // the request met its own tunnel
	Internal              // a bug in share
	VisitorGone           // the visitor left; nobody is answered
	Protocol              // the peer broke this protocol
	VisitorIncomplete     // the visitor's upload was cut or malformed
	QuotaExchanges        // more exchanges at once than a limit of the token
	RelayOverload         // the relay is out of memory, descriptors or connections for an address
)

// CauseNamed returns the cause that Share-Error and the logs show as name, the
// first of those that share it; false if this program knows none.
func CauseNamed(name []byte) (Cause, bool) {
	for c := range causes {
		if causes[c].name == string(name) && c != int(CauseNone) {
			return Cause(c), true
		}
	}
	return CauseNone, false
}

// Status is the HTTP status of a failure's answer; 0 if nobody is answered.
func (c Cause) Status() int { return c.entry().status }

// String is the cause's name, as Share-Error and the logs show it.
func (c Cause) String() string { return c.entry().name }

// ProxyError is the cause's error type of RFC 9209 2.3.
func (c Cause) ProxyError() string { return c.entry().proxy }

// Phrase says in plain words what happened, for pages and terminals.
func (c Cause) Phrase() string { return c.entry().phrase }

func (c Cause) entry() causeEntry {
	if int(c) < len(causes) && causes[c].name != "" {
		return causes[c]
	}
	return causes[Internal]
}

type causeEntry struct {
	name   string
	status int
	proxy  string
	phrase string
}

var causes = [...]causeEntry{
	CauseNone:             {"none", 0, "", ""},
	TargetRefused:         {"target_refused", 502, "connection_refused", "the target refused the connection"},
	TargetConnectTimeout:  {"target_connect_timeout", 502, "connection_timeout", "the target did not answer the connect in time"},
	TargetUnroutable:      {"target_unreachable", 502, "destination_ip_unroutable", "there is no route to the target"},
	TargetNameUnknown:     {"target_unreachable", 502, "dns_error", "the target's name does not resolve"},
	TargetNameTimeout:     {"target_unreachable", 502, "dns_timeout", "the resolver did not answer for the target's name"},
	TargetNotPermitted:    {"target_unreachable", 502, "destination_ip_prohibited", "the target's socket may not be opened"},
	TargetTLS:             {"target_tls", 502, "tls_protocol_error", "the TLS handshake with the target failed"},
	TargetCertificate:     {"target_tls", 502, "tls_certificate_error", "the target's certificate is not trusted"},
	TargetClosed:          {"target_closed", 502, "connection_terminated", "the target closed the connection without an answer"},
	TargetBadResponse:     {"target_bad_response", 502, "http_protocol_error", "the target's answer is not valid HTTP"},
	TargetHeadTooLarge:    {"target_head_too_large", 502, "http_response_header_section_size", "the head of the target's answer is too large"},
	TargetIncomplete:      {"target_incomplete", 502, "http_response_incomplete", "the target's answer ended before it was whole"},
	TargetTimeout:         {"target_timeout", 504, "http_response_timeout", "the target did not answer in time"},
	UpgradeFailed:         {"upgrade_failed", 502, "http_upgrade_failed", "the target switched to a protocol that was not asked for"},
	LinkLost:              {"link_lost", 502, "connection_terminated", "the connection to the agent was lost"},
	NoAgent:               {"no_agent", 503, "destination_unavailable", "no agent is connected for this name"},
	UnknownName:           {"unknown_name", 404, "destination_not_found", "there is no tunnel of this name"},
	Draining:              {"draining", 503, "destination_unavailable", "the tunnel is stopping"},
	Overload:              {"overload", 503, "connection_limit_reached", "too many exchanges at once"},
	QuotaRequests:         {"quota", 429, "http_request_denied", "the tunnel's quota of requests is used up"},
	Unauthorized:          {"denied", 401, "http_request_denied", "this tunnel asks for credentials"},
	Forbidden:             {"denied", 403, "http_request_denied", "this tunnel does not admit you"},
	RequestBad:            {"bad_request", 400, "http_request_error", "the request is not valid HTTP"},
	RequestTimeout:        {"request_timeout", 408, "http_request_error", "the request did not arrive in time"},
	RequestTooLarge:       {"request_too_large", 413, "http_request_error", "the request's body is too large"},
	RequestTargetTooLong:  {"request_target_too_long", 414, "http_request_error", "the request's URL is too long"},
	RequestHeadTooLarge:   {"request_head_too_large", 431, "http_request_error", "the request's header is too large"},
	RequestNotImplemented: {"request_not_implemented", 501, "http_request_error", "the request asks for something this relay does not do"},
	RequestVersion:        {"request_version", 505, "http_request_error", "the request's HTTP version is not served here"},
	RequestMisdirected:    {"request_misdirected", 421, "http_request_error", "the certificate shown does not cover the requested host"},
	Loop:                  {"loop", 508, "proxy_loop_detected", "the request came back to its own tunnel"},
	Internal:              {"internal", 500, "proxy_internal_error", "share itself failed"},
	VisitorGone:           {"visitor_gone", 0, "", "the visitor left"},
	Protocol:              {"protocol", 502, "connection_terminated", "agent and relay did not understand each other"},
	VisitorIncomplete:     {"visitor_incomplete", 400, "http_request_error", "the request's body was cut or malformed"},
	QuotaExchanges:        {"quota", 503, "connection_limit_reached", "the tunnel's quota of open exchanges is used up"},
	RelayOverload:         {"overload", 503, "connection_limit_reached", "the relay has no room for more"},
}

// A Party is the side of the link that answers for a failure.
type Party uint8

const (
	Relay Party = iota
	Agent
)

// String is the party's name in Proxy-Status: share-relay or share-agent.
func (p Party) String() string {
	if p == Agent {
		return "share-agent"
	}
	return "share-relay"
}

// A Failure is why an exchange did not succeed: one value from where it
// happened to the visitor's page, the log line and the terminal.
type Failure struct {
	Cause        Cause
	By           Party  // who answers for it
	NextHop      string // the target as the user named it, if it is the agent's failure
	Detail       string // one line for the agent's owner and the logs
	NotProcessed bool   // the target has not seen the request: safe to try again
	AfterHead    bool   // the head had been sent: the visitor's connection must tell
	Err          error  // the underlying error, if any; never shown to a visitor
}

// Fail returns a failure of the given cause that wraps err, whose text is the
// detail. err may be nil.
func Fail(c Cause, err error) *Failure {
	f := &Failure{Cause: c, Err: err}
	if err != nil {
		f.Detail = err.Error()
	}
	return f
}

// Error gives the cause and its detail on one line.
func (f *Failure) Error() string {
	if f.Detail == "" {
		return f.Cause.String()
	}
	return f.Cause.String() + ": " + f.Detail
}

// Unwrap returns the underlying error.
func (f *Failure) Unwrap() error { return f.Err }

// AsFailure returns the Failure in err's chain; an error without one is a bug
// of share and becomes Internal. It returns nil for a nil error.
func AsFailure(err error) *Failure {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	return Fail(Internal, err)
}
