//go:build unix

package upgrades

import (
	"context"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"share/testdata/bench/rig"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if dir, err := scratch(); err == nil {
			os.RemoveAll(dir)
		}
		os.Exit(code)
	}))
}

// scratch is a folder for what all tests share.
var scratch = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "upgrades") })

// binary is the command, built once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	return rig.Build(context.Background(), dir)
})

// times is how often relay and agent are replaced.
func times(t *testing.T) int {
	text := os.Getenv("UPGRADES")
	if text == "" {
		return 5
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("UPGRADES is %q: want how often", text)
	}
	return n
}

// TestUpgrades replaces the relay, the agent, and then both at once.
func TestUpgrades(t *testing.T) {
	n := times(t)
	for _, tt := range []struct {
		name             string
		upgrades, agents int
	}{
		{"the relay", n, 0},
		{"the agent", 0, n},
		{"both", (n + 1) / 2, (n + 1) / 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			l := startLoad(w)
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := range tt.upgrades {
					if !w.upgrade(i%2 == 0) {
						return
					}
					time.Sleep(pause)
				}
			})
			wg.Go(func() {
				for range tt.agents {
					if !w.restart() {
						return
					}
					time.Sleep(pause)
				}
			})
			wg.Wait()
			l.stop()
			if l.asked.Load() < rate {
				t.Errorf("only %d requests were made", l.asked.Load())
			}
			t.Logf("%d upgrades, %d restarts, %d requests, %d failed; the slowest took %v: %s",
				tt.upgrades, tt.agents, l.asked.Load(), l.failed.Load(), l.slowest, l.slow)
		})
	}
}

// pause is between two replacements.
const pause = 500 * time.Millisecond
