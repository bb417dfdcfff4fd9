package dns

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

func TestLimit(t *testing.T) {
	var l limiter
	now := time.Unix(1e9, 0)
	from := netip.MustParseAddr("192.0.2.1")
	for i := range answerBurst {
		if got := l.take(from, now); got != full {
			t.Fatalf("question %d: %v", i, got)
		}
	}
	for i, want := range []verdict{retryTCP, silence, retryTCP, silence} {
		if got := l.take(from, now); got != want {
			t.Errorf("question %d over the rate: got %v, want %v", i, got, want)
		}
	}
	if got := l.take(netip.MustParseAddr("192.0.2.2"), now); got != full {
		t.Errorf("another address: %v", got)
	}
	if got := l.take(netip.MustParseAddr("::ffff:192.0.2.1"), now); got == full {
		t.Error("the same address in IPv6 is another")
	}
	if got := l.take(from, now.Add(-time.Hour)); got == full {
		t.Error("a clock that goes back gives more")
	}
	if got := l.take(from, now.Add(time.Second)); got != full {
		t.Errorf("a second later: %v", got)
	}
}

func TestLimitOfNetwork(t *testing.T) {
	var l limiter
	now := time.Unix(1e9, 0)
	b := netip.MustParseAddr("2001:db8::").As16()
	refused := 0
	for i := range 2 * answerBurst {
		binary.BigEndian.PutUint64(b[8:], uint64(i))
		if l.take(netip.AddrFrom16(b), now) != full {
			refused++
		}
	}
	if refused != answerBurst {
		t.Errorf("of %d questions from a network, %d are over the rate", 2*answerBurst, refused)
	}
}

func TestLimitMemory(t *testing.T) {
	var l limiter
	now := time.Unix(1e9, 0)
	var b [4]byte
	for i := range 3 * maxSources {
		binary.BigEndian.PutUint32(b[:], uint32(i))
		l.take(netip.AddrFrom4(b), now)
	}
	if len(l.sources) > maxSources {
		t.Errorf("%d addresses are counted", len(l.sources))
	}
}
