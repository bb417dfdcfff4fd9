package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"share/tunnel/nbio"
)

// header2 makes a header of version 2: a command, a family, and what follows
// the length.
func header2(command, family byte, rest ...[]byte) string {
	body := bytes.Join(rest, nil)
	b := append([]byte(signature2), command, family)
	return string(append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...))
}

// Addresses as version 2 has them: from 192.0.2.7:4711 to 192.0.2.1:80, and
// from [2001:db8::7]:4711 to [2001:db8::1]:443.
var (
	addresses4 = []byte("\xc0\x00\x02\x07\xc0\x00\x02\x01\x12\x67\x00\x50")
	addresses6 = []byte("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x12\x67\x01\xbb")
	addressesUnix = make([]byte, 216)
)

const (
	local2 = '\x20'
	proxy2 = '\x21'
)

// proxyHeaders are headers and what they say: the addresses, "its own" if they
// say none, or else what the error says.
var proxyHeaders = []struct{ name, header, want string }{
	{"v1 IPv4", "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n", "192.0.2.7:4711 192.0.2.1:80"},
	{"v1 IPv6", "PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", "[2001:db8::7]:4711 [2001:db8::1]:443"},
	{"v1 the highest port", "PROXY TCP4 192.0.2.7 192.0.2.1 65535 0\r\n", "192.0.2.7:65535 192.0.2.1:0"},
	{"v1 unknown", "PROXY UNKNOWN\r\n", "its own"},
	{"v1 unknown with the longest rest", "PROXY UNKNOWN " + strings.Repeat("x", maxHeader1-len("PROXY UNKNOWN \r\n")) + "\r\n", "its own"},
	{"v1 a byte longer", "PROXY UNKNOWN " + strings.Repeat("x", maxHeader1+1-len("PROXY UNKNOWN \r\n")) + "\r\n", "no end within"},
	{"v1 LF alone", "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\n", errHeader.Error()},
	{"v1 no addresses", "PROXY TCP4\r\n", errHeader.Error()},
	{"v1 three addresses", "PROXY TCP4 192.0.2.7 192.0.2.1 192.0.2.2 4711 80\r\n", errHeader.Error()},
	{"v1 a port too many", "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80 81\r\n", errHeader.Error()},
	{"v1 two spaces", "PROXY TCP4  192.0.2.7 192.0.2.1 4711 80\r\n", errHeader.Error()},
	{"v1 a name", "PROXY TCP4 localhost 192.0.2.1 4711 80\r\n", errHeader.Error()},
	{"v1 a port above all", "PROXY TCP4 192.0.2.7 192.0.2.1 65536 80\r\n", errHeader.Error()},
	{"v1 a negative port", "PROXY TCP4 192.0.2.7 192.0.2.1 -1 80\r\n", errHeader.Error()},
	{"v1 the other family", "PROXY TCP4 2001:db8::7 2001:db8::1 4711 80\r\n", errHeader.Error()},
	{"v1 a zone", "PROXY TCP6 fe80::1%eth0 2001:db8::1 4711 80\r\n", errHeader.Error()},
	{"v1 another protocol", "PROXY UDP4 192.0.2.7 192.0.2.1 4711 80\r\n", errHeader.Error()},
	{"v1 lower case", "proxy TCP4 192.0.2.7 192.0.2.1 4711 80\r\n", "there is none"},
	{"v1 no space", "PROXYTCP4 192.0.2.7 192.0.2.1 4711 80\r\n", "there is none"},

	{"v2 IPv4", header2(proxy2, 0x11, addresses4), "192.0.2.7:4711 192.0.2.1:80"},
	{"v2 IPv6", header2(proxy2, 0x21, addresses6), "[2001:db8::7]:4711 [2001:db8::1]:443"},
	{"v2 with extensions", header2(proxy2, 0x11, addresses4, []byte("\x02\x00\x06x.test\xea\x00\x01\x00")), "192.0.2.7:4711 192.0.2.1:80"},
	{"v2 of the longest", header2(proxy2, 0x11, addresses4, make([]byte, maxHeader2-prefix2-len(addresses4))), "192.0.2.7:4711 192.0.2.1:80"},
	{"v2 a byte longer", header2(proxy2, 0x11, addresses4, make([]byte, maxHeader2+1-prefix2-len(addresses4))), "4097 bytes, above 4096"},
	{"v2 unix socket", header2(proxy2, 0x31, addressesUnix), "its own"},
	{"v2 local", header2(local2, 0x00), "its own"},
	{"v2 local with addresses", header2(local2, 0x11, addresses4), "its own"},
	{"v2 local with anything", header2(local2, 0x11, []byte("any")), "its own"},
	{"v2 datagrams", header2(proxy2, 0x12, addresses4), "of datagrams"},
	{"v2 unix datagrams", header2(proxy2, 0x32, addressesUnix), "of datagrams"},
	{"v2 too short for its family", header2(proxy2, 0x21, addresses4), errHeader.Error()},
	{"v2 an unknown command", header2(0x22, 0x11, addresses4), errHeader.Error()},
	{"v2 another version", header2(0x11, 0x11, addresses4), errHeader.Error()},
	{"v2 no family", header2(proxy2, 0x00), errHeader.Error()},
	{"v2 an unknown family", header2(proxy2, 0x13, addresses4), errHeader.Error()},

	{"HTTP", "GET / HTTP/1.1\r\n", "there is none"},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "there is none"},
	{"an empty line", "\r\nGET / HTTP/1.1\r\n", "there is none"},
	{"TLS", "\x16\x03\x01\x00\x05hello", "there is none"},
	{"an agent", "SHR1\x01\x01\x01\x00", "there is none"},
}

// says shows a header as proxyHeaders has it.
func (h proxyHeader) says() string {
	if h.from == nil {
		return "its own"
	}
	return h.from.String() + " " + h.to.String()
}

func TestParseProxyHeader(t *testing.T) {
	for _, tt := range proxyHeaders {
		h, n, err := parseProxyHeader([]byte(tt.header + "rest"))
		if err != nil {
			if !errors.Is(err, errHeader) || !strings.Contains(err.Error(), tt.want) || n != 0 || h.from != nil {
				t.Errorf("%s: got %+v, %d, %v; want %s", tt.name, h, n, err, tt.want)
			}
			continue
		}
		if got := h.says(); got != tt.want || n != len(tt.header) {
			t.Errorf("%s: got %q, %d bytes; want %q, %d", tt.name, got, n, tt.want, len(tt.header))
		}
		// Half of it is no header, and no error either.
		for i := range len(tt.header) {
			if _, n, err := parseProxyHeader([]byte(tt.header[:i])); n != 0 || err != nil {
				t.Fatalf("%s: the first %d bytes: %d, %v", tt.name, i, n, err)
			}
		}
	}
}

// What is read of a header is the header, whatever comes with it and in
// whatever pieces, and nothing behind it.
func FuzzProxyHeader(f *testing.F) {
	for _, tt := range proxyHeaders {
		f.Add([]byte(tt.header), []byte("GET / HTTP/1.1\r\n\r\n"))
	}
	f.Fuzz(func(t *testing.T, b, behind []byte) {
		h, n, err := parseProxyHeader(b)
		switch {
		case err != nil && (n != 0 || h != proxyHeader{} || !errors.Is(err, errHeader)):
			t.Fatalf("an error and more: %+v, %d, %v", h, n, err)
		case n < 0 || n > len(b) || n > maxHeader2:
			t.Fatalf("%d bytes of %d", n, len(b))
		case err == nil && n == 0:
			if len(b) >= maxHeader2 || h != (proxyHeader{}) {
				t.Fatalf("%d bytes are no header yet: %+v", len(b), h)
			}
			return
		}
		if (h.from == nil) != (h.to == nil) {
			t.Fatalf("half of an address: %+v", h)
		}
		for _, addr := range []*net.TCPAddr{h.from, h.to} {
			if addr != nil && (!addr.AddrPort().IsValid() || addr.Zone != "") {
				t.Fatalf("invalid address %+v", addr)
			}
		}
		if n == 0 {
			return
		}
		// More bytes change nothing, and fewer are not enough.
		again, k, err := parseProxyHeader(append(bytes.Clone(b[:n]), behind...))
		if k != n || err != nil || again.says() != h.says() {
			t.Fatalf("with other bytes behind it: %s, %d, %v; was %s, %d", again.says(), k, err, h.says(), n)
		}
		if _, k, err := parseProxyHeader(b[:n-1]); k != 0 || err != nil {
			t.Fatalf("without its last byte: %d, %v", k, err)
		}
		if h.from == nil {
			return
		}
		// What another writes of the same addresses says the same.
		for version := byte(1); version <= 2; version++ {
			text, err := proxyproto.HeaderProxyFromAddrs(version, h.from, h.to).Format()
			if err != nil {
				t.Fatal(err)
			}
			if same, _, err := parseProxyHeader(text); err != nil || same.says() != h.says() {
				t.Fatalf("v%d of %s: %s, %v", version, h.says(), same.says(), err)
			}
		}
	})
}

// socketPair returns both ends of a TCP connection; near is what a door gets.
func socketPair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	ln, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); accepted.Close() })
	return accepted.(*net.TCPConn), conn.(*net.TCPConn)
}

// What came behind a header is read next, by a connection that takes bytes back
// and by one that does not, in one piece and byte by byte.
func TestUnproxy(t *testing.T) {
	const behind = "GET / HTTP/1.1\r\n\r\n"
	header := header2(proxy2, 0x11, addresses4, make([]byte, 300))
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"as at a door":       nbio.New,
		"a plain TCP socket": func(c net.Conn) net.Conn { return c },
	} {
		for _, piece := range []int{1, 7, len(header), len(header) + 5, len(header + behind)} {
			accepted, far := socketPair(t)
			sent := make(chan error, 1)
			go func() { // ended by the reads below
				var err error
				for text := header + behind; text != "" && err == nil; {
					n := min(piece, len(text))
					_, err = io.WriteString(far, text[:n])
					text = text[n:]
				}
				far.CloseWrite()
				sent <- err
			}()
			d := Door{Fronts: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
			conn, err := d.unproxy(wrap(accepted), accepted)
			if err != nil {
				t.Fatalf("%s, pieces of %d: %v", name, piece, err)
			}
			if got := conn.RemoteAddr().String() + " " + conn.LocalAddr().String(); got != "192.0.2.7:4711 192.0.2.1:80" {
				t.Errorf("%s: the addresses are %s", name, got)
			}
			if fromLoopback(conn) {
				t.Errorf("%s: the visitor's connection is taken for one of this machine", name)
			}
			for method, has := range map[string]bool{
				"CloseWrite":  is[interface{ CloseWrite() error }](conn),
				"SetLinger":   is[interface{ SetLinger(int) error }](conn),
				"SyscallConn": is[syscall.Conn](conn),
			} {
				if !has {
					t.Errorf("%s: %s is hidden", name, method)
				}
			}
			if _, ok := wrap(accepted).(*nbio.Conn); ok && !is[*nbio.Conn](conn) {
				t.Errorf("%s: the fast path is lost", name)
			}
			if rest, err := io.ReadAll(conn); err != nil || string(rest) != behind {
				t.Errorf("%s, pieces of %d: %q, %v is left, want %q", name, piece, rest, err, behind)
			}
			if err := await(t, sent, "the writer"); err != nil {
				t.Error(err)
			}
		}
	}
}

func is[T any](v any) bool {
	_, ok := v.(T)
	return ok
}

// Who is no front is not looked at, and a front that says nothing of addresses
// keeps its own.
func TestUnproxyOthers(t *testing.T) {
	tests := []struct {
		name, front, sent string
		want              error // nil: the connection as it was
	}{
		{"no front", "192.0.2.0/24", "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n", nil},
		{"a front's own", "127.0.0.1/32", "PROXY UNKNOWN\r\n", nil},
		{"a front's own, v2", "127.0.0.1/32", header2(local2, 0), nil},
		{"cut", "127.0.0.1/32", "PROXY TCP4 192.0.2.7", errHeader},
		{"a byte", "127.0.0.1/32", "P", errHeader},
		{"none", "127.0.0.1/32", "GET / HTTP/1.1\r\n\r\n", errHeader},
		{"nothing at all", "127.0.0.1/32", "", io.EOF},
	}
	for _, tt := range tests {
		accepted, far := socketPair(t)
		io.WriteString(far, tt.sent)
		far.CloseWrite()
		d := Door{Fronts: []netip.Prefix{netip.MustParsePrefix(tt.front)}}
		conn, err := d.unproxy(nbio.New(accepted), accepted)
		if !errors.Is(err, tt.want) || tt.want == io.EOF && errors.Is(err, errHeader) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if tt.want != nil {
			continue
		}
		if conn == nil || conn.RemoteAddr().String() != far.LocalAddr().String() {
			t.Fatalf("%s: the address is not the peer's", tt.name)
		}
		want := ""
		if tt.name == "no front" {
			want = tt.sent
		}
		if rest, err := io.ReadAll(conn); err != nil || string(rest) != want {
			t.Errorf("%s: %q, %v is left, want %q", tt.name, rest, err, want)
		}
	}
}

// A header that does not come to its end in time is one that is cut.
func TestUnproxyTimeout(t *testing.T) {
	for _, sent := range []string{"", "PROXY TCP4 "} {
		var err error
		// On a machine that stalls nothing may have been read in time.
		for _, timeout := range []time.Duration{50 * time.Millisecond, time.Second, 10 * time.Second} {
			accepted, far := socketPair(t)
			io.WriteString(far, sent)
			conn := nbio.New(accepted)
			conn.SetReadDeadline(time.Now().Add(timeout))
			if _, err = readProxyHeader(conn); errors.Is(err, errHeader) == (sent != "") {
				break
			}
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errHeader) != (sent != "") {
			t.Errorf("%q: got %v", sent, err)
		}
	}
}

func TestIsFront(t *testing.T) {
	d := Door{Fronts: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	tests := []struct {
		peer net.Addr
		want bool
	}{
		{&net.TCPAddr{IP: net.IPv4(10, 1, 2, 3)}, true}, // 16 bytes, as of a socket for both families
		{&net.TCPAddr{IP: net.IP{10, 1, 2, 3}}, true},
		{&net.TCPAddr{IP: net.ParseIP("fd00::1"), Zone: "eth0"}, true},
		{&net.TCPAddr{IP: net.IPv4(11, 1, 2, 3)}, false},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1")}, false},
		{&net.TCPAddr{}, false},
		{&net.UnixAddr{Name: "10.1.2.3"}, false},
		{nil, false},
	}
	for _, tt := range tests {
		if got := d.isFront(tt.peer); got != tt.want {
			t.Errorf("%v: got %v", tt.peer, got)
		}
	}
}
