package relay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"share/relay/handover"
)

// Sockets are where a process listens. Some it may have been given, by the process
// whose place it takes or by systemd; it takes those that it has a use for, opens
// the others, and can pass all of them on. The zero value has been given none.
// Methods are for one goroutine; a nil *Sockets opens what it is asked for.
type Sockets struct {
	given []socket // not taken
	taken []socket
}

// A socket is one of them, a listener or a net.PacketConn.
type socket struct {
	handover.Socket
	listener net.Listener
	packets  net.PacketConn
}

func (s *socket) addr() net.Addr {
	if s.listener != nil {
		return s.listener.Addr()
	}
	return s.packets.LocalAddr()
}

func (s *socket) close() error {
	if s.listener != nil {
		return s.listener.Close()
	}
	return s.packets.Close()
}

// give adds the socket behind f, which it closes. Of s.Net what f is counts, and
// not what it says.
func (s *Sockets) give(as handover.Socket, f *os.File) error {
	defer f.Close()
	given := socket{Socket: as}
	ln, err := net.FileListener(f)
	if err == nil {
		given.listener, given.Net = ln, ln.Addr().Network()
	} else {
		pc, perr := net.FilePacketConn(f)
		if perr != nil {
			return fmt.Errorf("the socket %.40q is no listener: %w", as.Kind, err)
		}
		given.packets, given.Net = pc, pc.LocalAddr().Network()
	}
	s.given = append(s.given, given)
	return nil
}

// Activate adds a socket that systemd has opened, and closes f. name is its
// FileDescriptorName: a flag's, without the dashes, or anything, if a flag has
// the socket's address.
func (s *Sockets) Activate(name string, f *os.File) error {
	return s.give(handover.Socket{Kind: name, Activated: true}, f)
}

// Activated returns where Listen will listen for a kind if systemd has opened a
// socket for it, whatever address a flag says: who can come counts by that. If
// there is none it is the flag's.
func (s *Sockets) Activated(kind, addr string) string {
	if i := s.best(handover.Socket{Kind: kind, Net: "tcp", Addr: addr}); i >= 0 && s.given[i].activatedFor(kind) {
		return s.given[i].addr().String()
	}
	return addr
}

// Listen listens at a TCP address: of the sockets that were given, at the one
// that fits it.
func (s *Sockets) Listen(kind, addr string) (net.Listener, error) {
	if g := s.take(handover.Socket{Kind: kind, Net: "tcp", Addr: addr}); g != nil {
		return g.listener, nil
	}
	ln, err := listen(addr)
	if err == nil {
		s.keep(socket{Socket: handover.Socket{Kind: kind, Net: "tcp", Addr: addr}, listener: ln})
	}
	return ln, err
}

// ListenPacket is Listen for UDP.
func (s *Sockets) ListenPacket(kind, addr string) (net.PacketConn, error) {
	if g := s.take(handover.Socket{Kind: kind, Net: "udp", Addr: addr}); g != nil {
		return g.packets, nil
	}
	pc, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp", addr)
	if err == nil {
		s.keep(socket{Socket: handover.Socket{Kind: kind, Net: "udp", Addr: addr}, packets: pc})
	}
	return pc, err
}

// kindOperators is the kind of the unix socket at which operators' commands come
// in.
const kindOperators = "operators"

// operators returns the unix socket for operators' commands that was given, nil
// if none was.
func (s *Sockets) operators() net.Listener {
	if g := s.take(handover.Socket{Kind: kindOperators, Net: "unix"}); g != nil {
		return g.listener
	}
	return nil
}

// keepOperators adds one that was not given.
func (s *Sockets) keepOperators(ln net.Listener) {
	s.keep(socket{Socket: handover.Socket{Kind: kindOperators, Net: "unix"}, listener: ln})
}

// CloseRest closes what was given and not taken.
func (s *Sockets) CloseRest() {
	for _, g := range s.given {
		g.close()
	}
	s.given = nil
}

// offer returns what the next process is to listen at.
func (s *Sockets) offer() (as []handover.Socket, conns []syscall.Conn, err error) {
	if s == nil {
		return nil, nil, nil
	}
	for _, t := range s.taken {
		conn, ok := t.packets.(syscall.Conn)
		if t.listener != nil {
			conn, ok = t.listener.(syscall.Conn)
		}
		if !ok {
			return nil, nil, handover.ErrUnsupported
		}
		as, conns = append(as, t.Socket), append(conns, conn)
	}
	return as, conns, nil
}

func (s *Sockets) keep(k socket) {
	if s != nil {
		s.taken = append(s.taken, k)
	}
}

// take returns the socket that was given and fits best, nil if none does.
func (s *Sockets) take(want handover.Socket) *socket {
	at := s.best(want)
	if at < 0 {
		return nil
	}
	g := s.given[at]
	s.given = append(s.given[:at], s.given[at+1:]...)
	g.Kind, g.Addr = want.Kind, want.Addr
	s.taken = append(s.taken, g)
	return &g
}

// best returns the index of the socket that was given and fits best, -1 if none
// does.
func (s *Sockets) best(want handover.Socket) int {
	best, at := 0, -1
	if s == nil {
		return at
	}
	for i := range s.given {
		if fit := s.given[i].fits(want); fit > best {
			best, at = fit, i
		}
	}
	return at
}

// activatedFor reports whether systemd says that a socket is for a kind.
func (s *socket) activatedFor(kind string) bool { return s.Activated && s.Kind == kind }

// fits says how well a socket is the one that is wanted, 0 if it is another.
func (s *socket) fits(want handover.Socket) int {
	same := s.Addr == want.Addr
	switch {
	case s.Net != want.Net:
		return 0
	case s.activatedFor(want.Kind) && sameAddr(s.addr(), want.Addr):
		return 5
	case s.activatedFor(want.Kind):
		return 4
	case same && s.Kind == want.Kind:
		return 3
	case want.Net == "unix" || portOfAddr(want.Addr) == "0":
		return 0 // any free port is not this one
	case same && s.Addr != "":
		return 2 // it has another use now
	case sameAddr(s.addr(), want.Addr):
		return 1
	}
	return 0
}

func portOfAddr(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// sameAddr reports whether a socket at local is the one that listening at addr
// would give.
func sameAddr(local net.Addr, addr string) bool {
	want, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return false
	}
	got, err := netip.ParseAddrPort(local.String())
	if err != nil || int(got.Port()) != want.Port {
		return false
	}
	ip, _ := netip.AddrFromSlice(want.IP) // no IP is every address
	ip, is := ip.Unmap(), got.Addr().Unmap()
	return ip == is || (!ip.IsValid() || ip.IsUnspecified()) && is.IsUnspecified()
}
