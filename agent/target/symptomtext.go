package target

import (
	"bytes"

	"share/tunnel"
)

// webpackText is all that webpack-dev-server answers, before version 5 with 200.
const webpackText = "Invalid Host header"

// refusal finds the text of a server that refuses a request for how it came, in
// what has come of the body of its answer, of which it has seen the first known
// bytes before. A text that merely quotes another is none: what begins a body does
// so, and what does not stands in its own markup.
func refusal(status int, target, body []byte, known int) (code, who string) {
	begins := func(text string) bool { return bytes.HasPrefix(body, []byte(text)) }
	holds := func(text string) bool { return bytes.Contains(body[max(known-len(text)+1, 0):], []byte(text)) }
	switch status {
	case 403:
		switch {
		case begins("Blocked request. This host ("):
			return HostRefused, "Vite"
		case holds("<h1>Blocked request. This host ("):
			return HostRefused, "Angular"
		case holds("<h1>Blocked host: "), holds("<h1>Blocked hosts: "):
			return HostRefused, "Rails"
		case begins("Unauthorized") && isNext(target):
			return OriginRefused, "Next.js"
		}
	case 400:
		switch {
		case holds("<title>DisallowedHost\n"), begins("DisallowedHost at "):
			return HostRefused, "Django"
		case begins("<!doctype html>\n<html lang=en>\n<title>400 Bad Request</title>") && holds("is not trusted.</p>"):
			return HostRefused, "Flask"
		case begins("Client sent an HTTP request to an HTTPS server."),
			holds("<title>400 The plain HTTP request was sent to HTTPS port</title>"),
			holds("\nReason: You're speaking plain HTTP to an SSL-enabled server port."):
			return SpeaksTLS, ""
		}
	}
	return "", ""
}

// isNext reports whether target is of those that Next.js keeps from other origins.
func isNext(target []byte) bool {
	return bytes.HasPrefix(target, []byte("/_next/")) || bytes.HasPrefix(target, []byte("/__nextjs"))
}

// redirected looks where a redirect that answers req leads.
func (t *Target) redirected(req *tunnel.Request, location []byte) {
	host := hostOf(location)
	if host == nil || bytes.EqualFold(host, req.Authority) {
		return
	}
	if !isOwnMachine(host) && !tunnel.EqualFold(host, t.self) {
		return
	}
	cure := "have it redirect to a path, or to the Host of the request"
	if !t.KeepsHost() {
		cure = "leave --host-header away, or have it go by X-Forwarded-Host and X-Forwarded-Proto"
	}
	t.tell(RedirectLocal, cure, "the target redirects visitors to %.100s, which is not the tunnel", host)
}

// hostOf gives host and port of a URL that names them, nil for any other.
func hostOf(url []byte) []byte {
	if tunnel.HasPrefixFold(url, "http:") || tunnel.HasPrefixFold(url, "https:") {
		_, url, _ = bytes.Cut(url, []byte{':'})
	}
	host, ok := bytes.CutPrefix(url, []byte("//"))
	if !ok {
		return nil
	}
	if i := bytes.IndexAny(host, "/?#\\\"'<> "); i >= 0 {
		host = host[:i]
	}
	return host
}

// isOwnMachine reports whether a host, with or without a port, is what everybody
// has for himself.
func isOwnMachine(host []byte) bool {
	for _, own := range []string{"localhost", "127.0.0.1", "[::1]", "0.0.0.0"} {
		if tunnel.HasPrefixFold(host, own) && (len(host) == len(own) || host[len(own)] == ':') {
			return true
		}
	}
	return false
}

// loads gives the first URL in page that a browser would load from http, where it
// is not there, or is refused in a page that came over https: on the visitor's own
// machine, or at authority, which is the tunnel's. A link to somewhere loads
// nothing.
func loads(page, authority []byte) []byte {
	const scheme = "http://"
	for {
		i := bytes.Index(page, []byte(scheme))
		if i < 0 {
			return nil
		}
		host := hostOf(page[i:])
		if isLoaded(page[:i]) && (isOwnMachine(host) || len(host) > 0 && bytes.EqualFold(host, authority)) {
			return page[i : i+len(scheme)+len(host)]
		}
		page = page[i+len(scheme):]
	}
}

// isLoaded reports whether what follows before is the value of an attribute whose
// URL is loaded: src in any element, href in link.
func isLoaded(before []byte) bool {
	element := before[bytes.LastIndexByte(before, '<')+1:]
	if len(element) == len(before) || bytes.IndexByte(element, '>') >= 0 {
		return false
	}
	attribute := bytes.TrimRight(element, "\"'")
	for _, name := range []string{" src=", "\nsrc=", "\tsrc="} {
		if hasSuffixFold(attribute, name) {
			return true
		}
	}
	return tunnel.HasPrefixFold(element, "link ") && hasSuffixFold(attribute, "href=")
}

func hasSuffixFold(b []byte, suffix string) bool {
	return len(b) >= len(suffix) && tunnel.EqualFold(b[len(b)-len(suffix):], suffix)
}
