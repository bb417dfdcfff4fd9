package target

import (
	"bytes"
	"fmt"

	"share/tunnel"
)

// A Symptom is what a target says of how it is shared, by how it answers, where its
// owner can do something about that.
type Symptom struct {
	Code    string // names it to scripts, and stays what it is
	Message string // one line; may quote the target
	Cure    string // what to do, one line
}

// The codes of symptoms.
const (
	HostRefused   = "host_refused"   // the target does not know the Host that visitors send
	OriginRefused = "origin_refused" // it does not know the origin of the visitors' page
	RedirectLocal = "redirect_local" // it sends visitors to itself, where they cannot reach it
	SpeaksTLS     = "speaks_tls"     // it is spoken to in plain
	BodyTooLarge  = "body_too_large" // it takes no body of that size
	HMRRefused    = "hmr_refused"    // it refuses the WebSocket of hot reload
	MixedContent  = "mixed_content"  // its page, over https, loads what browsers do not
	OtherLoopback = "other_loopback" // it listens on the loopback address that is not the one named
)

// codes are all of them; the place of one is its bit in Target.told.
func codes() [8]string {
	return [...]string{HostRefused, OriginRefused, RedirectLocal, SpeaksTLS, BodyTooLarge, HMRRefused, MixedContent, OtherLoopback}
}

// tell passes a symptom on, the first time. It may be called from any goroutine.
func (t *Target) tell(code, cure, format string, args ...any) {
	if t.knows(code) || t.cfg.OnSymptom == nil {
		return
	}
	if bit := bitOf(code); t.told.Or(bit)&bit == 0 {
		t.cfg.OnSymptom(Symptom{code, fmt.Sprintf(format, args...), cure})
	}
}

// knows reports whether a symptom was told.
func (t *Target) knows(code string) bool { return t.told.Load()&bitOf(code) != 0 }

func bitOf(code string) uint32 {
	for i, c := range codes() {
		if c == code {
			return 1 << i
		}
	}
	return 0
}

// tellRefusal tells what refusal has found.
func (t *Target) tellRefusal(code, who string) {
	switch code {
	case HostRefused:
		t.tellHost(who)
	case OriginRefused:
		t.tell(code, nextCure, "Next.js refuses files to the origin of the visitors' page")
	case SpeaksTLS:
		t.tellTLS()
	}
}

const nextCure = "add the tunnel's host to allowedDevOrigins in next.config.js"

func (t *Target) tellHost(who string) {
	cure := "share it with --host-header target"
	if !t.KeepsHost() {
		cure = "add the host of --host-header to those that it allows"
	}
	t.tell(HostRefused, cure, "%s refuses the Host that visitors send", who)
}

func (t *Target) tellTLS() {
	a := t.cfg.Address
	a.Scheme = HTTPS
	if t.h2 != nil {
		a.Scheme = H2
	}
	cure := "share it as " + a.String()
	if a.Path != "" {
		cure = "have it speak plain HTTP at its socket"
	}
	t.tell(SpeaksTLS, cure, "the target speaks TLS, and is spoken to in plain")
}

// socketRefused looks at a request for a WebSocket that the target has refused, or
// never sees for what it is: hot reload is known by its protocol, or its path.
func (t *Target) socketRefused(req *tunnel.Request, upgrade []byte) {
	if !tunnel.EqualFold(upgrade, "websocket") {
		return
	}
	vite := bytes.HasPrefix(req.Header.Get("sec-websocket-protocol"), []byte("vite-hmr"))
	switch {
	case !vite && !bytes.HasPrefix(req.Target, []byte("/_next/")):
	case t.h2 != nil:
		a := t.cfg.Address
		a.Scheme = HTTP
		if t.cfg.Address.secure() {
			a.Scheme = HTTPS
		}
		t.tell(HMRRefused, "share it as "+a.String(), "the WebSocket of hot reload does not come over HTTP/2")
	case vite:
		cure := "share it with --host-header target"
		if !t.KeepsHost() {
			cure = "reload the page; look at server.hmr in vite.config.js"
		}
		t.tell(HMRRefused, cure, "Vite refuses the WebSocket of hot reload")
	default:
		t.tell(HMRRefused, nextCure, "Next.js refuses the WebSocket of hot reload")
	}
}

// unanswered looks at what came in place of a head, before the connection ended.
func (f *flight) unanswered(begin []byte) {
	switch {
	case f.t.cfg.OnSymptom == nil || len(begin) == 0:
	case isAlertRecord(begin) && f.c.tls == nil:
		f.t.tellTLS()
	case f.upgrade != nil && bytes.HasPrefix(begin, []byte("Unauthorized")):
		f.t.socketRefused(f.req, f.upgrade) // Next.js writes no more than that
	}
}

// isAlertRecord reports whether b begins as an alert of TLS does (RFC 8446 5.1).
func isAlertRecord(b []byte) bool {
	return len(b) >= 3 && b[0] == 21 && b[1] == 3 && b[2] <= 4
}
