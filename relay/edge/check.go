package edge

import (
	"bytes"
	"fmt"
	"strconv"

	"share/tunnel"
	"share/tunnel/http1"
)

// What an agent must not send would break the visitor's connection, which
// other tunnels may share behind a proxy: it is refused here, whoever the
// agent is.

// checkResponse checks a final response to a request of the given method.
func checkResponse(r *tunnel.Response, method []byte) error {
	if r.Status < 200 || r.Status > 599 {
		return violation("status %d", r.Status)
	}
	bodyless := string(method) == "HEAD" || r.Status == 204 || r.Status == 304
	if bodyless && r.ContentLength != 0 {
		return violation("a body where none may be")
	}
	lengths := 0
	for _, f := range r.Header {
		if !tunnel.EqualFold(f.Name, "content-length") {
			continue
		}
		n, err := strconv.ParseUint(string(f.Value), 10, 62)
		if lengths++; err != nil || lengths > 1 || !bodyless && r.ContentLength >= 0 && int64(n) != r.ContentLength {
			return violation("Content-Length differs from the body's")
		}
	}
	return checkHead(r)
}

// checkUpgrade checks a response that switches protocols; asked is what the
// visitor asked for (RFC 9110 15.2.2).
func checkUpgrade(r *tunnel.Response, asked []byte) error {
	if r.Status != 101 || !http1.Asked(asked, r.Header.Get("upgrade")) {
		return violation("a switch of protocols that nobody asked for")
	}
	return checkHead(r)
}

// checkHead checks the reason phrase and the fields of any response.
func checkHead(r *tunnel.Response) error {
	if bytes.ContainsAny(r.Reason, "\r\n\x00") {
		return violation("invalid reason phrase")
	}
	if err := checkFields(r.Header); err != nil {
		return err
	}
	var none http1.Response
	for _, f := range r.Header {
		// Those that end at a hop are the relay's to set (RFC 9110 7.6.1).
		if none.Ends(f.Name) && !(r.Status == 101 && tunnel.EqualFold(f.Name, "upgrade")) ||
			r.Status < 200 && tunnel.EqualFold(f.Name, "content-length") {
			return violation("a field %.60q", f.Name)
		}
	}
	return nil
}

// checkTrailers checks what stands behind a body.
func checkTrailers(h tunnel.Header) error {
	if len(h) == 0 {
		return nil
	}
	if len(http1.ForwardTrailers(nil, h)) != len(h) {
		return violation("a field that may not stand in trailers")
	}
	return checkFields(h)
}

func checkFields(h tunnel.Header) error {
	for _, f := range h {
		if !http1.ValidName(f.Name) || !http1.ValidValue(f.Value) {
			return violation("invalid field %.60q", f.Name)
		}
	}
	return nil
}

// violation is what the agent must not do.
func violation(format string, args ...any) error {
	return &tunnel.Failure{Cause: tunnel.Protocol, Detail: fmt.Sprintf(format, args...)}
}
