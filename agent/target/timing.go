package target

import (
	"strconv"
	"time"

	"share/tunnel"
)

// timingField of a request is a relay that asks how long the target takes; of
// a response it says so, in microseconds.
const timingField = "Share-Timing"

// appendTiming appends to h how long the target took since asked, if that was
// asked.
func appendTiming(h tunnel.Header, asked time.Time) tunnel.Header {
	if asked.IsZero() {
		return h
	}
	took := strconv.AppendInt(nil, max(time.Since(asked).Microseconds(), 0), 10)
	return append(h, tunnel.Field{Name: []byte(timingField), Value: took})
}
