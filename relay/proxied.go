package relay

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pires/go-proxyproto"

	"share/tunnel/nbio"
)

// A front that passes connections on as they are says in a header of the PROXY
// protocol, before any other byte, whose each one is
// (https://www.haproxy.org/download/3.4/doc/proxy-protocol.txt).

const (
	// maxHeader1 is the length of the longest header of version 1 (2.1).
	maxHeader1 = 107

	// maxHeader2 bounds a header of version 2: what fits into one read.
	// Addresses take 232 bytes at most; the extensions behind them, which
	// are skipped, take more when a client's certificate is among them.
	maxHeader2 = requestBuffer

	// prefix2 is the length of what a header of version 2 begins with, its
	// length in the last two bytes (2.2).
	prefix2 = 16

	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// errHeader is a front whose connection does not begin with a header.
var errHeader = errors.New("PROXY protocol header")

// A proxyHeader is what a front says of a connection: from where to where it
// went there. Both are nil if it says neither, as of a connection of its own
// or of one over a unix socket.
type proxyHeader struct{ from, to *net.TCPAddr }

// parseProxyHeader reads the header that b begins with, which is n bytes long;
// n is 0 if b is whole only with more. The error has errHeader in its chain.
func parseProxyHeader(b []byte) (h proxyHeader, n int, err error) {
	if n, err = proxyHeaderLen(b); n == 0 || err != nil {
		return proxyHeader{}, 0, err
	}
	parsed, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b[:n]), n))
	if err != nil {
		return proxyHeader{}, 0, fmt.Errorf("%w: %w", errHeader, err)
	}
	from, to, ok := parsed.TCPAddrs()
	switch {
	case parsed.Command.IsLocal(), parsed.TransportProtocol == proxyproto.UnixStream:
		return proxyHeader{}, n, nil
	case !ok:
		return proxyHeader{}, 0, fmt.Errorf("%w: the addresses are of datagrams", errHeader)
	}
	return proxyHeader{from, to}, n, nil
}

// proxyHeaderLen is the length of the header that b begins with, 0 if that is
// not known yet.
func proxyHeaderLen(b []byte) (int, error) {
	switch {
	case begins(b, signature1):
		line := b[:min(len(b), maxHeader1)]
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			return end + 1, nil
		}
		if len(line) == maxHeader1 {
			return 0, fmt.Errorf("%w: no end within %d bytes", errHeader, maxHeader1)
		}
	case begins(b, signature2):
		if len(b) < prefix2 {
			return 0, nil
		}
		n := prefix2 + int(binary.BigEndian.Uint16(b[prefix2-2:]))
		if n > maxHeader2 {
			return 0, fmt.Errorf("%w: %d bytes, above %d", errHeader, n, maxHeader2)
		}
		if len(b) >= n {
			return n, nil
		}
	default:
		return 0, fmt.Errorf("%w: there is none", errHeader)
	}
	return 0, nil
}

// begins reports whether b and s are the same as far as both go.
func begins(b []byte, s string) bool {
	n := min(len(b), len(s))
	return string(b[:n]) == s[:n]
}

// readProxyHeader reads the header that conn begins with. What came behind it
// stays to be read. A peer that ends the connection without a byte, as a look
// at a relay's health does, is no errHeader.
func readProxyHeader(conn net.Conn) (proxyHeader, error) {
	buf := requests.Get().(*[]byte)
	defer requests.Put(buf)
	s, takesBack := conn.(*nbio.Conn)
	for n := 0; ; {
		room := (*buf)[n:]
		if !takesBack {
			room = room[:1]
		}
		k, err := conn.Read(room)
		n += k
		h, used, wrong := parseProxyHeader((*buf)[:n])
		switch {
		case wrong != nil:
			return proxyHeader{}, wrong
		case used > 0:
			if used < n {
				s.Unread(bytes.Clone((*buf)[used:n]))
			}
			return h, nil
		case err != nil && n == 0:
			return proxyHeader{}, err
		case err != nil:
			return proxyHeader{}, fmt.Errorf("%w: cut after %d bytes: %w", errHeader, n, err)
		}
	}
}

// A proxied connection has the addresses that it had at a front.
type proxied struct {
	*net.TCPConn
	local, remote net.Addr
}

func (c *proxied) LocalAddr() net.Addr  { return c.local }
func (c *proxied) RemoteAddr() net.Addr { return c.remote }

// unproxy reads what a front says first, and returns conn with the addresses
// that it has said; conn as it is if the peer is no front. conn is accepted
// itself or, still unknown to others, built on it.
//
// A front that says nothing is an error: its visitors would go by its address,
// and one of them could send a header of their own through it.
func (d *Door) unproxy(conn, accepted net.Conn) (net.Conn, error) {
	if !d.isFront(accepted.RemoteAddr()) {
		return conn, nil
	}
	if err := conn.SetDeadline(time.Now().Add(firstTimeout)); err != nil {
		return nil, err
	}
	h, err := readProxyHeader(conn)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if h.from == nil {
		return conn, nil
	}
	tcp, ok := accepted.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("address of a %T: %w", accepted, errors.ErrUnsupported)
	}
	named := &proxied{tcp, h.to, h.from}
	if s, ok := conn.(*nbio.Conn); ok {
		s.Conn = named
		return s, nil
	}
	return named, nil
}

// isFront reports whether a peer has to begin with a header.
func (d *Door) isFront(peer net.Addr) bool {
	addr, ok := peer.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := addr.AddrPort().Addr().Unmap().WithZone("")
	return slices.ContainsFunc(d.Fronts, func(p netip.Prefix) bool { return p.Contains(ip) })
}
