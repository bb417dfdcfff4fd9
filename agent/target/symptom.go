package target

import (
	"bytes"
	"fmt"

	"share/tunnel"
)

// A Symptom is what an answer of a target says of how it is shared, where its
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
)

// codes are all of them; the place of one is its bit in Target.told.
func codes() [7]string {
	return [...]string{HostRefused, OriginRefused, RedirectLocal, SpeaksTLS, BodyTooLarge, HMRRefused, MixedContent}
}

// How far into a body is looked. A Rails page has five kilobytes of style before
// what it says; what a page loads stands in its head.
const (
	refusalWindow = 16 << 10
	pageWindow    = 2 << 10
)

// A suspicion is what the head of an answer has one look for in the body.
type suspicion uint8

const (
	suspectNothing suspicion = iota
	suspectRefusal           // the text of a server that refuses
	suspectPage              // the address of what a page loads
	suspectFrame             // the first message of a WebSocket
)

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

// suspect looks at the head in f.resp, and sets what the body is searched for.
// Most answers are none of those that it looks at twice.
func (f *flight) suspect() {
	f.suspicion, f.searched = suspectNothing, 0
	if f.t.cfg.OnSymptom == nil {
		return
	}
	switch status := f.resp.Status; status {
	case 101:
		if !f.t.knows(HMRRefused) {
			f.suspicion = suspectFrame
		}
	case 200:
		switch {
		case f.resp.ContentLength == int64(len(webpackText)):
			f.suspicion = suspectRefusal
		case f.req.Flags&tunnel.RequestHTTPS != 0 && !f.t.knows(MixedContent) &&
			tunnel.HasPrefixFold(f.resp.Fields.Get("content-type"), "text/html"):
			f.suspicion = suspectPage
		}
	case 301, 302, 303, 307, 308:
		f.redirected()
	case 413:
		f.t.tell(BodyTooLarge, "raise its limit: client_max_body_size in nginx, the limit of express.json and the like",
			"the target takes no body of that size (413)")
	case 421:
		f.t.tellHost("the target")
	case 400, 403:
		f.suspicion = suspectRefusal
		fallthrough
	default:
		if status >= 400 && f.upgrade != nil {
			f.socketRefused()
		}
	}
}

// examine searches the next bytes of a body, which are not kept: a text that comes
// in two pieces is not found.
func (f *flight) examine(p []byte) {
	window := refusalWindow
	if f.suspicion == suspectPage {
		window = pageWindow
	}
	first := f.searched == 0
	p = p[:min(len(p), window-f.searched)]
	f.searched += len(p)
	switch f.suspicion {
	case suspectRefusal:
		f.t.tellRefusal(refusal(f.resp.Status, f.req.Target, p, first))
	case suspectPage:
		if url := loads(p, f.req.Authority); url != nil {
			f.t.tell(MixedContent, "use URLs without a host, or have the target go by X-Forwarded-Proto and X-Forwarded-Host",
				"the page that visitors see over https loads %.100s", url)
		}
	case suspectFrame:
		if bytes.Contains(p[:min(len(p), maxFrame)], []byte("Invalid Host/Origin header")) {
			f.t.tell(HMRRefused, "add the tunnel's host to devServer.allowedHosts in webpack.config.js", "webpack-dev-server refuses the WebSocket of hot reload")
		}
		f.suspicion = suspectNothing
	}
	if f.searched == window {
		f.suspicion = suspectNothing
	}
}

// maxFrame holds the message in which webpack-dev-server refuses a WebSocket.
const maxFrame = 256

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
	if t.host != "" {
		cure = "add the host of --host-header to those that it allows"
	}
	t.tell(HostRefused, cure, "%s refuses the Host that visitors send", who)
}

func (t *Target) tellTLS() {
	a := t.cfg.Address
	a.Scheme = HTTPS
	cure := "share it as " + a.String()
	if a.Path != "" {
		cure = "have it speak plain HTTP at its socket"
	}
	t.tell(SpeaksTLS, cure, "the target speaks TLS, and is spoken to in plain")
}

// socketRefused looks at a request for a WebSocket that the target has refused:
// hot reload is known by its protocol, or its path.
func (f *flight) socketRefused() {
	if !tunnel.EqualFold(f.upgrade, "websocket") {
		return
	}
	switch {
	case bytes.HasPrefix(f.req.Header.Get("sec-websocket-protocol"), []byte("vite-hmr")):
		cure := "share it with --host-header target"
		if f.t.host != "" {
			cure = "reload the page; look at server.hmr in vite.config.js"
		}
		f.t.tell(HMRRefused, cure, "Vite refuses the WebSocket of hot reload")
	case bytes.HasPrefix(f.req.Target, []byte("/_next/")):
		f.t.tell(HMRRefused, nextCure, "Next.js refuses the WebSocket of hot reload")
	}
}

// unanswered looks at what came in place of a head, before the connection ended.
func (f *flight) unanswered(begin []byte) {
	switch {
	case f.t.cfg.OnSymptom == nil || len(begin) == 0:
	case isAlertRecord(begin) && f.c.tls == nil:
		f.t.tellTLS()
	case f.upgrade != nil && bytes.HasPrefix(begin, []byte("Unauthorized")):
		f.socketRefused() // Next.js writes no more than that
	}
}

// isAlertRecord reports whether b begins as an alert of TLS does (RFC 8446 5.1).
func isAlertRecord(b []byte) bool {
	return len(b) >= 3 && b[0] == 21 && b[1] == 3 && b[2] <= 4
}
