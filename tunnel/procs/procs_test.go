package procs

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGovernor(t *testing.T) {
	tests := []struct {
		name  string
		limit int
		procs int
		busy  []float64
		want  int
	}{
		{"idle stays on one", 8, 1, []float64{0, 0.1, 0.7}, 1},
		{"a full one becomes two", 8, 1, []float64{0.9}, 2},
		{"load that lasts takes all", 8, 1, []float64{1, 2, 4, 8}, 8},
		{"never beyond the limit", 6, 4, []float64{4, 6}, 6},
		{"a pause gives nothing up", 8, 4, repeat(0, patience-1), 4},
		{"one is given up after patience", 8, 4, repeat(0, patience), 3},
		{"all but one in the end", 8, 4, repeat(0, 5*patience), 1},
		{"load between starts the patience anew", 8, 4, append(append(repeat(0, patience-1), 3), repeat(0, patience-1)...), 4},
		{"use that fits fewer only just keeps them", 8, 2, repeat(0.7, 3*patience), 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := governor{limit: tt.limit, procs: tt.procs}
			for _, busy := range tt.busy {
				g.next(busy)
			}
			if g.procs != tt.want {
				t.Errorf("%d processors after %v, want %d", g.procs, tt.busy, tt.want)
			}
		})
	}
}

func repeat(busy float64, n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = busy
	}
	return all
}

func TestFollow(t *testing.T) {
	before := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(before)
	t.Setenv("GOMAXPROCS", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	Follow(ctx)
	await(t, "one processor", func() bool { return runtime.GOMAXPROCS(0) == 1 })

	// As busy as the machine lets it: beside others, a processor may not be
	// ours alone, and never full.
	var stop atomic.Bool
	defer stop.Store(true)
	go func() { // ended by stop
		for !stop.Load() {
		}
	}()
	used, _ := cpuTime()
	for began := time.Now(); runtime.GOMAXPROCS(0) == 1; runtime.Gosched() {
		took := time.Since(began)
		if took < limit {
			continue
		}
		now, _ := cpuTime()
		if busy := (now - used).Seconds() / took.Seconds(); busy < full {
			t.Skipf("this machine gives a busy process %.0f %% of one processor", 100*busy)
		}
		t.Fatalf("no more than one processor within %v", limit)
	}
	stop.Store(true)
	cancel()
	await(t, "all processors", func() bool { return runtime.GOMAXPROCS(0) == 4 })
}

func TestFollowLeavesTheEnvironmentsChoice(t *testing.T) {
	before := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(before)
	t.Setenv("GOMAXPROCS", "4")
	Follow(t.Context()) // starts nothing, which the leak check sees
	if n := runtime.GOMAXPROCS(0); n != 4 {
		t.Errorf("GOMAXPROCS = %d, want the 4 of the environment", n)
	}
}

func TestCPUTime(t *testing.T) {
	start, ok := cpuTime()
	if !ok {
		t.Fatal("not known")
	}
	await(t, "time used", func() bool {
		now, _ := cpuTime()
		return now-start > 20*time.Millisecond
	})
}

// limit is how long a test waits for what must happen.
const limit = 30 * time.Second

// await waits until done, busily.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !done(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %v", what, limit)
		}
	}
}
