package edge

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"share/tunnel"
)

// text gives fields one a line.
func text(h tunnel.Header) string {
	var b strings.Builder
	for _, f := range h {
		b.WriteString(string(f.Name) + ": " + string(f.Value) + "\n")
	}
	return b.String()
}

// fieldsOf reads what text gives.
func fieldsOf(s string) (h tunnel.Header) {
	for line := range strings.Lines(s) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		h.Add(name, value)
	}
	return h
}

func TestOurs(t *testing.T) {
	for name, want := range map[string]bool{
		"X-Forwarded-For": true, "x-forwarded-for": true, "X_Forwarded_For": true, "X-Forwarded_Proto": true,
		"X-Forwarded-Host": true, "X-FORWARDED-PORT": true, "X-Real-IP": true, "x_real_ip": true,
		"Forwarded": true, "FORWARDED": true,
		"Share-Error": true, "share-x": true, "SHARE_REQUEST_ID": true, "Share-": true,
		"Share-Probe": false, "share-health": false, "Share_Probe": true, "Share-Probes": true,
		"X-Forwarded": false, "X-Forwarded-For-2": false, "X-Forwarded-Server": false, "X.Forwarded.For": false,
		"Shared": false, "Share": false, "Sharepoint-X": false, "X-Share-Error": false, "Forward": false, "": false,
	} {
		if got := ours([]byte(name)); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

func TestForwardedFields(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	const fresh = "X-Forwarded-For: %\nX-Forwarded-Proto: http\nX-Forwarded-Host: x.test\nX-Forwarded-Port: 80\nX-Real-IP: %\n"
	tests := []struct {
		name  string
		peer  string
		https bool
		port  int
		sent  string
		want  string
	}{
		{"nothing sent", "192.0.2.1:5000", false, -1, "A: 1\n",
			"A: 1\n" + strings.ReplaceAll(fresh, "%", "192.0.2.1") + "Forwarded: for=192.0.2.1;host=\"x.test\";proto=http\n"},
		{"over TLS", "192.0.2.1:5000", true, -1, "",
			"X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: x.test\nX-Forwarded-Port: 443\nX-Real-IP: 192.0.2.1\n" +
				"Forwarded: for=192.0.2.1;host=\"x.test\";proto=https\n"},
		{"a port in Host", "192.0.2.1:5000", true, 8443, "",
			"X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: x.test\nX-Forwarded-Port: 8443\nX-Real-IP: 192.0.2.1\n" +
				"Forwarded: for=192.0.2.1;host=\"x.test\";proto=https\n"},
		{"an IPv6 visitor", "[2001:0db9::00:1]:5000", false, -1, "",
			strings.ReplaceAll(fresh, "%", "2001:db9::1") + "Forwarded: for=\"[2001:db9::1]\";host=\"x.test\";proto=http\n"},
		{"an IPv4 visitor over IPv6", "[::ffff:192.0.2.1]:5000", false, -1, "",
			strings.ReplaceAll(fresh, "%", "192.0.2.1") + "Forwarded: for=192.0.2.1;host=\"x.test\";proto=http\n"},
		{"forged", "192.0.2.1:5000", false, -1,
			"X-Forwarded-For: 6.6.6.6\nA: 1\nx_forwarded_for: 6.6.6.6\nX-Real-Ip: 6.6.6.6\nforwarded: for=6.6.6.6\nX-Forwarded-Proto: https\nShare-Error: x\nB: 2\nX_Forwarded-Host: evil\n",
			"A: 1\nB: 2\n" + strings.ReplaceAll(fresh, "%", "192.0.2.1") + "Forwarded: for=192.0.2.1;host=\"x.test\";proto=http\n"},
		{"a trusted proxy that sends nothing", "10.1.1.1:5000", false, -1, "",
			strings.ReplaceAll(fresh, "%", "10.1.1.1") + "Forwarded: for=10.1.1.1;host=\"x.test\";proto=http\n"},
		{"a trusted proxy", "10.1.1.1:5000", false, -1,
			"X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: https\nX-Real-IP: 192.0.2.1\nShare-Error: x\nshare_x: y\n",
			"X-Forwarded-For: 192.0.2.1, 10.1.1.1\nX-Forwarded-Proto: https\nX-Real-IP: 192.0.2.1\nX-Forwarded-Host: x.test\nX-Forwarded-Port: 443\n"},
		{"a trusted proxy without X-Real-IP", "10.1.1.1:5000", false, -1,
			"X-Forwarded-For: 6.6.6.6, 192.0.2.1:99, 10.2.2.2\n",
			"X-Forwarded-For: 6.6.6.6, 192.0.2.1:99, 10.2.2.2, 10.1.1.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: x.test\nX-Forwarded-Port: 80\nX-Real-IP: 192.0.2.1\n"},
		{"a list in two fields", "10.1.1.1:5000", false, -1,
			"X-Forwarded-For: 192.0.2.1\nA: 1\nX-Forwarded-For: 10.2.2.2\n",
			"X-Forwarded-For: 192.0.2.1\nA: 1\nX-Forwarded-For: 10.2.2.2, 10.1.1.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: x.test\nX-Forwarded-Port: 80\nX-Real-IP: 192.0.2.1\n"},
		{"trusted proxies alone", "[2001:db8::1]:5000", false, -1,
			"X-Forwarded-For: 10.2.2.2\n",
			"X-Forwarded-For: 10.2.2.2, 2001:db8::1\nX-Forwarded-Proto: http\nX-Forwarded-Host: x.test\nX-Forwarded-Port: 80\nX-Real-IP: 10.2.2.2\n"},
		{"a list that is none", "10.1.1.1:5000", false, -1,
			"X-Forwarded-For: 192.0.2.1, unknown\n",
			"X-Forwarded-For: 192.0.2.1, unknown, 10.1.1.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: x.test\nX-Forwarded-Port: 80\n"},
		{"an empty list", "10.1.1.1:5000", false, -1,
			"X-Forwarded-For: \n",
			"X-Forwarded-For: 10.1.1.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: x.test\nX-Forwarded-Port: 80\nX-Real-IP: 10.1.1.1\n"},
		{"Forwarded of a trusted proxy", "10.1.1.1:5000", false, -1,
			"Forwarded: for=192.0.2.1;proto=https\n",
			"Forwarded: for=192.0.2.1;proto=https, for=10.1.1.1;host=\"x.test\";proto=http\nX-Forwarded-Host: x.test\n"},
		{"all of a trusted proxy's stays", "10.1.1.1:5000", false, -1,
			"X-Forwarded-Host: www.test\nX-Forwarded-Port: 8443\nX-Forwarded-Proto: https\nX-Real-IP: 192.0.2.1\nX-Forwarded-For: 192.0.2.1\n",
			"X-Forwarded-Host: www.test\nX-Forwarded-Port: 8443\nX-Forwarded-Proto: https\nX-Real-IP: 192.0.2.1\nX-Forwarded-For: 192.0.2.1, 10.1.1.1\n"},
	}
	for _, tt := range tests {
		addr := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(tt.peer))
		p := newPeer(addr, tt.https, trusted)
		sent := fieldsOf(tt.sent)
		got := text(p.add(p.strip(sent), p.fields("x.test", tt.port)))
		if got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

// What the agent is told of a request, and what not.
func TestRequestHead(t *testing.T) {
	t.Parallel()
	got := make(chan tunnel.Request, 1)
	s := newStub(t, func(x *tunnel.Exchange) {
		r := *x.Request()
		r.Header = fieldsOf(text(r.Header))
		r.Target, r.Authority = append([]byte(nil), r.Target...), append([]byte(nil), r.Authority...)
		got <- r
		respond(x, 200, "")
	}, nil)
	v := s.visit()
	v.send("GET /%7e/../a//b?c=%zz&d HTTP/1.1\nhOST: X.Test.:80\nConnection: x-hop, keep-alive\nX-Hop: 1\nKeep-Alive: 5\n" +
		"TE: trailers, deflate\nProxy-Connection: close\nUpgrade: h2c\nHTTP2-Settings: AAA\nB: 2\nA:  1 \t\nb: 3\nVia: 1.0 front\nEmpty:\n\n")
	v.receive("GET")
	r := await(t, got, "the request")
	ip, _, _ := net.SplitHostPort(v.LocalAddr().String())
	want := "hOST: X.Test.:80\nB: 2\nA: 1\nb: 3\nVia: 1.0 front\nEmpty: \nX-Forwarded-For: " + ip +
		"\nX-Forwarded-Proto: http\nX-Forwarded-Host: X.Test.:80\nX-Forwarded-Port: 80\nX-Real-IP: " + ip +
		"\nForwarded: for=" + ip + ";host=\"X.Test.:80\";proto=http\nVia: 1.1 " + s.tunnel.Pseudonym + "\n"
	if text(r.Header) != want {
		t.Errorf("fields\n got %q\nwant %q", text(r.Header), want)
	}
	if string(r.Target) != "/%7e/../a//b?c=%zz&d" || string(r.Authority) != "X.Test.:80" || r.Tunnel != 7 {
		t.Errorf("target %q, authority %q, tunnel %d", r.Target, r.Authority, r.Tunnel)
	}
	if r.Flags != tunnel.RequestReplayable|tunnel.RequestTrailers {
		t.Errorf("flags %b", r.Flags)
	}

	v2 := s.visit2()
	a := v2.receive(v2.open(true, "OPTIONS", "*", "http2-settings", "AAA", "b", "2", "cookie", "a=1", "te", "trailers", "cookie", "b=2",
		"share-error", "x", "x_forwarded_for", "6.6.6.6", "via", "1.0 front"))
	a.want(t, 200, "")
	r = await(t, got, "the request")
	want = "Host: x.test\nB: 2\nCookie: a=1; b=2\nVia: 1.0 front\nX-Forwarded-For: " + ip +
		"\nX-Forwarded-Proto: http\nX-Forwarded-Host: x.test\nX-Forwarded-Port: 80\nX-Real-IP: " + ip +
		"\nForwarded: for=" + ip + ";host=\"x.test\";proto=http\nVia: 2.0 " + s.tunnel.Pseudonym + "\n"
	if text(r.Header) != want || string(r.Target) != "*" {
		t.Errorf("HTTP/2: target %q, fields\n got %q\nwant %q", r.Target, text(r.Header), want)
	}
	if r.Flags != tunnel.RequestReplayable|tunnel.RequestTrailers|tunnel.RequestHTTP2 {
		t.Errorf("HTTP/2: flags %b", r.Flags)
	}
}

// A request that has been through the tunnel before is a loop, however deep
// its Via lists are.
func TestLoop(t *testing.T) {
	t.Parallel()
	s := newStub(t, func(x *tunnel.Exchange) { respond(x, 200, "") }, nil)
	v := s.visit()
	for _, via := range []string{
		"Via: 1.1 " + s.tunnel.Pseudonym,
		"VIA: 1.0 a, 1.1 " + s.tunnel.Pseudonym + " (comment), 1.1 b",
		"Via: 1.0 a\nVia: 1.1 " + s.tunnel.Pseudonym,
	} {
		v.send("GET / HTTP/1.1\nHost: x.test\n" + via + "\n\n")
		v.receive("GET").want(t, 508, "loop")
	}
	v.send("GET / HTTP/1.1\nHost: x.test\nVia: 1.1 other\nX-Via: " + s.tunnel.Pseudonym + "\n\n")
	v.receive("GET").want(t, 200, "")
	v2 := s.visit2()
	a := v2.receive(v2.open(true, "GET", "/", "via", "2.0 "+s.tunnel.Pseudonym))
	a.want(t, 508, "loop")
}
