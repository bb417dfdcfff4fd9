package edge

// What a visitor sends that brings nothing costs calm, and what they are
// served gives some back, as time does. One who has none left is told to calm
// down (RFC 9113 10.5).
const (
	maxCalm   = 10_000
	calmEach  = 1000 // at each look
	resetCost = 10   // a stream that was opened for nothing, or a fault of one
	partCost  = 10   // a small part of a header block
	dataGain  = 2    // a frame of an answer's body: WINDOW_UPDATEs are due for it
	endGain   = 10   // an answer

	// smallUpdate is a WINDOW_UPDATE that costs. Of larger ones there cannot
	// be many beyond what was sent.
	smallUpdate = 1 << 10

	// maxQueued bounds what is queued for a visitor who does not read: the
	// bodies of answers end well below it.
	maxQueued = 4 * outBuffer
)

// spend takes calm, and looks that a visitor takes what they have asked for;
// mu is held.
func (c *conn2) spend(n int) error {
	if c.calm -= n; c.calm < 0 {
		return violation2(codeCalm, "too many frames for nothing")
	}
	if c.out != nil && len(*c.out) > maxQueued {
		return violation2(codeCalm, "too many frames that are not read")
	}
	return nil
}

// spendWindow is spend for a WINDOW_UPDATE; mu is held.
func (c *conn2) spendWindow(n int64) error {
	if n < smallUpdate {
		return c.spend(1)
	}
	return nil
}

// gain gives calm back; mu is held.
func (c *conn2) gain(n int) { c.calm = min(c.calm+n, maxCalm) }

// keepResets is how many streams are remembered that this end has reset.
const keepResets = 256

// resets are the streams that this end has reset last: what was under way on
// them is ignored.
type resets struct {
	streams [keepResets]uint32
	next    int
}

func (r *resets) add(id uint32) {
	r.streams[r.next%keepResets] = id
	r.next++
}

func (r *resets) has(id uint32) bool {
	for _, known := range r.streams {
		if known == id {
			return true
		}
	}
	return false
}
