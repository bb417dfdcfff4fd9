package main

import (
	"context"
	"slices"
)

// figures are what one trial of one route yields, by figure name.
type figures map[string]float64

// trial is one thing done to each route in turn.
type trial struct {
	name   string
	full   bool     // not in the small plan
	every  bool     // in every round; otherwise in the plan's Fewer
	once   bool     // once only, after the rounds; it repeats itself what needs it
	routes []string // only on these; if empty, on all
	run    func(ctx context.Context, f *field, r *route) (figures, error)
}

// on reports whether the trial is due on a route in a round.
func (t *trial) on(route string, round int, p plan) bool {
	switch {
	case p.Small && t.full:
		return false
	case len(t.routes) > 0 && !slices.Contains(t.routes, route):
		return false
	case t.once || aside(route):
		return round == 0
	case t.every:
		return true
	}
	return round < p.Fewer
}

// trials is everything that can be measured; a new measure is an entry here
// and its rows in rows.
func trials() []trial {
	ours := []string{plainLink, tlsLink}
	hops := []string{plainLink, tlsLink, baseline}
	return []trial{
		{name: "1", run: load(1)},
		{name: "8", full: true, run: load(8)},
		{name: "64", every: true, run: load(64)},
		{name: "256", run: load(256)},
		{name: "new", full: true, run: load(64, "Connection: close")},
		{name: "h2", full: true, run: loadH2(8, 32)},
		{name: "download", run: download(1, "big")},
		{name: "16 downloads", full: true, run: download(16, "part")},
		{name: "upload", run: upload(1, bulk)},
		{name: "16 uploads", full: true, run: upload(16, part)},
		{name: "far", once: true, routes: hops, run: farDownload},
		{name: "beside downloads", once: true, routes: hops, run: beside(downloading)},
		{name: "beside uploads", full: true, once: true, routes: hops, run: beside(uploading)},
		{name: "start", once: true, routes: ours, run: startup(0)},
		{name: "far start", once: true, routes: ours, run: startup(farTrip)},
		{name: "restart", once: true, routes: ours, run: restart},
		{name: "idle", once: true, routes: []string{tlsLink}, run: idle},
		{name: "allocs", once: true, routes: ours, run: allocs},
	}
}
