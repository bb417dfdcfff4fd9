package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// samples are the figures by trial, route and round.
type samples map[string]map[string][]figures

// measure runs the plan's trials on every route, the routes taking turns.
func measure(ctx context.Context, p plan, f *field, only *regexp.Regexp) (samples, error) {
	s := samples{}
	for round := range p.Rounds {
		for _, t := range trials() {
			if p.Small && t.full || !only.MatchString(t.name) {
				continue
			}
			if s[t.name] == nil {
				s[t.name] = map[string][]figures{}
			}
			for i := range f.routes {
				r := f.routes[(i+round)%len(f.routes)] // nobody is always first
				fmt.Fprintf(os.Stderr, "%d of %d: %s: %s\n", round+1, p.Rounds, t.name, r.name)
				got, err := t.run(ctx, f, r)
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", t.name, r.name, err)
				}
				if got != nil {
					s[t.name][r.name] = append(s[t.name][r.name], got)
				}
			}
		}
	}
	return s, nil
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

// table prints the medians, a column a route, each with its ratio to the
// baseline.
func (s samples) table(w io.Writer, routes []*route) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	rows := slices.DeleteFunc(rows(), func(r row) bool { return s[r.trial] == nil })
	wide := 0
	for _, row := range rows {
		wide = max(wide, utf8.RuneCountInString(row.label()))
	}
	line := []string{strings.Repeat(" ", wide)}
	for _, r := range routes {
		line = append(line, r.name, "×")
	}
	fmt.Fprintln(t, strings.Join(line, "\t")+"\t")
	for _, row := range rows {
		line := []string{fmt.Sprintf("%-*s", wide, row.label())}
		base, based := s.median(row.trial, baseline, row.figure)
		for _, r := range routes {
			m, ok := s.median(row.trial, r.name, row.figure)
			value, ratio := "–", ""
			if ok && !(m == 0 && r.name == "direct") {
				value = number(m)
				if based && base > 0 {
					ratio = strconv.FormatFloat(m/base, 'f', 2, 64)
				}
			}
			line = append(line, value, ratio)
		}
		fmt.Fprintln(t, strings.Join(line, "\t")+"\t")
	}
	return t.Flush()
}

// number writes three significant digits, or all of a whole part.
func number(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// writeJSON writes every sample, the medians in the table's order, and what
// they were measured on.
func (s samples) writeJSON(path, machine string, p plan) error {
	type median struct {
		Measure string             `json:"measure"`
		Unit    string             `json:"unit"`
		Routes  map[string]float64 `json:"routes"`
	}
	var medians []median
	for _, row := range rows() {
		m := median{row.title, row.unit, map[string]float64{}}
		for route := range s[row.trial] {
			if v, ok := s.median(row.trial, route, row.figure); ok {
				m.Routes[route] = v
			}
		}
		if len(m.Routes) > 0 {
			medians = append(medians, m)
		}
	}
	data, err := json.MarshalIndent(map[string]any{
		"machine": machine, "plan": p, "baseline": baseline, "medians": medians, "samples": s,
	}, "", "\t")
	return cmp.Or(err, os.WriteFile(path, append(data, '\n'), 0o644))
}
