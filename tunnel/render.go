package tunnel

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Bounds on what an answer repeats, so that a visitor's long URL or a target's
// long name does not make a header that clients refuse.
const (
	maxShownHop  = 256
	maxShownNote = 256
	maxShownURL  = 2 << 10
	maxShownID   = 64
)

// A Reveal says how much of its target an answer shows.
type Reveal uint8

const (
	RevealLoopback Reveal = iota // the address, when it is a loopback one
	RevealFull                   // the address always
	RevealBrief                  // the address never
)

// A Style says how failures are shown to visitors. The zero value works, and
// so does a nil one. A Style is not changed by use: any number of goroutines
// may share it.
type Style struct {
	// Reveal says whether visitors see the target's address.
	Reveal Reveal
	// Pages replace the HTML page. If nil, the built-in one.
	Pages *Pages
}

// Asking is what is known of a visitor's request when its failure is rendered.
// Nothing of it need be set, nor valid.
type Asking struct {
	Method []byte // as received
	Accept []byte // the Accept fields' values, joined with commas
	ID     string // the request's id
	URL    string // what was asked for, as the page shows it
	Note   string // one line about the target that visitors may see: "last seen up 12 s ago"
}

// Answer renders f as a complete response: status, fields and body. The answer
// says in Proxy-Status (RFC 9209), Share-Error and Share-Request-Id that share
// made it and why. Its body is an HTML page, application/problem+json
// (RFC 9457) or two lines of text, as a.Accept prefers; text when in doubt.
// For HEAD the body is nil and the fields are those of a GET.
//
// Visitors see the cause, its phrase, a.Note, a.URL and, where s allows it,
// f.NextHop; never f.Detail nor f.Err. A 401 still wants a WWW-Authenticate
// field from whoever knows the scheme (RFC 9110 15.5.2). A failure whose cause
// has no status (the visitor has left) is answered as Internal.
func (s *Style) Answer(f *Failure, a Asking) (*Response, []byte) {
	if s == nil {
		s = &Style{}
	}
	cause := f.Cause
	if cause.Status() == 0 {
		cause = Internal
	}
	v := &view{
		Status:    cause.Status(),
		Reason:    http.StatusText(cause.Status()),
		Cause:     cause.String(),
		Phrase:    cause.Phrase(),
		By:        f.By.String(),
		RequestID: printable(a.ID, maxShownID),
		Note:      printable(a.Note, maxShownNote),
		Method:    printable(string(a.Method), maxShownID),
		URL:       printable(a.URL, maxShownURL),
		Time:      time.Now().UTC(),
		Polls:     string(a.Method) == "GET" && cause.curable(),
	}
	if s.shows(f.NextHop) {
		v.Target = printable(f.NextHop, maxShownHop)
	}
	v.Headline, v.Advice = cause.Headline(v.Target), cause.advice()
	v.Broken = cause.stage()

	var h Header
	h.Add("Date", v.Time.Format(http.TimeFormat))
	h.Add("Proxy-Status", proxyStatus(cause, v))
	h.Add("Share-Error", v.Cause)
	if v.RequestID != "" {
		h.Add("Share-Request-Id", v.RequestID)
	}
	h.Add("Cache-Control", "no-store")
	h.Add("X-Content-Type-Options", "nosniff")
	if d := cause.retryAfter(); d > 0 {
		h.Add("Retry-After", strconv.Itoa(int(d/time.Second)))
	}

	var body []byte
	switch negotiate(a.Accept) {
	case asHTML:
		var policy string
		body, policy = s.Pages.render(v)
		h.Add("Content-Type", "text/html; charset=utf-8")
		if policy != "" {
			h.Add("Content-Security-Policy", policy)
		}
	case asJSON:
		body = v.problem()
		h.Add("Content-Type", "application/problem+json")
	default:
		body = v.text()
		h.Add("Content-Type", "text/plain; charset=utf-8")
	}
	h.Add("Content-Length", strconv.Itoa(len(body)))

	r := &Response{Status: v.Status, Reason: []byte(v.Reason), ContentLength: int64(len(body)), Header: h}
	if f.By == Agent {
		r.Flags |= ResponseAgent
	}
	if string(a.Method) == "HEAD" {
		r.ContentLength, body = 0, nil
	}
	return r, body
}

// shows reports whether visitors may see the address hop.
func (s *Style) shows(hop string) bool {
	switch s.Reveal {
	case RevealFull:
		return hop != ""
	case RevealBrief:
		return false
	}
	return loopback(hop)
}

// loopback reports whether hop, a target as a user names it (port, host:port,
// URL), is on the loopback interface. The path of a unix socket is not: it
// tells of users and folders.
func loopback(hop string) bool {
	if _, rest, ok := strings.Cut(hop, "://"); ok {
		hop = rest
	}
	host := hop
	if i := strings.IndexByte(host, '/'); i >= 0 {
		host = host[:i]
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// proxyStatus gives the member of a Proxy-Status list (RFC 9209 2).
func proxyStatus(c Cause, v *view) string {
	b := make([]byte, 0, 160)
	b = append(b, v.By...)
	b = append(append(b, "; error="...), c.ProxyError()...)
	if v.Target != "" {
		b = appendQuoted(append(b, "; next-hop="...), v.Target)
	}
	details := v.Phrase
	if v.Note != "" {
		details += "; " + v.Note
	}
	return string(appendQuoted(append(b, "; details="...), details))
}

// appendQuoted appends s as a string of RFC 8941 3.3.3: printable ASCII, with
// a question mark for each character that is none.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r < ' ' || r > '~':
			b = append(b, '?')
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		default:
			b = append(b, byte(r))
		}
	}
	return append(b, '"')
}

// printable gives s on one line of printable ASCII, cut at max bytes. Other
// characters become question marks: what stands in a field, a terminal or a
// log must not move the cursor, nor look like something else.
func printable(s string, max int) string {
	clean := len(s) <= max
	for i := 0; clean && i < len(s); i++ {
		clean = ' ' <= s[i] && s[i] <= '~'
	}
	if clean {
		return s
	}
	b := make([]byte, 0, min(len(s), max))
	for _, r := range s {
		if len(b) == max-3 {
			return string(append(b, "..."...))
		}
		if r < ' ' || r > '~' {
			r = '?'
		}
		b = append(b, byte(r))
	}
	return string(b)
}

// text gives two lines that name cause and target, for people at a prompt.
func (v *view) text() []byte {
	var b bytes.Buffer
	b.WriteString(strconv.Itoa(v.Status) + " " + v.Cause + ": " + v.Headline)
	if v.Note != "" {
		b.WriteString(" (" + v.Note + ")")
	}
	b.WriteString(".\n" + v.Advice + " [" + v.By)
	if v.RequestID != "" {
		b.WriteString(", request " + v.RequestID)
	}
	b.WriteString("]\n")
	return b.Bytes()
}

// problem gives the problem details of RFC 9457. Its type is about:blank, so
// its title is the status's own; cause, target and request_id are extensions.
func (v *view) problem() []byte {
	detail := v.Headline
	if v.Note != "" {
		detail += " (" + v.Note + ")"
	}
	b, err := json.Marshal(struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail"`
		Cause     string `json:"cause"`
		By        string `json:"by"`
		Target    string `json:"target,omitempty"`
		RequestID string `json:"request_id,omitempty"`
	}{"about:blank", v.Reason, v.Status, detail + ". " + v.Advice, v.Cause, v.By, v.Target, v.RequestID})
	if err != nil {
		return nil // strings and an int always marshal
	}
	return append(b, '\n')
}
