package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// A result is a row's figure on one route, a median, and what became of it.
type result struct {
	Value  float64  `json:"value"`
	Ratio  *float64 `json:"ratio,omitempty"`  // to the baseline
	Target string   `json:"target,omitempty"` // of the ratio, or in absolute rows of the value
	Met    *bool    `json:"met,omitempty"`
}

// result is the row's on a route; ok is false if nothing was measured.
func (s samples) result(r *row, route string) (res result, ok bool) {
	if res.Value, ok = s.median(r.trial, route, r.figure); !ok {
		return res, false
	}
	judged := &res.Value
	if !r.absolute {
		if base, ok := s.median(r.trial, baseline, r.figure); ok && base > 0 {
			ratio := res.Value / base
			res.Ratio = &ratio
		}
		judged = res.Ratio
	}
	if b := r.bound(route); b.sign != "" {
		res.Target = b.String()
		if judged != nil {
			met := b.met(*judged)
			res.Met = &met
		}
	}
	return res, true
}

// tables prints the medians, a column a route: first those that have a ratio
// to the baseline, then the others, and last how many targets are missed.
func (s samples) tables(w io.Writer, routes []string) error {
	var targets, missed int
	for _, absolute := range []bool{false, true} {
		rows := slices.DeleteFunc(rows(), func(r row) bool { return s[r.trial] == nil || r.absolute != absolute })
		if len(rows) == 0 {
			continue
		}
		lines := [][]string{heading(routes, absolute)}
		for _, r := range rows {
			line := []string{r.label()}
			for _, route := range routes {
				res, ok := s.result(&r, route)
				if res.Met != nil {
					if targets++; !*res.Met {
						missed++
					}
				}
				line = append(line, cells(&r, route, res, ok)...)
			}
			lines = append(lines, line)
		}
		if err := align(w, lines); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintf(w, "%d of %d targets missed (%s)\n", missed, targets, miss)
	return err
}

// miss marks a target that is not met.
const miss = "✗"

func heading(routes []string, absolute bool) []string {
	line := []string{""}
	if absolute {
		line[0] = "not ratios"
	}
	for _, route := range routes {
		line = append(line, route)
		if !absolute {
			line = append(line, "×")
		}
		if judged(route) {
			line = append(line, "target")
		}
	}
	return line
}

// judged reports whether there are targets for a route.
func judged(route string) bool { return route == plainLink || route == tlsLink }

// cells are a row's on one route: value, ratio, target.
func cells(r *row, route string, res result, ok bool) []string {
	value, ratio := "–", ""
	if ok && !(res.Value == 0 && aside(route)) {
		value = number(res.Value)
		if res.Ratio != nil {
			ratio = strconv.FormatFloat(*res.Ratio, 'f', 2, 64)
		}
	}
	line := []string{value}
	if !r.absolute {
		line = append(line, ratio)
	}
	if !judged(route) {
		return line
	}
	target := res.Target
	switch {
	case res.Met != nil && *res.Met:
		target += "  "
	case res.Met != nil:
		target += " " + miss
	}
	return append(line, target)
}

// align prints lines in columns, the first to the left.
func align(w io.Writer, lines [][]string) error {
	wide := 0
	for _, line := range lines {
		wide = max(wide, utf8.RuneCountInString(line[0]))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, line := range lines {
		line[0] = fmt.Sprintf("%-*s", wide, line[0])
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

// writeJSON writes every sample, the rows with their medians and targets in the
// tables' order, and what they were measured on.
func (s samples) writeJSON(path, machine string, p plan) error {
	type measure struct {
		Measure  string            `json:"measure"`
		Unit     string            `json:"unit"`
		Absolute bool              `json:"absolute"`
		Routes   map[string]result `json:"routes"`
	}
	var measures []measure
	for _, row := range rows() {
		m := measure{row.title, row.unit, row.absolute, map[string]result{}}
		for route := range s[row.trial] {
			if res, ok := s.result(&row, route); ok {
				m.Routes[route] = res
			}
		}
		if len(m.Routes) > 0 {
			measures = append(measures, m)
		}
	}
	data, err := json.MarshalIndent(map[string]any{
		"machine": machine, "plan": p, "baseline": baseline, "measures": measures, "samples": s,
	}, "", "\t")
	return cmp.Or(err, os.WriteFile(path, append(data, '\n'), 0o644))
}
