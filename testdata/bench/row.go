package main

import (
	"strconv"
)

// row is one line of a table: a figure of a trial, and what it should be.
type row struct {
	title  string
	trial  string
	figure string
	unit   string

	absolute   bool  // the figure itself is judged; otherwise its ratio to the baseline
	plain, tls bound // what it should be over a plain link and over TLS
}

func (r *row) label() string { return r.title + ", " + r.unit }

// bound is what the row wants of a route.
func (r *row) bound(route string) bound {
	switch route {
	case plainLink:
		return r.plain
	case tlsLink:
		return r.tls
	}
	return bound{}
}

// bound is a target; the zero value is none.
type bound struct {
	sign  string // "≤" or "≥"
	value float64
}

func most(v float64) bound  { return bound{"≤", v} }
func least(v float64) bound { return bound{"≥", v} }

func (b bound) String() string {
	if b.sign == "" {
		return ""
	}
	return b.sign + " " + strconv.FormatFloat(b.value, 'f', -1, 64)
}

// met reports whether v is within the bound.
func (b bound) met(v float64) bool {
	switch b.sign {
	case "≤":
		return v <= b.value
	case "≥":
		return v >= b.value
	}
	return true
}

// rows are the tables, top to bottom: first ratios, then absolute figures.
func rows() []row {
	ratio := func(title, trial, figure, unit string, bounds ...bound) row {
		r := row{title: title, trial: trial, figure: figure, unit: unit}
		if len(bounds) > 0 {
			r.plain, r.tls = bounds[0], bounds[1]
		}
		return r
	}
	absolute := func(title, trial, figure, unit string, bounds ...bound) row {
		r := row{title: title, trial: trial, figure: figure, unit: unit, absolute: true}
		if len(bounds) > 0 {
			r.plain, r.tls = bounds[0], bounds[0]
		}
		return r
	}
	return []row{
		ratio("64 connections: CPU a request", "64", "cpu", "µs", most(1), most(1.15)),
		ratio("64 connections: requests", "64", "rate", "/s", least(0.95), least(0.85)),
		ratio("64 connections: p50", "64", "p50", "ms"),
		ratio("64 connections: p99", "64", "p99", "ms", most(1), most(1.1)),
		ratio("256 connections: CPU a request", "256", "cpu", "µs"),
		ratio("256 connections: requests", "256", "rate", "/s", least(0.9), least(0.85)),
		ratio("256 connections: p50", "256", "p50", "ms"),
		ratio("256 connections: p99", "256", "p99", "ms"),
		ratio("1 connection: CPU a request", "1", "cpu", "µs"),
		ratio("1 connection: requests", "1", "rate", "/s"),
		ratio("1 connection: p50", "1", "p50", "ms", most(1.1), most(1.3)),
		ratio("1 connection: p99", "1", "p99", "ms"),
		ratio("8 connections: CPU a request", "8", "cpu", "µs", most(1.5), most(1.6)),
		ratio("new connection each: requests", "new", "rate", "/s", least(0.85), least(0.85)),
		ratio("new connection each: CPU a request", "new", "cpu", "µs", most(1.3), most(1.4)),
		ratio("HTTP/2 over TLS, 8 × 32: CPU a request", "h2", "cpu", "µs", most(1.5), most(1.6)),
		ratio("HTTP/2 over TLS, 8 × 32: requests", "h2", "rate", "/s"),
		ratio("one download", "download", "mbps", "MB/s", least(0.8), least(0.5)),
		ratio("one download: CPU", "download", "cpu", "s/GB", most(1.5), most(2.6)),
		ratio("16 downloads", "16 downloads", "mbps", "MB/s", least(0.8), least(0.5)),
		ratio("16 downloads: CPU", "16 downloads", "cpu", "s/GB"),
		ratio("one upload", "upload", "mbps", "MB/s", least(1), least(0.6)),
		ratio("one upload: CPU", "upload", "cpu", "s/GB"),
		ratio("16 uploads", "16 uploads", "mbps", "MB/s", least(0.8), least(0.5)),
		ratio("16 uploads: CPU", "16 uploads", "cpu", "s/GB"),

		absolute("256 connections: peak RSS, relay or front", "256", "front", "MiB", most(48)),
		absolute("256 connections: peak RSS, agent or back", "256", "back", "MiB", most(48)),
		absolute("100 ms round trip: one download, from its first byte", "far", "body", "MB/s", least(300)),
		absolute("100 ms round trip: one download, from its request", "far", "whole", "MB/s"),
		absolute("beside 4 downloads at 20 Mbit/s: GET, median", "beside downloads", "p50", "round trips", most(2)),
		absolute("beside 4 downloads at 20 Mbit/s: GET, p90", "beside downloads", "p90", "round trips", most(2)),
		absolute("beside 4 downloads at 20 Mbit/s: GET, worst", "beside downloads", "worst", "round trips"),
		absolute("beside 4 downloads at 20 Mbit/s: the downloads", "beside downloads", "bulk", "Mbit/s"),
		absolute("beside 4 uploads at 20 Mbit/s: GET, median", "beside uploads", "p50", "round trips", most(2)),
		absolute("beside 4 uploads at 20 Mbit/s: GET, p90", "beside uploads", "p90", "round trips", most(2)),
		absolute("beside 4 uploads at 20 Mbit/s: GET, worst", "beside uploads", "worst", "round trips"),
		absolute("beside 4 uploads at 20 Mbit/s: the uploads", "beside uploads", "bulk", "Mbit/s"),
		absolute("agent's start to the first answer, median", "start", "p50", "ms", most(12)),
		absolute("agent's start to the first answer, worst", "start", "worst", "ms"),
		absolute("the same at 100 ms round trip, median", "far start", "p50", "round trips", most(3.7)),
		absolute("the same at 100 ms round trip, worst", "far start", "worst", "round trips"),
		absolute("back after the relay's restart, median", "restart", "p50", "s", most(0.2)),
		absolute("back after the relay's restart, worst", "restart", "worst", "s", most(0.2)),
		absolute("idle agents: relay's RSS for each", "idle", "each", "KiB", most(35)),
		absolute("idle agents: after a load of the relay", "idle", "used", "KiB", most(35)),
		absolute("idle agents: some time later", "idle", "late", "KiB", most(35)),
		absolute("idle agents: relay's CPU for all", "idle", "cpu", "ms/s"),
		absolute("64 connections, no idle agents: CPU a request", "idle", "one", "µs"),
		absolute("64 connections, beside idle agents: CPU a request", "idle", "all", "µs"),
		absolute("64 connections, names to none, less the heartbeat", "idle", "cost", "×", most(1.1)),
		absolute("allocation a request, relay and agent", "allocs", "objects", "objects", most(6)),
		absolute("allocation a request, relay and agent", "allocs", "bytes", "bytes"),
	}
}
