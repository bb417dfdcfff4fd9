package target

import (
	"bytes"

	"share/tunnel"
)

// How far into a body is looked. A Rails page has five kilobytes of style before
// what it says; what a page loads stands in its head.
const (
	refusalWindow = 16 << 10
	pageWindow    = 2 << 10
)

// maxFrame holds the message in which webpack-dev-server refuses a WebSocket.
const maxFrame = 256

// A suspicion is what the head of an answer has one look for in the body.
type suspicion uint8

const (
	suspectNothing suspicion = iota
	suspectRefusal           // the text of a server that refuses
	suspectPage              // the address of what a page loads
	suspectFrame             // the first message of a WebSocket
)

// A search looks at one answer for symptoms, as its bytes pass: first at its head,
// then at its body. Its zero value looks for nothing.
type search struct {
	t      *Target
	req    *tunnel.Request
	status int
	suspicion

	searched int    // how much of the body was
	text     []byte // that much of it, as long as it may be a refusal
}

// head looks at the final head of t's answer to req, and sets what the body, of
// length bytes or -1, is searched for. upgrade are the protocols asked for, nil if
// none; field gives the value of a field, which may change with the next call.
// Most answers are none of those that it looks at twice.
func (s *search) head(t *Target, req *tunnel.Request, upgrade []byte, status int, length int64, field func(name string) []byte) {
	s.suspicion = suspectNothing
	if t.cfg.OnSymptom == nil {
		return
	}
	if upgrade != nil && (status >= 400 || t.h2 != nil) {
		t.socketRefused(req, upgrade)
	}
	switch status {
	case 101:
		if !t.knows(HMRRefused) {
			s.suspicion = suspectFrame
		}
	case 200:
		switch {
		case length == int64(len(webpackText)):
			s.suspicion = suspectRefusal
		case req.Flags&tunnel.RequestHTTPS != 0 && !t.knows(MixedContent) && tunnel.HasPrefixFold(field("content-type"), "text/html"):
			s.suspicion = suspectPage
		}
	case 301, 302, 303, 307, 308:
		t.redirected(req, field("location"))
	case 400, 403:
		s.suspicion = suspectRefusal
	case 413:
		t.tell(BodyTooLarge, "raise its limit: client_max_body_size in nginx, the limit of express.json and the like",
			"the target takes no body of that size (413)")
	case 421:
		t.tellHost("the target")
	}
	if s.suspicion != suspectNothing {
		s.t, s.req, s.status, s.searched, s.text = t, req, status, 0, nil
	}
}

// body searches the next bytes of the body. What a page loads is not found where it
// comes in two pieces.
func (s *search) body(p []byte) {
	window := refusalWindow
	if s.suspicion == suspectPage {
		window = pageWindow
	}
	p = p[:min(len(p), window-s.searched)]
	s.searched += len(p)
	switch s.suspicion {
	case suspectRefusal:
		known := len(s.text)
		s.text = append(s.text, p...)
		if code, who := refusal(s.status, s.req.Target, s.text, known); code != "" {
			s.t.tellRefusal(code, who)
			s.stop()
		}
	case suspectPage:
		if url := loads(p, s.req.Authority); url != nil {
			s.t.tell(MixedContent, "use URLs without a host, or have the target go by X-Forwarded-Proto and X-Forwarded-Host",
				"the page that visitors see over https loads %.100s", url)
		}
	case suspectFrame:
		if bytes.Contains(p[:min(len(p), maxFrame)], []byte("Invalid Host/Origin header")) {
			s.t.tell(HMRRefused, "add the tunnel's host to devServer.allowedHosts in webpack.config.js", "webpack-dev-server refuses the WebSocket of hot reload")
		}
		s.stop()
	}
	if s.searched == window {
		s.stop()
	}
}

// end says that the body was whole.
func (s *search) end() {
	if s.suspicion == suspectRefusal && s.status != 400 && string(bytes.TrimSpace(s.text)) == webpackText {
		s.t.tellHost("webpack-dev-server")
	}
	s.stop()
}

// stop looks for nothing more, and keeps nothing.
func (s *search) stop() { *s = search{} }
