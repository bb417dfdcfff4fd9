package command

import (
	"math"
	"testing"
	"time"

	"share/agent"
)

// Who stops an agent waits for what runs beside it, too, which has its own grace after
// that of requests.
func TestControlGrace(t *testing.T) {
	const most = time.Duration(math.MaxInt64)
	for _, tt := range []struct {
		grace   time.Duration
		command []string
		onReady string
		want    time.Duration
	}{
		{0, nil, "", 10 * time.Second},
		{-1, nil, "", 0},
		{time.Minute, nil, "", time.Minute},
		{time.Minute, []string{"x"}, "", 2 * time.Minute},
		{time.Minute, nil, "x", 2 * time.Minute},
		{-1, []string{"x"}, "", 0},
		{most, nil, "x", most},
	} {
		s := &sharing{agent: agent.Config{Grace: tt.grace}}
		s.beside.command, s.beside.onReady = tt.command, tt.onReady
		if got := s.controlConfig(&agent.Agent{}, nil).Grace; got != tt.want {
			t.Errorf("%v with %q and %q: got %v, want %v", tt.grace, tt.command, tt.onReady, got, tt.want)
		}
	}
}
