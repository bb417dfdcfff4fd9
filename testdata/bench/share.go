package main

import (
	"context"
	"fmt"
	"path/filepath"

	"share/testdata/bench/rig"
)

// doors are the addresses of a relay.
type doors struct{ http, https string }

// sharePlain is a relay whose agents come over plain TCP.
func (f *field) sharePlain(ctx context.Context) (*route, error) {
	return f.share(ctx, "plain", func(d doors) []string {
		return []string{"--relay", "http://" + d.http}
	})
}

// shareTLS is a relay whose agents come over TLS 1.3; visitors come as they
// do to the other, so that the link is the only difference.
func (f *field) shareTLS(ctx context.Context) (*route, error) {
	return f.share(ctx, "tls", func(d doors) []string {
		return []string{"--relay", "https://" + d.https, "--relay-ca", f.cert}
	})
}

// share runs a relay and two agents, one for the target and one for the sink,
// which reach it as link says. As nginx, they log no requests.
func (f *field) share(ctx context.Context, name string, link func(doors) []string) (*route, error) {
	if f.bin == "" {
		bin, err := rig.Build(ctx, f.dir)
		if err != nil {
			return nil, err
		}
		f.bin = bin
	}
	var d doors
	for _, addr := range []*string{&d.http, &d.https} {
		var err error
		if *addr, err = rig.FreeAddr(); err != nil {
			return nil, err
		}
	}
	relay, err := rig.Start(f.bin, nil, "relay", "--log-level", "error",
		"--http", d.http, "--https", d.https, "--tls-cert", f.cert, "--tls-key", f.key)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	f.children = append(f.children, relay)
	if err := listening(ctx, relay, d.https); err != nil {
		return nil, err
	}
	r := &route{
		web:   endpoint{d.http, "web.localhost"},
		sink:  endpoint{d.http, "sink.localhost"},
		tls:   endpoint{d.https, "web.localhost"},
		front: []int{relay.Pid()},
	}
	for label, target := range map[string]string{"web": f.target, "sink": f.sinkAddr} {
		args := append(link(d), "--quiet", "--log-level", "error", "--name", label, "http://"+target)
		agent, err := rig.StartAgent(ctx, f.bin, filepath.Join(f.dir, name+"-"+label), args...)
		if err != nil {
			return nil, err
		}
		f.children = append(f.children, agent.Process)
		if label == "web" {
			r.back = append(r.back, agent.Pid())
		} else {
			r.aside = append(r.aside, agent.Pid())
		}
	}
	return r, nil
}
