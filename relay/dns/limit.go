package dns

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// answerRate and answerBurst bound the answers to an address over UDP,
	// where anybody can ask in its name. Resolvers keep what they are told.
	answerRate  = 20 // a second
	answerBurst = 100

	// maxSources bounds the addresses that are counted. All are forgotten
	// when there are more: to gain a burst at an address by that takes more
	// questions than it brings answers.
	maxSources = 1 << 16
)

// A verdict is what becomes of a question over UDP.
type verdict int

const (
	full     verdict = iota // it is answered
	retryTCP                // it is told to come by TCP, where nobody asks in another's name
	silence                 // it is not answered
)

// A limiter bounds the answers to each address.
type limiter struct {
	mu      sync.Mutex
	sources map[netip.Addr]source // guarded by mu
}

// A source is what may still be answered to an address.
type source struct {
	tokens float64
	last   time.Time
	over   bool // the last that came over the rate was told to come by TCP
}

// take counts a question of addr. Of those over the rate every other one is
// told to come by TCP: the resolver that shares its address with who floods us
// is still served.
func (l *limiter) take(addr netip.Addr, now time.Time) verdict {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil { // one network is one source
			addr = p.Addr()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s, known := l.sources[addr]
	if !known {
		if l.sources == nil || len(l.sources) >= maxSources {
			l.sources = make(map[netip.Addr]source)
		}
		s = source{tokens: answerBurst, last: now}
	}
	s.tokens = min(answerBurst, s.tokens+max(now.Sub(s.last).Seconds(), 0)*answerRate)
	s.last = now
	v := full
	switch {
	case s.tokens >= 1:
		s.tokens--
	case s.over:
		v, s.over = silence, false
	default:
		v, s.over = retryTCP, true
	}
	l.sources[addr] = s
	return v
}

// bound returns a writer of answers over UDP, each to whom w has to write it:
// those too that the library makes of what is no question.
func (l *limiter) bound(w dns.Writer) dns.Writer { return &bounded{w, l} }

type bounded struct {
	dns.Writer
	limit *limiter
}

// Write sends an answer, or the part of it that may be sent.
func (b *bounded) Write(answer []byte) (int, error) {
	to, ok := b.Writer.(dns.ResponseWriter)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	udp, ok := to.RemoteAddr().(*net.UDPAddr)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	out := answer
	switch b.limit.take(udp.AddrPort().Addr(), time.Now()) {
	case silence:
		return len(answer), nil
	case retryTCP:
		var err error
		if out, err = withoutRecords(answer); err != nil {
			return 0, err
		}
	}
	if _, err := b.Writer.Write(out); err != nil {
		return 0, err
	}
	return len(answer), nil
}

// withoutRecords is an answer that says that there is more over TCP.
func withoutRecords(answer []byte) ([]byte, error) {
	m := new(dns.Msg)
	if err := m.Unpack(answer); err != nil {
		return nil, err
	}
	m.Answer, m.Ns, m.Extra, m.Truncated = nil, nil, nil, true
	return m.Pack()
}
