package edge

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
)

// ids makes the ids of requests: unique within the process, and hard to
// confuse with those of another.
type ids struct {
	start uint64
	next  *atomic.Uint64
}

const idLen = 16

func newIDs() ids {
	var b [8]byte
	rand.Read(b[:])
	return ids{binary.BigEndian.Uint64(b[:]), new(atomic.Uint64)}
}

// append appends the next id to b.
func (i ids) append(b []byte) []byte {
	// An odd factor permutes the numbers: neighbours look unlike.
	n := i.start + i.next.Add(1)*0x9e3779b97f4a7c15
	return hex.AppendEncode(b, binary.BigEndian.AppendUint64(make([]byte, 0, 8), n))
}
