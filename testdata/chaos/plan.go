//go:build unix

package chaos

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"strconv"
	"time"
)

// Framing says how a message's end is known.
type Framing string

// The framings.
const (
	Length  Framing = "length"  // Content-Length
	Chunked Framing = "chunked" // the last chunk
	Closed  Framing = "closed"  // the end of the connection; answers only
)

// Plan is all that is decided about an exchange before it starts; the seed
// and the id decide it.
type Plan struct {
	ID     int
	Method string
	Minor  int           // HTTP/1.Minor
	Size   int64         // of the body that the seed makes
	Frame  Framing       // of that body, whichever way it goes
	Pause  time.Duration // in the middle of that body
	Close  bool          // the visitor asks for the connection's end
	Leave  bool          // the visitor leaves in the middle of its upload
	seed   uint64
}

// NewPlan decides about exchange id of a run.
func NewPlan(seed uint64, id int) Plan {
	r := rand.New(rand.NewPCG(seed, uint64(id)))
	p := Plan{ID: id, Method: "GET", Minor: 1, Frame: Length, seed: seed}
	switch n := r.IntN(100); {
	case n < 30:
		p.Method = "POST"
		p.Leave = r.IntN(25) == 0
	case n < 33:
		p.Method = "HEAD"
	}
	if r.IntN(3) == 0 {
		p.Frame = Chunked
	}
	if p.Method == "GET" && r.IntN(25) == 0 {
		p.Frame = Closed
	}
	if r.IntN(20) == 0 && !(p.Method == "POST" && p.Frame == Chunked) {
		p.Minor = 0
	}
	switch n := r.IntN(100); {
	case n < 4:
		p.Size = 0
	case n < 80:
		p.Size = r.Int64N(8 << 10)
	case n < 98:
		p.Size = r.Int64N(128 << 10)
	default:
		p.Size = r.Int64N(2 << 20)
	}
	if p.Leave {
		p.Size = max(p.Size, 2)
	}
	if r.IntN(4) == 0 {
		p.Pause = time.Duration(1+r.IntN(40)) * time.Millisecond
	}
	p.Close = p.Minor == 0 || r.IntN(12) == 0
	return p
}

// Target is the request-target: it tells the target what to do.
func (p Plan) Target() string {
	return "/x?seed=" + strconv.FormatUint(p.seed, 10) + "&id=" + strconv.Itoa(p.ID)
}

// Body is the plan's body from its start.
func (p Plan) Body() io.Reader {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], p.seed)
	binary.BigEndian.PutUint64(key[8:], uint64(p.ID))
	return io.LimitReader(rand.NewChaCha8(key), p.Size)
}

// Digest is the SHA-256 of the plan's body.
func (p Plan) Digest() string {
	d, _, err := digest(p.Body())
	if err != nil {
		panic(err) // a generator does not fail
	}
	return d
}

// digest reads r to its end.
func digest(r io.Reader) (string, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), n, err
}
