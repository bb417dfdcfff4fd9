package meter

import "share/tunnel"

// A Refusal is why a connection came to be nobody's: neither a visitor's nor an
// agent's.
type Refusal uint8

const (
	RefusedToken    Refusal = iota // an agent's token was unknown, or missing
	RefusedInsecure                // a token would have travelled in plain
	RefusedVersion                 // no common version of the protocol
	RefusedSession                 // a lane for a session that is not there
	RefusedDraining                // the relay was stopping, or could not look tokens up
	RefusedProtocol                // an agent broke the protocol
	RefusedTLS                     // the TLS handshake failed
	RefusedFront                   // a front sent no header of the PROXY protocol
	RefusedSilent                  // what came told nothing, or did not come in time
	RefusedOverload                // there was no room for it
	RefusedOther

	refusals = iota
)

var refusalNames = [refusals]string{
	RefusedToken:    "token",
	RefusedInsecure: "insecure",
	RefusedVersion:  "version",
	RefusedSession:  "session",
	RefusedDraining: "draining",
	RefusedProtocol: "protocol",
	RefusedTLS:      "tls",
	RefusedFront:    "front",
	RefusedSilent:   "silent",
	RefusedOverload: "overload",
	RefusedOther:    "other",
}

// RefusalOf is the Refusal that an agent was told by code.
func RefusalOf(code tunnel.RejectCode) Refusal {
	for r, name := range refusalNames {
		if name == string(code) {
			return Refusal(r)
		}
	}
	return RefusedOther
}
