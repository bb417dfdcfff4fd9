package edge

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"time"

	"share/tunnel"
)

// dispatch finds where a request leads and answers it. name is its host in
// canonical form.
func (e *Edge) dispatch(ctx context.Context, v visitor, r *request, name []byte) outcome {
	if r.refusal != nil {
		return e.refuse(v, r, r.refusal)
	}
	if e.Proof != nil {
		if text, ok := e.proof(r); ok {
			return e.page(v, r, 200, "OK", text)
		}
	}
	if !r.covered {
		return e.decline(v, r, name)
	}
	r.place = e.Lookup(name)
	switch {
	case r.place.Home:
		return e.home(v, r)
	case r.place.Tunnel == nil:
		return e.refuse(v, r, tunnel.Fail(tunnel.UnknownName, nil))
	}
	if e.Full != nil {
		if f := e.Full(); f != nil {
			return e.refuse(v, r, f)
		}
	}
	if looped(r.Header, r.place.Tunnel.Pseudonym) {
		return e.refuse(v, r, tunnel.Fail(tunnel.Loop, nil))
	}
	via := r.place.Tunnel.Via
	if r.Flags&tunnel.RequestHTTP2 != 0 {
		via = r.place.Tunnel.Via2
	}
	r.Header = append(r.Header, via)
	if e.Timing {
		r.Header = append(r.Header, timingAsk())
	}
	return e.carry(ctx, v, r)
}

// wellKnown is below what a CA looks at (RFC 8615).
const wellKnown = "/.well-known/"

// proof is what a CA gets that comes for a proof, whatever the host.
func (e *Edge) proof(r *request) (text string, ok bool) {
	if string(r.Method) != "GET" || !bytes.HasPrefix(r.Target, []byte(wellKnown)) {
		return "", false
	}
	return e.Proof(string(r.Target))
}

// home answers for the relay's own host.
func (e *Edge) home(v visitor, r *request) outcome {
	path, _, _ := strings.Cut(string(r.Target), "?")
	switch {
	case path == tunnel.ConnectPath && e.Agent != nil:
		return e.connect(v, r)
	case path != "/":
		return e.page(v, r, 404, "Not Found", "There is no such page on this relay.\n")
	case string(r.Method) != "GET" && string(r.Method) != "HEAD":
		return e.page(v, r, 405, "Method Not Allowed", "This page can only be read.\n", "Allow", "GET, HEAD")
	}
	return e.page(v, r, 200, "OK", e.Home)
}

// page answers with text; fields are names and values in turn.
func (e *Edge) page(v visitor, r *request, status int, reason, text string, fields ...string) outcome {
	resp := &tunnel.Response{Status: status, Reason: []byte(reason)}
	for i := 0; i < len(fields); i += 2 {
		resp.Header.Add(fields[i], fields[i+1])
	}
	resp.Header.Add("Cache-Control", "no-store")
	return e.own(v, r, resp, []byte(text))
}

// own sends text of the relay's own.
func (e *Edge) own(v visitor, r *request, resp *tunnel.Response, text []byte) outcome {
	resp.Header.Add("Date", time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	resp.Header.Add("Content-Type", "text/plain; charset=utf-8")
	resp.Header.Add("X-Content-Type-Options", "nosniff")
	resp.Header.Add("Content-Length", strconv.Itoa(len(text)))
	resp.ContentLength = int64(len(text))
	if string(r.Method) == "HEAD" {
		resp.ContentLength, text = 0, nil
	}
	if err := v.answer(resp, text); err != nil {
		v.abort()
		return outcome{failure: left(err)}
	}
	return outcome{status: resp.Status, bytes: int64(len(text))}
}
