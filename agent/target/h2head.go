package target

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"share/tunnel"
	"share/tunnel/http1"
)

var (
	errSwitch  = errors.New("101 in HTTP/2, which knows no switch of protocols")
	errLengths = errors.New("more than one Content-Length")
	errLength  = errors.New("malformed Content-Length")
)

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
			// RFC 9113 8.2.1 wants none there; HTTP/1.1 has it cleaned.
			fields.Add(name, strings.Trim(v, " \t"))
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

// checkHead finds what is wrong with a head that net/http has let pass. Passed on,
// it would look as if the agent had made it.
func (t *Target) checkHead(status int, h http.Header) *tunnel.Failure {
	switch {
	case status == 101: // RFC 9113 8.6
		return t.fail(tunnel.UpgradeFailed, errSwitch)
	case status < 100 || status > 599:
		return t.fail(tunnel.TargetBadResponse, fmt.Errorf("status code %d outside 100 to 599", status))
	}
	lengths := h["Content-Length"]
	if len(lengths) > 1 {
		return t.fail(tunnel.TargetBadResponse, errLengths)
	}
	for _, v := range lengths {
		if n, err := strconv.ParseUint(v, 10, 63); err != nil || n > http1.MaxLength {
			return t.fail(tunnel.TargetBadResponse, errLength)
		}
	}
	return nil
}

// checkSize holds the fields of a head, or trailers, to the bounds of a head in
// HTTP/1.1.
func (t *Target) checkSize(h tunnel.Header) *tunnel.Failure {
	if len(h) > http1.MaxResponseFields {
		return t.fail(tunnel.TargetHeadTooLarge, fmt.Errorf("%d fields", len(h)))
	}
	n := 0
	for _, f := range h {
		n += len(f.Name) + len(f.Value) + len(": \r\n")
	}
	if n > http1.MaxResponseHead {
		return t.fail(tunnel.TargetHeadTooLarge, fmt.Errorf("fields of %d bytes", n))
	}
	return nil
}
