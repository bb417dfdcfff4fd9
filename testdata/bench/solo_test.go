package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"share/testdata/bench/rig"
)

func TestQuantile(t *testing.T) {
	ten := []float64{7, 1, 9, 3, 10, 5, 2, 8, 6, 4}
	for _, test := range []struct {
		values []float64
		q      float64
		want   float64
	}{
		{[]float64{3}, 0.5, 3},
		{[]float64{3}, 1, 3},
		{[]float64{9, 1, 5}, 0.5, 5},
		{ten, 0, 1},
		{ten, 0.5, 5},
		{ten, 0.9, 9},
		{ten, 0.91, 10},
		{ten, 1, 10},
	} {
		if got := quantile(test.values, test.q); got != test.want {
			t.Errorf("quantile %v of %v is %v, want %v", test.q, test.values, got, test.want)
		}
	}
}

func TestBound(t *testing.T) {
	for _, test := range []struct {
		bound bound
		v     float64
		want  bool
	}{
		{most(1), 1, true},
		{most(1), 1.01, false},
		{least(300), 300, true},
		{least(300), 299, false},
		{bound{}, 1e9, true},
	} {
		if got := test.bound.met(test.v); got != test.want {
			t.Errorf("%v is met by %v: %t", test.bound, test.v, got)
		}
	}
}

// TestOn walks which trials are due.
func TestOn(t *testing.T) {
	p := plan{Rounds: 5, Fewer: 3}
	small := plan{Rounds: 1, Fewer: 1, Small: true}
	for _, test := range []struct {
		trial trial
		plan  plan
		route string
		want  int // rounds
	}{
		{trial{}, p, plainLink, 3},
		{trial{every: true}, p, plainLink, 5},
		{trial{every: true}, p, direct, 1},
		{trial{once: true}, p, tlsLink, 1},
		{trial{routes: []string{tlsLink}}, p, plainLink, 0},
		{trial{full: true}, small, plainLink, 0},
		{trial{}, small, plainLink, 1},
	} {
		got := 0
		for round := range test.plan.Rounds {
			if test.trial.on(test.route, round, test.plan) {
				got++
			}
		}
		if got != test.want {
			t.Errorf("%+v on %s: %d rounds, want %d", test.trial, test.route, got, test.want)
		}
	}
}

// TestJudged reads marks off the tables and the JSON: a ratio and an absolute
// figure that miss their targets, and one that meets it.
func TestJudged(t *testing.T) {
	s := samples{
		"64":     {plainLink: {{"cpu": 50}}, tlsLink: {{"cpu": 45}}, baseline: {{"cpu": 40}}},
		"allocs": {plainLink: {{"objects": 5}}, tlsLink: {{"objects": 7}}},
	}
	var b strings.Builder
	if err := s.tables(&b, []string{plainLink, tlsLink, baseline}); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{
		"CPU a request, µs 50.0 1.25 ≤ 1 ✗ 45.0 1.12 ≤ 1.15 40.0 1.00",
		"relay and agent, objects 5.00 ≤ 6 7.00 ≤ 6 ✗ –",
		"2 of 4 targets missed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("tables\n%swithout %q", b.String(), want)
		}
	}
	path := filepath.Join(t.TempDir(), "out.json")
	if err := s.writeJSON(path, "here", plan{}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Measures []struct {
			Unit   string
			Routes map[string]result
		}
	}
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Measures) != 2 {
		t.Fatalf("%d measures: %s", len(out.Measures), data)
	}
	if r := out.Measures[0].Routes[plainLink]; r.Value != 50 || *r.Ratio != 1.25 || r.Target != "≤ 1" || *r.Met {
		t.Errorf("JSON says %+v", r)
	}
	if r := out.Measures[1].Routes[plainLink]; r.Value != 5 || r.Ratio != nil || !*r.Met {
		t.Errorf("JSON says %+v", r)
	}
}

// TestAllocs counts in a relay and an agent of this process.
func TestAllocs(t *testing.T) {
	f := &field{dir: t.TempDir()}
	var err error
	if f.cert, f.key, err = rig.WriteCert(f.dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{plainLink, tlsLink} {
		got, err := allocs(t.Context(), f, &route{name: name})
		if err != nil {
			t.Fatal(err)
		}
		if got["objects"] < 0.1 || got["objects"] > 100 || got["bytes"] < got["objects"] {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestVisitor waits through refusals and lost connections for an answer, whose
// time it is.
func TestVisitor(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch n := asked.Add(1); {
		case n == 3:
			panic(http.ErrAbortHandler)
		case n < 6:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	v := newVisitor(endpoint{server.Listener.Addr().String(), "x"})
	defer v.close()
	if err := v.await(t.Context()); err != nil || asked.Load() != 6 {
		t.Errorf("after %d requests: %v", asked.Load(), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	if took, err := awaitBack(ctx, endpoint{nobody.Addr().String(), "x"}); err == nil {
		t.Errorf("nobody is back after %v", took)
	}
}
