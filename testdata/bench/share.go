package main

import (
	"context"
	"fmt"
	"path/filepath"

	"share/testdata/bench/rig"
)

// sharePlain is a relay whose agents come over plain TCP.
func (f *field) sharePlain(ctx context.Context) (*route, error) {
	return f.share(ctx, "plain", func(r *rig.Relay) []string {
		return []string{"--relay", "http://" + r.Doors["http"]}
	})
}

// shareTLS is a relay whose agents come over TLS 1.3; visitors come as they
// do to the other, so that the link is the only difference.
func (f *field) shareTLS(ctx context.Context) (*route, error) {
	return f.share(ctx, "tls", func(r *rig.Relay) []string {
		return []string{"--relay", "https://" + r.Doors["https"], "--relay-ca", f.cert}
	})
}

// share runs a relay and two agents, one for the target and one for the sink,
// which reach it as link says.
func (f *field) share(ctx context.Context, name string, link func(*rig.Relay) []string) (*route, error) {
	if f.bin == "" {
		bin, err := rig.Build(ctx, f.dir)
		if err != nil {
			return nil, err
		}
		f.bin = bin
	}
	relay, err := rig.StartRelay(ctx, f.bin, "--log-level", "error",
		"--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--tls-cert", f.cert, "--tls-key", f.key)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	f.children = append(f.children, relay.Process)
	r := &route{
		web:   endpoint{relay.Doors["http"], "web.localhost"},
		sink:  endpoint{relay.Doors["http"], "sink.localhost"},
		tls:   endpoint{relay.Doors["https"], "web.localhost"},
		front: []int{relay.Pid()},
	}
	for label, target := range map[string]string{"web": f.target, "sink": f.sinkAddr} {
		args := append(link(relay), "--name", label, "http://"+target)
		agent, err := rig.StartAgent(ctx, f.bin, filepath.Join(f.dir, name+"-"+label), args...)
		if err != nil {
			return nil, err
		}
		f.children = append(f.children, agent.Process)
		r.back = append(r.back, agent.Pid())
	}
	return r, nil
}
