package control

import (
	"fmt"
	"strings"
	"testing"

	"share/agent"
)

func TestRing(t *testing.T) {
	for _, tt := range []struct {
		added, from                  int
		wantFirst, wantLen, wantLost int
	}{
		{0, 0, 0, 0, 0},
		{3, 0, 0, 3, 0},
		{3, 2, 2, 1, 0},
		{3, 3, 3, 0, 0},
		{kept, 0, 0, kept, 0},
		{kept + 5, 0, 5, kept, 5},
		{kept + 5, 3, 5, kept, 2},
		{2*kept + 5, 2*kept + 1, 2*kept + 1, 4, 0},
	} {
		var r ring
		for i := range tt.added {
			r.add(agent.Event{Code: i})
		}
		events, lost, next, _ := r.since(uint64(tt.from))
		if len(events) != tt.wantLen || int(lost) != tt.wantLost || int(next) != tt.added {
			t.Errorf("%d added, from %d: got %d events, %d lost, then %d, want %d, %d, %d",
				tt.added, tt.from, len(events), lost, next, tt.wantLen, tt.wantLost, tt.added)
		}
		for i, e := range events {
			if e.Code != tt.wantFirst+i {
				t.Fatalf("%d added, from %d: event %d is %d, want %d", tt.added, tt.from, i, e.Code, tt.wantFirst+i)
			}
		}
	}
}

// Who waits is told of the next event, and no text takes more than its share.
func TestRingTells(t *testing.T) {
	var r ring
	_, _, next, more := r.since(0)
	select {
	case <-more:
		t.Fatal("there is more than there is")
	default:
	}
	r.add(agent.Event{Target: strings.Repeat("a", maxText+1), Message: strings.Repeat("b", maxText)})
	select {
	case <-more:
	default:
		t.Fatal("nobody is told")
	}
	events, _, _, _ := r.since(next)
	want := fmt.Sprint(maxText+len("..."), " ", maxText)
	if got := fmt.Sprint(len(events[0].Target), " ", len(events[0].Message)); got != want {
		t.Errorf("got texts of %s bytes, want %s", got, want)
	}
}
