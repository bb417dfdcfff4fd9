package edge

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"share/tunnel"
)

// timingField asks the agent how long the target takes, and brings the answer,
// in microseconds. An agent that does not know it says nothing.
const timingField = "share-timing"

// timingAsk is that field of a request.
func timingAsk() tunnel.Field {
	return tunnel.Field{Name: []byte("Share-Timing"), Value: []byte("1")}
}

// tell adds to an answer's head how long it took, a Server-Timing field (Server
// Timing, 4): the relay until it had passed the request on, the target as the
// agent says, and the link the rest. Where the agent does not, for it answers
// itself or is an older one, link and target are one.
func (r *request) tell(resp *tunnel.Response) {
	answer := r.head - r.passed
	target := time.Duration(-1)
	resp.Header = slices.DeleteFunc(resp.Header, func(f tunnel.Field) bool {
		if !tunnel.EqualFold(f.Name, timingField) {
			return false
		}
		if us, err := strconv.ParseUint(string(f.Value), 10, 40); err == nil {
			target = min(time.Duration(us)*time.Microsecond, answer)
		}
		return true
	})
	value := fmt.Appendf(nil, "relay;dur=%.3f, ", ms(r.passed))
	if target < 0 {
		value = fmt.Appendf(value, "link;desc=\"link and target\";dur=%.3f", ms(answer))
	} else {
		value = fmt.Appendf(value, "link;dur=%.3f, target;dur=%.3f", ms(answer-target), ms(target))
	}
	resp.Header = append(resp.Header, tunnel.Field{Name: []byte("Server-Timing"), Value: value})
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
