package doctor

import (
	"time"

	"golang.org/x/sys/unix"
)

// synchronous asks the kernel whether something keeps its clock right, and
// within what bound (adjtimex(2)).
func synchronous() (bound time.Duration, kept, known bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return 0, false, false
	}
	const unsynchronised = 0x40 // STA_UNSYNC
	return time.Duration(t.Maxerror) * time.Microsecond, state != unix.TIME_ERROR && t.Status&unsynchronised == 0, true
}
