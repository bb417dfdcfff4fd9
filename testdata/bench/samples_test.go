package main

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		s := samples{"64": {"share": nil}}
		for _, v := range test.values {
			s["64"]["share"] = append(s["64"]["share"], figures{"cpu": v})
		}
		if got, ok := s.median("64", "share", "cpu"); !ok || got != test.want {
			t.Errorf("median of %v is %v, %t, want %v", test.values, got, ok, test.want)
		}
		if _, ok := s.median("64", "share", "none"); ok {
			t.Error("a median of nothing")
		}
	}
}

// TestTable reads a ratio and a missing figure off the table.
func TestTable(t *testing.T) {
	s := samples{"64": {
		"share":  {{"cpu": 20, "rate": 1000, "p50": 1, "p99": 2}},
		baseline: {{"cpu": 40, "rate": 500, "p50": 2, "p99": 2}},
	}}
	var b strings.Builder
	if err := s.tables(&b, []string{plainLink, baseline, direct}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"64 connections: CPU a request, µs 20.0 0.50 ≤ 1 40.0 1.00 –",
		"64 connections: requests, /s 1000 2.00 ≥ 0.95 500 1.00 –",
	} {
		if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), want) {
			t.Errorf("table\n%swithout %q", b.String(), want)
		}
	}
}

// TestRows finds a trial for each row.
func TestRows(t *testing.T) {
	known := map[string]bool{}
	for _, trial := range trials() {
		known[trial.name] = true
	}
	for _, r := range rows() {
		if !known[r.trial] {
			t.Errorf("row %q of unknown trial %q", r.title, r.trial)
		}
	}
}

// TestProcess measures this process.
func TestProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc here")
	}
	before, err := cpu(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// A machine that others use gives it some of the time.
	start, spent := time.Now(), time.Duration(0)
	for spent < 100*time.Millisecond && time.Since(start) < 30*time.Second {
		now, err := cpu(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		spent = now - before
	}
	most := (time.Since(start) + 50*time.Millisecond) * time.Duration(runtime.NumCPU())
	if spent < 100*time.Millisecond || spent > most {
		t.Errorf("%s of work count as %s", time.Since(start), spent)
	}
	if mib, err := peak(os.Getpid()); err != nil || mib < 1 || mib > 1000 {
		t.Errorf("peak memory %v MiB, %v", mib, err)
	}
}
