package edge

import (
	"net"

	"share/tunnel"
	"share/tunnel/http1"
	"share/tunnel/websock"
)

// connect answers a request for the place where agents come by WebSocket (RFC
// 6455 4.2). A web page is no agent: what has an Origin is turned away, lest a
// script uses the address of whoever looks at it. A right request is not
// answered here: when the connection has let go of it, handOver does.
func (e *Edge) connect(v visitor, r *request) outcome {
	c, ok := v.(*conn)
	if !ok {
		return e.page(v, r, 400, "Bad Request", "Agents come here over HTTP/1.1: over HTTP/2 this relay has no WebSocket.\n")
	}
	h := &c.http
	switch {
	case e.draining.Load():
		return e.refuse(v, r, tunnel.Fail(tunnel.Draining, nil))
	case h.Fields.Has("origin"):
		return e.page(v, r, 403, "Forbidden", "Agents come here, and no web pages.\n")
	case string(h.Method) != "GET":
		return e.page(v, r, 405, "Method Not Allowed", "Agents come here with GET.\n", "Allow", "GET")
	case r.Flags&tunnel.RequestUpgrade == 0 || !http1.Asked(h.Upgrade, []byte("websocket")):
		return e.page(v, r, 426, "Upgrade Required", "Agents come here by WebSocket.\n",
			"Connection", "Upgrade", "Upgrade", "websocket")
	case string(h.Fields.Get("sec-websocket-version")) != websock.Version:
		return e.page(v, r, 426, "Upgrade Required", "Agents come here by WebSocket of version "+websock.Version+".\n",
			"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", websock.Version)
	}
	key := string(h.Fields.Get("sec-websocket-key"))
	if count(h.Fields, "sec-websocket-key") != 1 || !websock.ValidKey(key) || c.r < c.w {
		c.keep = false // what follows may be a WebSocket's
		return e.page(v, r, 400, "Bad Request", "That is no request for a WebSocket.\n")
	}
	c.key, c.secret = key, wholly(r.Header, "x-forwarded-proto", "https")
	c.keep, c.over = false, true
	c.enter(phaseOver)
	return outcome{status: 101}
}

// handOver makes a WebSocket of nc, for the agent behind it. A visitor who has
// left is no agent.
func (e *Edge) handOver(nc net.Conn, key string, secret bool) {
	if conn, err := websock.Accept(nc, key); err == nil {
		e.Agent(conn, secret)
	}
}

func count(h tunnel.Header, name string) (n int) {
	for _, f := range h {
		if tunnel.EqualFold(f.Name, name) {
			n++
		}
	}
	return n
}

// wholly reports whether there are fields of the name, and all have the value.
func wholly(h tunnel.Header, name, value string) bool {
	for _, f := range h {
		if tunnel.EqualFold(f.Name, name) && !tunnel.EqualFold(f.Value, value) {
			return false
		}
	}
	return h.Has(name)
}
