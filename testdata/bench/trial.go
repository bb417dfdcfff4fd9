package main

import "context"

// figures are what one trial of one route yields, by figure name.
type figures map[string]float64

// trial is one thing done to each route in turn.
type trial struct {
	name string
	full bool // not in the small plan
	run  func(ctx context.Context, f *field, r *route) (figures, error)
}

// row is one line of the table: a figure of a trial.
type row struct {
	title  string
	trial  string
	figure string
	unit   string
}

func (r row) label() string { return r.title + ", " + r.unit }

// trials is everything that can be measured; a new measure is an entry here
// and its rows below.
func trials() []trial {
	return []trial{
		{name: "1", run: load(1)},
		{name: "8", full: true, run: load(8)},
		{name: "64", run: load(64)},
		{name: "256", run: load(256)},
		{name: "new", full: true, run: load(64, "Connection: close")},
		{name: "h2", full: true, run: loadH2(8, 32)},
		{name: "download", run: download(1, "big")},
		{name: "16 downloads", full: true, run: download(16, "part")},
		{name: "upload", run: upload(1, bulk)},
		{name: "16 uploads", full: true, run: upload(16, part)},
	}
}

// rows is the table, top to bottom.
func rows() []row {
	var all []row
	for _, n := range []string{"64", "256", "1"} {
		title := n + " connections: "
		if n == "1" {
			title = "1 connection: "
		}
		all = append(all,
			row{title + "CPU a request", n, "cpu", "µs"},
			row{title + "requests", n, "rate", "/s"},
			row{title + "p50", n, "p50", "ms"},
			row{title + "p99", n, "p99", "ms"},
		)
	}
	return append(all,
		row{"8 connections: CPU a request", "8", "cpu", "µs"},
		row{"new connection each: requests", "new", "rate", "/s"},
		row{"new connection each: CPU a request", "new", "cpu", "µs"},
		row{"HTTP/2 over TLS, 8 × 32: CPU a request", "h2", "cpu", "µs"},
		row{"HTTP/2 over TLS, 8 × 32: requests", "h2", "rate", "/s"},
		row{"one download", "download", "mbps", "MB/s"},
		row{"one download: CPU", "download", "cpu", "s/GB"},
		row{"16 downloads", "16 downloads", "mbps", "MB/s"},
		row{"16 downloads: CPU", "16 downloads", "cpu", "s/GB"},
		row{"one upload", "upload", "mbps", "MB/s"},
		row{"one upload: CPU", "upload", "cpu", "s/GB"},
		row{"16 uploads", "16 uploads", "mbps", "MB/s"},
		row{"16 uploads: CPU", "16 uploads", "cpu", "s/GB"},
		row{"256 connections: peak RSS, relay or front", "256", "front", "MiB"},
		row{"256 connections: peak RSS, agent or back", "256", "back", "MiB"},
	)
}
