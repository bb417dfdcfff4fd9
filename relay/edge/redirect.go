package edge

import (
	"net"

	"share/tunnel"
)

// Redirect is Serve, in plain, for a visitor whose requests are not served but
// sent to where Elsewhere says.
func (e *Edge) Redirect(nc net.Conn, first []byte) {
	c := newConn(e, nc, nc, first)
	c.peer.redirected = true
	e.run(c)
}

// decline answers a request for a host that its connection does not serve:
// over TLS because the certificate shown is for others, in plain because the
// visitor is redirected.
func (e *Edge) decline(v visitor, r *request, name []byte) outcome {
	if r.Flags&tunnel.RequestHTTPS != 0 {
		return e.refuse(v, r, tunnel.Fail(tunnel.RequestMisdirected, nil))
	}
	location := e.Elsewhere(name)
	if location == "" {
		return e.refuse(v, r, tunnel.Fail(tunnel.UnknownName, nil))
	}
	// An asterisk stands for a server as a whole (RFC 9110 7.1), whose URL
	// has no path. The method stays with 308 (RFC 9110 15.4.9).
	if string(r.Target) != "*" {
		location += string(r.Target)
	}
	resp := &tunnel.Response{Status: 308, Reason: []byte("Permanent Redirect")}
	resp.Header.Add("Location", location)
	return e.own(v, r, resp, []byte("This is served at "+location+"\n"))
}
