//go:build unix

package chaos

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"share/testdata/bench/rig"
)

func TestMain(m *testing.M) {
	if addr, ledger, ok := strings.Cut(os.Getenv(targetEnv), " "); ok {
		reset := make(chan os.Signal, 1)
		signal.Notify(reset, syscall.SIGHUP)
		if err := ServeTarget(context.Background(), addr, ledger, reset); err != nil {
			fmt.Fprintln(os.Stderr, "target:", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// TestLedger is the storm: at 64 connections everything breaks, and the
// ledgers must join. CHAOS_REQUESTS and CHAOS_SEED in the environment change
// how many requests and which storm.
func TestLedger(t *testing.T) {
	run := Run{
		Seed:     env(t, "CHAOS_SEED", uint64(time.Now().UnixNano())),
		Requests: int(env(t, "CHAOS_REQUESTS", 10_000)),
		Visitors: 64,
		Blows:    2,
		Freeze:   600 * time.Millisecond,
	}
	if run.Requests >= 100_000 {
		run.Blows, run.Freeze = 8, 2*time.Second
	}
	t.Logf("seed %d, %d requests", run.Seed, run.Requests)

	bin, err := rig.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWorld(t.Context(), bin, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	start := time.Now()
	res, err := run.Do(t.Context(), w)
	if err != nil {
		t.Error(err)
	}
	tally := Count(res.Visits, res.Faults)
	t.Logf("%s\n%s", time.Since(start).Round(time.Millisecond), tally)

	if got := len(res.Visits); got < run.Requests {
		t.Errorf("%d exchanges, want %d at least", got, run.Requests)
	}
	if got := tally.Success(); got < 0.8 {
		t.Errorf("%.1f %% succeeded, want 80 at least", 100*got)
	}
	for _, k := range Kinds() {
		if got := tally.Hits[k]; got < 50 {
			t.Errorf("%s hit %d open exchanges, want 50 at least", k, got)
		}
	}
	findings := Join(res.Visits, res.Entries, res.Faults)
	for _, f := range findings[:min(len(findings), 40)] {
		t.Error(f)
	}
	if len(findings) > 0 {
		t.Errorf("seed %d: %d findings\n%s", run.Seed, len(findings), w.Logs())
	}
}

// env is a number from the environment, or other if there is none.
func env(t *testing.T, name string, other uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return other
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
