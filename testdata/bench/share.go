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
func (f *field) sharePlain(ctx context.Context) (*route, error) { return f.share(ctx, plainLink) }

// shareTLS is a relay whose agents come over TLS 1.3; visitors come as they
// do to the other, so that the link is the only difference.
func (f *field) shareTLS(ctx context.Context) (*route, error) { return f.share(ctx, tlsLink) }

// share runs a relay and two agents, one for the target and one for the sink.
func (f *field) share(ctx context.Context, name string) (*route, error) {
	d, relay, err := f.relay(ctx)
	if err != nil {
		return nil, err
	}
	web, err := f.agent(ctx, "web", d.link(name), f.target)
	if err != nil {
		return nil, err
	}
	sink, err := f.agent(ctx, "sink", d.link(name), f.sinkAddr)
	if err != nil {
		return nil, err
	}
	return &route{
		web:   endpoint{d.http, "web.localhost"},
		sink:  endpoint{d.http, "sink.localhost"},
		tls:   endpoint{d.https, "web.localhost"},
		front: []int{relay.Pid()},
		back:  []int{web.Pid()},
		aside: []int{sink.Pid()},
	}, nil
}

// link is where agents reach the relay, as the route wants it.
func (d doors) link(route string) link {
	if route == tlsLink {
		return link{"https", d.https}
	}
	return link{"http", d.http}
}

// link is a relay's URL in two parts.
type link struct{ scheme, addr string }

// relay runs a relay at free addresses. As nginx, it logs no requests.
func (f *field) relay(ctx context.Context, args ...string) (doors, *rig.Process, error) {
	var d doors
	for _, addr := range []*string{&d.http, &d.https} {
		var err error
		if *addr, err = rig.FreeAddr(); err != nil {
			return d, nil, err
		}
	}
	relay, err := f.relayAt(ctx, d, args...)
	if err != nil {
		return d, nil, err
	}
	return d, relay, listening(ctx, relay, d.https)
}

// relayAt starts a relay.
func (f *field) relayAt(ctx context.Context, d doors, args ...string) (*rig.Process, error) {
	bin, err := f.binary(ctx)
	if err != nil {
		return nil, err
	}
	args = append([]string{"relay", "--log-level", "error",
		"--http", d.http, "--https", d.https, "--tls-cert", f.cert, "--tls-key", f.key}, args...)
	relay, err := rig.Start(bin, nil, args...)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	f.children = append(f.children, relay)
	return relay, nil
}

// agent runs an agent that binds name for target, and returns when its URL
// works.
func (f *field) agent(ctx context.Context, name string, to link, target string, args ...string) (*rig.Agent, error) {
	bin, err := f.binary(ctx)
	if err != nil {
		return nil, err
	}
	agent, err := rig.StartAgent(ctx, bin, filepath.Join(f.dir, name), append(f.agentArgs(name, to, target), args...)...)
	if err != nil {
		return nil, err
	}
	f.children = append(f.children, agent.Process)
	return agent, nil
}

func (f *field) agentArgs(name string, to link, target string) []string {
	return []string{"--relay", to.scheme + "://" + to.addr, "--relay-ca", f.cert,
		"--quiet", "--log-level", "error", "--name", name, "http://" + target}
}
