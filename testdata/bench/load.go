package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// report makes wrk end with one line of JSON: its own text rounds.
const report = `done = function(summary, latency, requests)
	local e = summary.errors
	io.write(string.format('\n{"requests":%d,"us":%d,"p50":%d,"p99":%d,"errors":%d}\n',
		summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
		e.connect + e.read + e.write + e.status + e.timeout))
end
`

// load is a trial: wrk at n connections, each asking for 1 KiB again and
// again, with header lines added.
func load(n int, headers ...string) func(context.Context, *field, *route) (figures, error) {
	return func(ctx context.Context, f *field, r *route) (figures, error) {
		if f.plan.Warm > 0 {
			if _, err := wrk(ctx, f, r, f.plan.Warm, n, headers); err != nil {
				return nil, err
			}
		}
		var got wrkReport
		spent, err := account(r, func() (err error) {
			got, err = wrk(ctx, f, r, f.plan.Load, n, headers)
			return err
		})
		if err != nil {
			return nil, err
		}
		return figures{
			"rate":  float64(got.Requests) / (got.Micros / 1e6),
			"p50":   got.P50 / 1e3,
			"p99":   got.P99 / 1e3,
			"cpu":   spent.cpu.Seconds() * 1e6 / float64(got.Requests),
			"front": spent.front,
			"back":  spent.back,
		}, nil
	}
}

type wrkReport struct {
	Requests int
	Micros   float64 `json:"us"`
	P50, P99 float64 // µs
	Errors   int
}

func wrk(ctx context.Context, f *field, r *route, length time.Duration, n int, headers []string) (wrkReport, error) {
	var got wrkReport
	script := filepath.Join(f.dir, "report.lua")
	if err := os.WriteFile(script, []byte(report), 0o644); err != nil {
		return got, err
	}
	seconds := max(1, int(length/time.Second)) // wrk knows no less
	args := []string{
		"-c", strconv.Itoa(n), "-t", strconv.Itoa(min(n, 2)), "-d", strconv.Itoa(seconds) + "s",
		"--latency", "--timeout", "10s", "-s", script, "-H", "Host: " + r.web.host,
	}
	for _, h := range headers {
		args = append(args, "-H", h)
	}
	out, err := command(ctx, length+30*time.Second, "wrk", append(args, "http://"+r.web.addr+"/")...)
	if err != nil {
		return got, err
	}
	line := out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:]
	if err := json.Unmarshal(line, &got); err != nil {
		return got, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	if got.Errors > 0 || got.Requests == 0 {
		return got, fmt.Errorf("wrk: %d requests, %d errors\n%s", got.Requests, got.Errors, out)
	}
	return got, nil
}

var (
	h2Rate = regexp.MustCompile(`finished in [^,]+, ([0-9.]+) req/s`)
	h2Done = regexp.MustCompile(`(\d+) done, (\d+) succeeded, (\d+) failed`)
)

// loadH2 is a trial: h2load over TLS with so many connections and streams.
// A route without such a door yields nothing.
func loadH2(connections, streams int) func(context.Context, *field, *route) (figures, error) {
	return func(ctx context.Context, f *field, r *route) (figures, error) {
		if r.tls.addr == "" {
			return nil, nil
		}
		var out []byte
		spent, err := account(r, func() (err error) {
			seconds := max(1, int(f.plan.Load/time.Second))
			out, err = command(ctx, f.plan.Load+30*time.Second, "h2load",
				"-c", strconv.Itoa(connections), "-m", strconv.Itoa(streams), "-t", "1", "-D", strconv.Itoa(seconds),
				"--connect-to="+r.tls.addr, "https://"+r.tls.host+"/")
			return err
		})
		if err != nil {
			return nil, err
		}
		rate, done := h2Rate.FindSubmatch(out), h2Done.FindSubmatch(out)
		if rate == nil || done == nil || string(done[3]) != "0" || string(done[2]) == "0" {
			return nil, fmt.Errorf("h2load:\n%s", out)
		}
		perSecond, err := strconv.ParseFloat(string(rate[1]), 64)
		if err != nil {
			return nil, fmt.Errorf("h2load: %w", err)
		}
		requests, err := strconv.Atoi(string(done[2]))
		if err != nil {
			return nil, fmt.Errorf("h2load: %w", err)
		}
		return figures{"rate": perSecond, "cpu": spent.cpu.Seconds() * 1e6 / float64(requests)}, nil
	}
}

// command runs a tool for at most limit and returns what it printed.
func command(ctx context.Context, limit time.Duration, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return out, nil
}
