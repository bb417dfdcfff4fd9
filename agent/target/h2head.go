package target

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"share/tunnel"
	"share/tunnel/http1"
)

// maxHeadSize bounds the head of a response as it does in HTTP/1.1.
const maxHeadSize = http1.MaxResponseHead

// requestHeader gives the visitor's fields to net/http, less those that end
// here and those that it sets itself.
func requestHeader(r *tunnel.Request) http.Header {
	h := make(http.Header, len(r.Header)+2)
	for _, f := range r.Header {
		if kindOf(f.Name) == fieldOther && !tunnel.EqualFold(f.Name, "trailer") {
			h.Add(string(f.Name), string(f.Value))
		}
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // or net/http invents one
	}
	if r.Flags&tunnel.RequestTrailers != 0 {
		h.Set("Te", "trailers")
	}
	return h
}

// announced gives the trailers that a request's Trailer fields name (RFC 9110
// 6.6.2): net/http sends no others.
func announced(h tunnel.Header) http.Header {
	var trailer http.Header
	for _, f := range h {
		if !tunnel.EqualFold(f.Name, "trailer") {
			continue
		}
		for name := range strings.SplitSeq(string(f.Value), ",") {
			name = strings.TrimSpace(name)
			if !http1.ValidName([]byte(name)) || kindOf([]byte(name)) != fieldOther || strings.EqualFold(name, "trailer") {
				continue
			}
			if trailer == nil {
				trailer = make(http.Header)
			}
			trailer[http.CanonicalHeaderKey(name)] = nil
		}
	}
	return trailer
}

// responseFields gives a response's fields as the tunnel carries them, less
// those that end here and those that are share's. Their order across names was
// lost in net/http.
func responseFields(h http.Header, status int) tunnel.Header {
	fields := make(tunnel.Header, 0, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		switch kindOf([]byte(name)) {
		case fieldEnds, fieldUpgrade, fieldShare:
			continue
		case fieldLength:
			if status < 200 || status == 204 {
				continue
			}
		}
		for _, v := range h[name] {
			fields.Add(name, v)
		}
	}
	return scrub(fields)
}

// trailerFields is responseFields for trailers.
func trailerFields(h http.Header) tunnel.Header {
	return http1.ForwardTrailers(nil, responseFields(h, http.StatusOK))
}

// withTrailer returns the response's header with the Trailer field that
// net/http has taken out of it.
func withTrailer(resp *http.Response) http.Header {
	if len(resp.Trailer) > 0 {
		resp.Header["Trailer"] = []string{strings.Join(slices.Sorted(maps.Keys(resp.Trailer)), ", ")}
	}
	return resp.Header
}

// headSize is what h takes as the tunnel carries it, and a little more.
func headSize(h http.Header) int {
	n := 0
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}
