package tunnel

import (
	"encoding/binary"
	"errors"
	"time"
)

// The multiplexer's frames, as far as the link looks into them.
const (
	muxVersion = 0

	muxData         = 0
	muxWindowUpdate = 1
	muxPing         = 2

	muxSYN = 1 // a flag: the frame opens a stream
)

func muxFlags(h []byte) uint16  { return binary.BigEndian.Uint16(h[2:]) }
func muxLength(h []byte) uint32 { return binary.BigEndian.Uint32(h[8:]) }

const (
	// controlRate and controlBurst bound the frames that carry no bytes:
	// each costs the receiver more than the sender. Opening, accepting and
	// closing a stream take four, and streams are reused. They bound the frames
	// of an agent's control stream, too: an exchange takes one if it fails, and
	// one for each 128 KiB of a body.
	controlRate  = 20_000 // a second
	controlBurst = 40_000
)

var (
	errMux   = errors.New("peer sent a multiplexer frame that share does not use")
	errPing  = errors.New("peer sent a multiplexer ping")
	errFlood = errors.New("peer floods the link with control frames")

	errOpened = errors.New("agent opened a stream")
)

// A guard follows the frames of a multiplexer as they arrive and refuses what
// would cost this side without bound: pings, which the multiplexer answers
// with a goroutine each, and floods of frames that carry nothing. Frames that
// no end sends are refused as well, and so is an agent's second stream.
type guard struct {
	single bool // the peer opens one stream: it is an agent
	opened bool // and has

	head   [muxHeaderLen]byte
	have   int    // bytes of head seen
	skip   uint32 // bytes of body to come
	body   uint32 // bytes of the last body, all told
	bodies int64  // of all of them
	fresh  bool   // a new frame began in the last feed
	bucket
}

// partial reports whether the peer is in the middle of a frame.
func (g *guard) partial() bool { return g.have > 0 || g.skip > 0 }

// feed looks at the bytes that arrived at now, a stamp.
func (g *guard) feed(p []byte, now int64) error {
	g.fresh = false
	for len(p) > 0 {
		if g.skip > 0 {
			n := min(uint32(len(p)), g.skip)
			g.skip -= n
			p = p[n:]
			continue
		}
		if g.have == 0 {
			g.fresh = true
		}
		n := copy(g.head[g.have:], p)
		g.have += n
		p = p[n:]
		if g.have < muxHeaderLen {
			return nil
		}
		g.have = 0
		if err := g.frame(now); err != nil {
			return err
		}
	}
	return nil
}

func (g *guard) frame(now int64) error {
	if g.head[0] != muxVersion {
		return errMux
	}
	switch g.head[1] {
	case muxData, muxWindowUpdate:
	case muxPing:
		return errPing
	default:
		return errMux
	}
	if g.single && muxFlags(g.head[:])&muxSYN != 0 {
		if g.opened {
			return errOpened
		}
		g.opened = true
	}
	if g.head[1] == muxData {
		if g.skip = muxLength(g.head[:]); g.skip > 0 {
			g.body = g.skip
			g.bodies += int64(g.skip)
			return nil
		}
	}
	if !g.take(now) {
		return errFlood
	}
	return nil
}

// A bucket bounds how many frames of a kind come.
type bucket struct {
	tokens int64
	filled int64 // when tokens were last added, a stamp
}

// take takes a token, and reports whether there was one at now, a stamp.
func (b *bucket) take(now int64) bool {
	if b.tokens == 0 {
		b.refill(now)
		if b.tokens == 0 {
			return false
		}
	}
	b.tokens--
	return true
}

func (b *bucket) refill(now int64) {
	elapsed := now - b.filled
	if b.filled == 0 || elapsed < 0 { // the first time, or the clock was set back
		b.tokens = controlBurst
	} else {
		b.tokens = min(controlBurst, elapsed/int64(time.Second/controlRate))
	}
	if b.tokens > 0 {
		b.filled = now
	}
}
