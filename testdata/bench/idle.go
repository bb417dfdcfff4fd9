package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"share/testdata/bench/rig"
)

const (
	// holders is how many processes the idle agents are spread over.
	holders = 4

	// accountNames is how many names of one account are used; the relay
	// lets an account have 100.
	accountNames = 50
)

// idle is a trial: what many idle agents cost the relay, in memory at once and
// after some time, and in CPU for another agent's requests.
func idle(ctx context.Context, f *field, r *route) (figures, error) {
	f, err := f.apart()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := allowFiles(f.plan.Agents + 2000); err != nil {
		return nil, err
	}
	tokens, token, err := f.writeTokens()
	if err != nil {
		return nil, err
	}
	d, relay, err := f.relay(ctx, "--token-file", tokens)
	if err != nil {
		return nil, err
	}
	agent, err := f.agent(ctx, "web", d.link(r.name), f.target, "--token-file", token)
	if err != nil {
		return nil, err
	}
	busy := &route{
		name:  r.name,
		web:   endpoint{d.http, "web.localhost"},
		front: []int{relay.Pid()},
		back:  []int{agent.Pid()},
	}
	if _, err := load(64)(ctx, f, busy); err != nil { // what it needs at work is no agent's
		return nil, err
	}
	before, err := settled(ctx, relay)
	if err != nil {
		return nil, err
	}
	held, err := f.hold(ctx, d.https, tokens)
	if err != nil {
		return nil, err
	}
	fresh, err := settled(ctx, relay)
	if err != nil {
		return nil, err
	}
	one, all, rate, err := f.costs(ctx, r, busy)
	if err != nil {
		return nil, err
	}
	used, err := settled(ctx, relay)
	if err != nil {
		return nil, err
	}
	rest, err := cpu(relay.Pid())
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := pause(ctx, f.plan.Idle); err != nil {
		return nil, err
	}
	awake, err := cpu(relay.Pid())
	if err != nil {
		return nil, err
	}
	share := (awake - rest).Seconds() / time.Since(began).Seconds()
	late, err := settled(ctx, relay)
	if err != nil {
		return nil, err
	}
	for _, h := range held {
		if err := release(h); err != nil {
			return nil, err
		}
	}
	n := float64(f.plan.Agents)
	return figures{
		"each": (fresh - before) / n,
		"used": (used - before) / n,
		"late": (late - before) / n,
		"cpu":  share * 1000,
		"one":  one,
		"all":  all,
		// A heartbeat is no request's.
		"cost": (all - share*1e6/rate) / one,
	}, nil
}

// writeTokens writes a token for each account, and one for an agent to read.
func (f *field) writeTokens() (all, one string, err error) {
	all, one = filepath.Join(f.dir, "tokens"), filepath.Join(f.dir, "token")
	var text strings.Builder
	fmt.Fprintln(&text, "web token-web")
	for i := range f.plan.Agents/accountNames + 1 {
		fmt.Fprintf(&text, "account%d token-%d\n", i, i)
	}
	err = errors.Join(os.WriteFile(all, []byte(text.String()), 0o600), os.WriteFile(one, []byte("token-web\n"), 0o600))
	return all, one, err
}

// costs are the medians of CPU a request at 64 connections, in µs, on two
// routes that take turns, and of the requests a second on the latter.
func (f *field) costs(ctx context.Context, one, all *route) (oneCPU, allCPU, allRate float64, err error) {
	var got [2][]float64
	var rates []float64
	for range f.plan.Fewer {
		for i, r := range []*route{one, all} {
			figures, err := load(64)(ctx, f, r)
			if err != nil {
				return 0, 0, 0, err
			}
			got[i] = append(got[i], figures["cpu"])
			if r == all {
				rates = append(rates, figures["rate"])
			}
		}
	}
	return quantile(got[0], 0.5), quantile(got[1], 0.5), quantile(rates, 0.5), nil
}

// hold starts processes that hold the plan's idle agents, and returns when all
// have their names.
func (f *field) hold(ctx context.Context, relay, tokens string) ([]*rig.Process, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var held []*rig.Process
	each := f.plan.Agents / holders
	for i := range holders {
		p, err := rig.Start(self, nil, holdCommand, relay, f.cert, fmt.Sprintf("127.0.0.%d", 10+i), strconv.Itoa(i*each), strconv.Itoa(each))
		if err != nil {
			return nil, err
		}
		f.children = append(f.children, p)
		held = append(held, p)
	}
	for _, p := range held {
		if err := p.Await(ctx, func(line []byte) bool { return string(line) == heldLine }); err != nil {
			return nil, err
		}
	}
	return held, nil
}

// release ends a holder, which fails if it has lost a session.
func release(p *rig.Process) error {
	p.Close()
	if code := p.ExitCode(); code != 0 {
		return fmt.Errorf("idle agents: exit code %d\n%s", code, p.Log())
	}
	return nil
}

// settled is the process's resident memory, in KiB, once it moves no more: by
// less than 1 % in 2 s. It gives up to wait after 20 s.
func settled(ctx context.Context, p *rig.Process) (float64, error) {
	last, err := resident(p.Pid())
	if err != nil {
		return 0, err
	}
	calm := 0
	for range 40 {
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return 0, err
		}
		now, err := resident(p.Pid())
		if err != nil {
			return 0, err
		}
		if calm++; now < last*0.99 || now > last*1.01 {
			last, calm = now, 0
		}
		if calm == 4 {
			return now, nil
		}
	}
	return last, nil
}
