package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// samples are the figures by trial, route and round.
type samples map[string]map[string][]figures

// measure runs the plan's trials on every route, the routes taking turns, and
// then those that are run once.
func measure(ctx context.Context, p plan, f *field, only *regexp.Regexp) (samples, error) {
	s := samples{}
	for round := range p.Rounds {
		for _, t := range trials() {
			if t.once || !only.MatchString(t.name) {
				continue
			}
			for i := range f.routes {
				r := f.routes[(i+round)%len(f.routes)] // nobody is always first
				if !t.on(r.name, round, p) {
					continue
				}
				if err := s.add(ctx, f, &t, r, fmt.Sprintf("%d of %d", round+1, p.Rounds)); err != nil {
					return nil, err
				}
			}
		}
	}
	for _, t := range trials() {
		for _, r := range f.routes {
			if !t.once || !only.MatchString(t.name) || !t.on(r.name, 0, p) {
				continue
			}
			if err := s.add(ctx, f, &t, r, "once"); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// add runs a trial on a route and keeps its figures.
func (s samples) add(ctx context.Context, f *field, t *trial, r *route, when string) error {
	fmt.Fprintf(os.Stderr, "%s: %s: %s\n", when, t.name, r.name)
	got, err := t.run(ctx, f, r)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s, %s: %w", t.name, r.name, err)
	}
	if got == nil {
		return nil
	}
	if s[t.name] == nil {
		s[t.name] = map[string][]figures{}
	}
	s[t.name][r.name] = append(s[t.name][r.name], got)
	return nil
}

// median is the figure's median over the rounds; ok is false if there is none.
func (s samples) median(trial, route, figure string) (m float64, ok bool) {
	var all []float64
	for _, f := range s[trial][route] {
		if v, ok := f[figure]; ok {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	half := len(all) / 2
	if len(all)%2 == 0 {
		return (all[half-1] + all[half]) / 2, true
	}
	return all[half], true
}
