package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"share/testdata/bench/delay"
	"share/testdata/bench/rig"
)

// farTrip is the round trip to a relay on another continent.
const farTrip = 100 * time.Millisecond

// through runs the hops of a route of its own, with a line between them, in
// front of target. It returns what visitors connect to.
func (f *field) through(ctx context.Context, route string, cfg delay.Config, target string) (endpoint, error) {
	if route == baseline {
		back, err := rig.FreeAddr()
		if err != nil {
			return endpoint{}, err
		}
		if _, err := f.nginx(ctx, "back", back, hopWorkers, proxyConfig(target, target, listen(back))); err != nil {
			return endpoint{}, err
		}
		line, err := f.line(cfg, back)
		if err != nil {
			return endpoint{}, err
		}
		r, err := f.nginxChain(ctx, "front", line, line)
		if err != nil {
			return endpoint{}, err
		}
		return r.web, nil
	}
	d, _, err := f.relay(ctx)
	if err != nil {
		return endpoint{}, err
	}
	to := d.link(route)
	if to.addr, err = f.line(cfg, to.addr); err != nil {
		return endpoint{}, err
	}
	_, err = f.agent(ctx, "web", to, target)
	return endpoint{d.http, "web.localhost"}, err
}

// line lays a line to target and returns its near end.
func (f *field) line(cfg delay.Config, target string) (addr string, err error) {
	cfg.Target = target
	line, err := delay.Listen(cfg)
	if err != nil {
		return "", err
	}
	f.lines = append(f.lines, line)
	return line.Addr(), nil
}

// farDownload is a trial: one visitor downloads over a link as long as
// farTrip, a few times; of a slow download its first seconds count.
func farDownload(ctx context.Context, f *field, r *route) (figures, error) {
	f, err := f.apart()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	to, err := f.through(ctx, r.name, delay.Config{OneWay: farTrip / 2}, f.target)
	if err != nil {
		return nil, err
	}
	var body, whole []float64
	for range 3 {
		b, w, err := f.fetchFar(ctx, to)
		if err != nil {
			return nil, err
		}
		body, whole = append(body, b), append(whole, w)
	}
	return figures{"body": quantile(body, 0.5), "whole": quantile(whole, 0.5)}, nil
}

// fetchFar returns how many MB/s a download brought from its first byte on,
// and from its request on.
func (f *field) fetchFar(ctx context.Context, to endpoint) (body, whole float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, transferTime)
	defer cancel()
	began := time.Now()
	var first, last time.Time
	got, err := fetchBy(ctx, to, "far", func(r io.Reader) (n int64, err error) {
		buf := make([]byte, chunk)
		for err == nil && (n == 0 || last.Sub(first) < f.plan.Wait) {
			var k int
			k, err = r.Read(buf)
			n, last = n+int64(k), time.Now()
			if first.IsZero() {
				first = last
			}
		}
		return n, err
	})
	if err == io.EOF {
		err = nil
		if got != f.plan.Far {
			err = fmt.Errorf("download of %d bytes brought %d", f.plan.Far, got)
		}
	}
	mb := float64(got) / 1e6
	return mb / last.Sub(first).Seconds(), mb / last.Sub(began).Seconds(), err
}

// quantile is the smallest of values that q of them do not exceed; values are
// sorted, and not empty.
func quantile(values []float64, q float64) float64 {
	slices.Sort(values)
	i := int(q*float64(len(values))+0.999999) - 1
	return values[min(max(i, 0), len(values)-1)]
}
