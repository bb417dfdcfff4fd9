package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"share/testdata/bench/rig"
)

// routeNames are the columns of the table, in its order.
var routeNames = []string{"share", "share TLS", "nginx two-hop", "nginx one-hop", "direct"}

// baseline is the route that ratios are taken to.
const baseline = "nginx two-hop"

// route is one way to the target.
type route struct {
	name  string
	web   endpoint // answers 1 KiB at /, bulk at /big and /part
	sink  endpoint // takes uploads at /up
	tls   endpoint // as web, in HTTP/2 over TLS; none if its addr is empty
	front []int    // process ids of the hop that visitors meet
	back  []int    // of the hop behind it
	aside []int    // of what only uploads pass
}

// endpoint is where a visitor connects and the Host to ask for.
type endpoint struct{ addr, host string }

// field is all that runs during the measurement: target, sink, and a route
// for each column. Close ends it.
type field struct {
	plan   plan
	dir    string
	routes []*route

	bin       string // share
	cert, key string
	target    string // address of the nginx that answers
	sinkAddr  string
	sink      *http.Server
	children  []*rig.Process
}

func openField(ctx context.Context, dir string, p plan, names []string) (*field, error) {
	f := &field{plan: p, dir: dir}
	if err := f.open(ctx, names); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *field) open(ctx context.Context, names []string) error {
	var err error
	if f.cert, f.key, err = rig.WriteCert(f.dir); err != nil {
		return err
	}
	if err := f.startTarget(ctx); err != nil {
		return err
	}
	if err := f.startSink(); err != nil {
		return err
	}
	starts := map[string]func(context.Context) (*route, error){
		"share":         f.sharePlain,
		"share TLS":     f.shareTLS,
		"nginx two-hop": f.nginxTwoHop,
		"nginx one-hop": f.nginxOneHop,
		"direct":        f.direct,
	}
	for _, name := range names {
		if !slices.Contains(routeNames, name) {
			return fmt.Errorf("no route %q; there are %q", name, routeNames)
		}
		r, err := starts[name](ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.name = name
		if err := r.check(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		f.routes = append(f.routes, r)
	}
	return nil
}

// Close ends every child, agents before their relays.
func (f *field) Close() {
	if f.sink != nil {
		_ = f.sink.Close() // its listener goes with the process
	}
	for _, child := range slices.Backward(f.children) {
		child.Close()
	}
}

// startTarget runs the nginx that answers: 1 KiB from memory, bulk from files
// of zeros that take no space.
func (f *field) startTarget(ctx context.Context) error {
	files := filepath.Join(f.dir, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		return err
	}
	for name, size := range map[string]int64{"big": f.plan.Bulk, "part": f.plan.Part} {
		path := filepath.Join(files, name)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			return err
		}
		if err := os.Truncate(path, size); err != nil {
			return err
		}
	}
	addr, err := rig.FreeAddr()
	if err != nil {
		return err
	}
	f.target = addr
	_, err = f.nginx(ctx, "target", addr, targetConfig(addr, files))
	return err
}

// startSink serves uploads: it reads them and says how many bytes came.
func (f *field) startSink() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for uploads: %w", err)
	}
	f.sinkAddr = ln.Addr().String()
	f.sink = &http.Server{Handler: http.HandlerFunc(swallow)}
	go f.sink.Serve(ln) // ends in Close
	return nil
}

func (f *field) direct(context.Context) (*route, error) {
	return &route{web: endpoint{f.target, f.target}, sink: endpoint{f.sinkAddr, f.sinkAddr}}, nil
}
